"""What the log and the refusals say of a user's grey values."""

import logging

import numpy as np
import pytest

from sbvi.core import UserError
from sbvi.models.circuit.algebra import Bernoulli, Product, save
from sbvi.runs.assembly import Assembly, load_dataset
from sbvi.runs.experiment import Experiment

pytestmark = pytest.mark.quick


def words(tmp_path, x, *more):
    np.save(tmp_path / "x.npy", x)
    return ["dataset=npz", f"dataset.path={tmp_path / 'x.npy'}", *more]


def told(caplog):
    return [r.getMessage() for r in caplog.records if "become 0 and 1" in r.getMessage()]


GREY = np.linspace(0, 1, 160).reshape(40, 4)


def test_grey_values_that_become_binary_are_told(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "sbvi"):
        found = load_dataset(Experiment.from_overrides(words(tmp_path, GREY)))
    assert found.binary
    (line,) = told(caplog)
    assert line == (
        f"Grey values of {tmp_path / 'x.npy'} become 0 and 1, since the model is of binary data "
        "(dataset.binarization=static: each is drawn once, with its place in the range as its mean); "
        "likelihood=gaussian takes them as they are."
    )


#: Of a model without a likelihood: the word that makes it a density of real values.
OWN_WORDS = {
    "circuit": "model.leaf=gaussian",
    "mixture": "model.components=gaussian",
    "helmholtz": "model.data_units=gaussian",
}


@pytest.mark.parametrize("model", OWN_WORDS)
def test_a_model_without_a_likelihood_says_what_takes_real_values(model, tmp_path):
    given, own = words(tmp_path, GREY, f"model={model}"), OWN_WORDS[model]
    with pytest.raises(
        UserError, match=rf"has no use with model={model}; .*; model={model} is of real values by {own}\.$"
    ):
        Experiment.from_overrides([*given, "likelihood=gaussian"])
    with pytest.raises(UserError, match=rf"^dataset.binarization=none .* the model is of binary data; .*; or {own}\.$"):
        Experiment.from_overrides([*given, "dataset.binarization=none"])
    np.testing.assert_allclose(
        load_dataset(Experiment.from_overrides([*given, own])).seen("train").mean(), 0.5, atol=0.1
    )


SHARDS = "dynamic, or auto where the shards hold 0 and 1 alone"


@pytest.mark.parametrize(
    ("data", "model", "allowed"),
    [
        ("shards", "circuit", f"{SHARDS}; of whole numbers model.leaf=categorical or binomial; or model.leaf=gaussian"),
        ("shards", "nade", SHARDS),
        ("npz", "dlgm", "auto, static, dynamic, threshold; or likelihood=gaussian"),
    ],
)
def test_what_can_be_done_with_grey_values_is_of_the_data_and_the_model(data, model, allowed):
    given = [f"dataset={data}", "dataset.path=x", "dataset.binarization=none", f"model={model}"]
    with pytest.raises(UserError) as refused:
        Experiment.from_overrides(given)
    assert str(refused.value) == (
        f"dataset.binarization=none gives grey values, and the model is of binary data; allowed: {allowed}."
    )


def test_real_values_without_a_range_are_refused_of_bits_by_what_was_set(tmp_path):
    """No setting is named that was not given, and no likelihood of a model that has none."""
    np.savetxt(tmp_path / "x.csv", GREY + 0.5, delimiter=",", header="a,b,c,d", comments="")
    save(Product(*(Bernoulli(i, 0.5) for i in range(4))), tmp_path / "bits.json")
    by_hand = f"model.file={tmp_path / 'bits.json'}"
    other = "a model.file of Gaussian leaves, or model.leaf=gaussian with another model.structure"
    for given, who, instead in (
        (["model=circuit", "model.structure=file", by_hand], f"{by_hand}, of Bernoulli leaves,", f"; or {other}"),
        (["model=circuit", "model.leaf=bernoulli"], "The model", "; or model.leaf=gaussian"),
        (["likelihood=bernoulli"], "The model", "; or likelihood=gaussian"),
        (["model=nade"], "The model", ""),
    ):
        experiment = Experiment.from_overrides(["dataset=table", f"dataset.path={tmp_path / 'x.csv'}", *given])
        with pytest.raises(UserError) as refused:
            load_dataset(experiment)
        assert str(refused.value) == (
            f"{who} is of binary data, and {tmp_path / 'x.csv'} holds real numbers, each column with its own location "
            f"and scale, without a range to draw 0 and 1 from; allowed: 0 and 1 alone, or values with a range{instead}."
        )
    words = ["dataset=table", f"dataset.path={tmp_path / 'x.csv'}", "model=circuit", "model.structure=file", by_hand]
    with pytest.raises(
        UserError, match=r"^model.leaf=gaussian, and the leaves of .*bits.json are bernoulli; allowed: "
    ):
        Assembly.build(Experiment.from_overrides([*words, "model.leaf=gaussian"]))


@pytest.mark.parametrize(("x", "more"), [(GREY, ["likelihood=gaussian"]), (np.rint(GREY), [])])
def test_values_that_stay_are_not_told(x, more, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "sbvi"):
        found = load_dataset(Experiment.from_overrides(words(tmp_path, x, *more)))
    values = np.concatenate([split.x for split in found.splits.values()])
    np.testing.assert_allclose(np.sort(values.ravel()), np.sort(x.ravel()), rtol=1e-6)
    assert not told(caplog)


@pytest.mark.parametrize("name", ["discretized_logistic", "logistic_mixture", "poisson"])
def test_a_likelihood_of_whole_numbers_says_what_serves(name, tmp_path):
    experiment = Experiment.from_overrides(words(tmp_path, GREY, f"likelihood={name}"))
    with pytest.raises(UserError) as refused:
        load_dataset(experiment)
    assert str(refused.value) == (
        f"likelihood={name} needs whole numbers, and the data set holds real numbers of [0, 1]; "
        "store whole numbers from 0, such as 0..255, or use likelihood=gaussian."
    )
