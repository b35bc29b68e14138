"""Which runs' parameters a run may start from, beside what shapes and names tell."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.small_run import experiment

from sbvi.core import UserError, fields
from sbvi.data import Preprocessing
from sbvi.data.tabular.columns import Column
from sbvi.models import MODELS
from sbvi.runs.start import check_variables, warn_of_other_data, warn_of_other_meanings
from sbvi.runs.words import CHOICES, WORDS


def chained(posterior, **groups):
    return experiment(model={"name": "dlgm", "latents": [3, 2]}, posterior=posterior, **groups)


@pytest.mark.parametrize(
    ("there", "here", "said"),
    [
        ({"name": "hierarchical"}, {"variables": "activations"}, "posterior.variables=noise, and this run activations"),
        ({"name": "top_down"}, {"combine": "ladder"}, "posterior.combine=precision, and this run ladder"),
    ],
)
def test_a_chain_s_parameters_are_of_its_own_variables(there, here, said, monkeypatch):
    """All have the same shapes, and mean other things."""
    record = {"config": chained(there).to_config(), "structure": None}
    kept = SimpleNamespace(read_run=lambda: record)
    monkeypatch.setattr("sbvi.runs.start.RunDirectory", lambda folder: kept)
    check_variables(chained(there, init_from="begun"), None)
    with pytest.raises(UserError, match=f"^init_from=begun has {said}, so that its parameters are of other variables"):
        check_variables(chained(there | here, init_from="begun"), None)
    record = {"config": chained({"name": "diagonal"}).to_config(), "structure": None}
    check_variables(chained(there | here, init_from="begun"), None)  # which its shapes tell


REAL = {"dataset": {"observation": "gaussian"}, "likelihood": {"name": "gaussian"}}
MIXTURE = {"prior": {"name": "mixture"}}


def said_of(there, here, monkeypatch, caplog):
    """What is logged where a run starts from another; both are groups of settings."""
    record = {"config": there if "trainer" in there else experiment(**there).to_config()}
    monkeypatch.setattr("sbvi.runs.start.RunDirectory", lambda folder: SimpleNamespace(read_run=lambda: record))
    caplog.clear()
    warn_of_other_meanings(experiment(**here, init_from="begun"))
    return [line.getMessage() for line in caplog.records]


@pytest.mark.parametrize(
    ("groups", "changed", "said"),
    [
        ({}, {"model": {"activation": "tanh"}}, "model.activation=relu, here tanh"),
        ({}, {"model": {"recognition_activation": "elu", "activate_inputs": True}},
         "model.activate_inputs=false, here true; model.recognition_activation=relu, here elu"),
        (REAL, {"likelihood": {"name": "gaussian", "minimum_scale": 0.02}},
         "likelihood.minimum_scale=0.01, here 0.02"),
        ({"model": {"latents": [3, 2]}, "posterior": {"name": "top_down"}}, {"posterior": {"combine": "residual"}},
         "posterior.combine=precision, here residual"),
    ],
)  # fmt: skip
def test_parameters_that_mean_something_else_here_are_told(groups, changed, said, monkeypatch, caplog):
    here = {name: groups.get(name, {}) | changed.get(name, {}) for name in groups | changed}
    assert said_of(groups, here, monkeypatch, caplog) == [
        f"init_from=begun is a run with {said}: its parameters fit by their shapes and mean something else here."
    ]


@pytest.mark.parametrize(
    ("groups", "changed"),
    [
        ({}, {}),
        ({}, {"model": {"input_dropout": 0.3, "hidden_dropout": 0.2, "latent_noise": 0.1, "bit_flip": 0.1}}),
        ({}, {"model": {"weight_prior_variance": None, "initial_posterior_scale": 0.5}}),
        ({}, {"objective": {"name": "importance_weighted", "num_samples": 5, "kl_weight": None}}),
        ({}, {"optimizer": {"learning_rate": 1e-4}, "trainer": {"steps": 10}, "seed": 3}),
        (MIXTURE, {"prior": {"name": "mixture", "spread": 2.0}}),
    ],
)
def test_how_parameters_are_found_is_no_part_of_what_they_mean(groups, changed, monkeypatch, caplog):
    here = {name: groups.get(name, {}) | changed[name] if name != "seed" else 3 for name in changed} or groups
    assert said_of(groups, here, monkeypatch, caplog) == []


def test_a_run_from_before_a_key_existed_had_its_default(monkeypatch, caplog):
    config = experiment().to_config()
    del config["model"]["activate_inputs"], config["model"]["kernel"]
    assert said_of(config, {}, monkeypatch, caplog) == []
    assert "model.activate_inputs=false, here true" in said_of(
        config, {"model": {"activate_inputs": True}}, monkeypatch, caplog
    )[0]  # fmt: skip


def test_what_says_nothing_of_a_meaning_is_named_by_keys_that_are_there():
    kinds = [*MODELS.values(), *(kind for w in WORDS if WORDS[w] == "model" for kind in CHOICES[w].values())]
    named = [(kind, key) for kind in kinds for key in getattr(kind, "of_training", ())]
    assert len(named) > 10
    assert [(kind.__name__, key) for kind, key in named if key not in fields(kind)] == []


COLUMNS = (
    Column("age", "continuous", 40.0, 12.0),
    Column("kind", "categorical", values=("hi", "lo")),
)
TABLE = Preprocessing((2,), table=COLUMNS)
LEVELS = Preprocessing.whole((4,), 16)


@pytest.mark.parametrize(
    ("there", "here", "said"),
    [
        (TABLE, TABLE.but(table=COLUMNS[::-1]), "columns age, kind there and kind, age here"),
        (TABLE, TABLE.but(table=(replace(COLUMNS[0], kind="positive"), COLUMNS[1])),
         "columns taken as age continuous there and age positive here"),
        (TABLE, TABLE.but(table=(COLUMNS[0], replace(COLUMNS[1], values=("lo", "hi")))),
         "categories hi of kind, lo of kind there and lo of kind, hi of kind here"),
        (LEVELS, Preprocessing.whole((4,), 255), "values whole numbers 0..16 there and whole numbers 0..255 here"),
        (LEVELS, LEVELS.but(binarization="dynamic"), "values whole numbers 0..16 there and 0 and 1 here"),
        (LEVELS.but(columns=("a", "b", "c", "d")), LEVELS.but(columns=("b", "a", "c", "d")),
         "columns a, b there and b, a here"),
        (LEVELS.but(columns=tuple(map(str, range(20)))), LEVELS.but(columns=(*map(str, range(18)), "19", "18")),
         "columns 18, 19 there and 19, 18 here"),
        (Preprocessing.real((2,)).but(location=(1.0, 2.0), scale=(3.0, 1.0)), Preprocessing.real((2,)),
         "values by columns' own locations and scales there and in their own units here"),
        (Preprocessing.real((4,), 0, 1).but(rescale=True), Preprocessing.real((4,), 0, 2).but(rescale=True),
         "values real numbers of [0, 1] there and real numbers of [0, 2] here"),
        # What each data set has of its own, and what is not known of one of them.
        (TABLE, TABLE.but(table=(replace(COLUMNS[0], location=50.0, scale=1.0), COLUMNS[1])), ""),
        (LEVELS.but(binarization="dynamic"), Preprocessing.whole((4,), 1).but(seed=3), ""),
        (Preprocessing.real((4,), -1, 1), Preprocessing.real((4,), -3, 2), ""),
        (Preprocessing.whole((4,), 255), Preprocessing.real((4,), 0, 1), ""),
        (LEVELS, LEVELS.but(columns=("a", "b", "c", "d"), dequantize=True), ""),
        (None, LEVELS, ""),
    ],
)  # fmt: skip
def test_data_that_gives_parameters_another_meaning_is_told(there, here, said, monkeypatch, caplog):
    record = {"data": {} if there is None else {"preprocessing": there.to_config()}}
    monkeypatch.setattr("sbvi.runs.start.RunDirectory", lambda folder: SimpleNamespace(read_run=lambda: record))
    warn_of_other_data(experiment(init_from="begun"), here)
    told = f"init_from=begun is a run on other data ({said}): its parameters mean something else here."
    assert [line.getMessage() for line in caplog.records] == ([told] if said else [])
