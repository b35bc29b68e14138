"""Mistakes on the command line, each answered in one sentence that says what to write instead."""

import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException
from scipy import stats
from support.processes import command

from sbvi.algorithms import ALGORITHMS
from sbvi.cli.catalogue import check
from sbvi.cli.mistakes import check_arguments, no_search, sentence
from sbvi.cli.resolved import literal
from sbvi.cli.train import COMMAND
from sbvi.core import UserError
from sbvi.core.configs import hydra_defaults
from sbvi.data import Dataset, Preprocessing, Split
from sbvi.evaluation.baseline import independent_nll
from sbvi.objectives import OBJECTIVES
from sbvi.runs import Experiment
from sbvi.runs.advice import tell_baseline, tell_inactive, tell_large_batches
from sbvi.training import Plan, Trainer

#: Of 1.3, and of 1.4.
FIRST_OF_HYDRA = "hydra.callbacks" if hydra_defaults() else "hydra.aliases"

ARGUMENTS = {
    ("optimizer.learning_rate=1e-3,3e-4",): "is a sweep over several values, which needs --multirun.",
    ("posterior=diagonal,rank_one",): "posterior=diagonal,rank_one is a sweep over several values, which needs "
    "--multirun.",
    ("model.activation=relu,tanh",): "which needs --multirun.",
    ("model.latents=50,20",): "which needs --multirun; a list is written model.latents=[50,20].",
    ("init_from=a,b",): "which needs --multirun; text with a comma is written 'init_from=\"a,b\"'.",
    ("seed=range(3)",): "needs --multirun",
    ("model.latents=[50,", "20]"): "is cut at a space: quote it, as 'model.latents=[50, 20]'",
    (
        "optimizer.learning_rate=1e-3,",
        "3e-4",
    ): "optimizer.learning_rate=1e-3, is cut at a space: leave the space out, as "
    "in optimizer.learning_rate=1e-3,3e-4, and add --multirun",
    ("--multirun", "seed=0,", "1,", "2"): "seed=0, is cut at a space: leave the space out, as in seed=0,1,2.",
    ("seed=0", ",1"): "seed=0 is cut at a space: leave the space out, as in seed=0,1, and add --multirun",
    ("seed=0,",): "seed=0, ends with a comma: several values of a sweep are written seed=0,VALUE.",
    ("model.latents=(50,20)",): "a list is written in square brackets, without spaces: model.latents=[50,20].",
    ("model.latents=[50,20",): "opens a bracket that is not closed; a list is written model.latents=[50,20].",
    ("dataset.columns={a:[1,2",): "a list is written dataset.columns={a:[1,2]}.",
    ("--multirun", "seed=range(0)"): "seed=range(0) has no value, so that the sweep would have no job",
    ("posterior=[a'",): "quote the value twice",
    ("--multirun", "seed=range(3,0)"): "seed=range(3,0) has no value",
    ("dataset.path=(50)",): "quote the value twice: 'dataset.path=\"(50)\"'",
    ("dataset=npz", "dataset.path=~/x.npz"): 'give dataset.path="$HOME/x.npz"',
    ("dataset=npz", "dataset.path=a=b.npz"): "quote the value twice: 'dataset.path=\"a=b.npz\"'",
    ("~dataset",): "nothing can be left out with ~",
    ("mnist",): "mnist is not KEY=VALUE; give dataset=mnist.",
    ("hello",): "hello is not KEY=VALUE",
    ("=3",): "=3 has no key of letters, digits, _ and dots before its =; a word is KEY=VALUE, such as seed=1",
    ("--multirum", "seed=1,2"): "--multirum is not a flag (did you mean --multirun?)",
    ("search=optuna",): "search=optuna is for sweeps: add --multirun.",
    ("logger=[tensorboard,csv]",): "names entries of a group that takes one: give logger=NAME; --help logger lists",
    ("--multirun", "posterior=[diagonal,rank_one],[rank_one]"): "give posterior=NAME",
    ("+posterior=[a,b]",): "give posterior=NAME",
    ("posterior=[]",): "give posterior=NAME",
    ("trainer=[1]",): "give trainer=NAME",
    ("-sc",): "-sc needs what to do, and for which shell: install=bash",
    (
        'hydra.run.dir="dol\\${x}"',
    ): 'hydra.run.dir="dol\\${x}" names a folder with ${ in its name, which Hydra takes for '
    "another value as soon as the folder is used; give a name without it.",
    ("hydra.run.dir=",): "hydra.run.dir= names no place: give hydra.run.dir=PLACE, or leave the word out.",
    (
        "hydra.run.dir=c,d",
    ): "hydra.run.dir=c,d has several values, and a key of Hydra's takes one; text with a comma is "
    "written 'hydra.run.dir=\"c,d\"'.",
    ("--multirun", "hydra.sweep.dir=c,d"): "text with a comma is written 'hydra.sweep.dir=\"c,d\"'.",
    ("hydra.verbose=a,b",): "takes one; a list is written hydra.verbose=[a,b], and text with a comma is written",
    ("hydra.run.dir=range(3)",): "hydra.run.dir=range(3) has several values, and a key of Hydra's takes one.",
    ("-m", "hydra/launcher=basic,sbvi"): "has several values, and a key of Hydra's takes one.",
    ("hydra.job.chdir=true",): "hydra.job.chdir=true is not for sbvi, whose paths are all those of the directory of",
    ("--multirun", "seed=1,2", "+hydra.job.chdir=True"): "leave it out.",
    ("init_from=", "seed=1"): "init_from= names no place",
    ("--multirun", "seed=1,2", "--cfg", "job"): "--cfg shows the config of one run: leave out --multirun",
}


@pytest.mark.quick
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=" ".join)
def test_arguments_that_hydra_would_misread(arguments):
    with pytest.raises(UserError) as error:
        check_arguments(arguments, COMMAND)
    assert ARGUMENTS[arguments] in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.quick
@pytest.mark.parametrize("path", ["größe/x.npz", "a=b.npz", "a(1).npz", "a#b, c.npz", "ann's.npz", 'so "b".npz'])
def test_what_is_advised_gives_the_path_as_it_stands(path):
    with pytest.raises(UserError) as error:
        check_arguments([f"dataset.path={path}"], COMMAND)
    (word,) = shlex.split(
        re.search(r"(?:quote the value twice:|text with a comma is written) (.*)\.$", str(error.value))[1]
    )
    check_arguments([word], COMMAND)
    assert OverridesParser.create().parse_override(word).value() == path


@pytest.mark.quick
@pytest.mark.parametrize("word", ["search=slurm", "hydra/launcher=submitit_slurm"])
def test_a_queue_that_is_not_here(tmp_path, monkeypatch, word):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UserError, match=f"^{word} needs SLURM, whose srun is not found on this machine; .*=sbvi in its place"
    ):
        check_arguments(["--multirun", word, "seed=1,2"], COMMAND)
    check_arguments(["--multirun", word, "seed=1,2", "--version"], COMMAND)
    (tmp_path / "srun").touch(mode=0o755)
    check_arguments(["--multirun", word, "seed=1,2"], COMMAND)


@pytest.mark.quick
def test_arguments_that_are_right_pass():
    check_arguments(["dataset.path=my dir/x.npz"], COMMAND)
    check_arguments(["model.latents=[50, 20]", "--config-dir", "my dir", "+optimizer.arguments.b1=0.8"], COMMAND)
    check_arguments(["-m", "seed=1,2", "search=optuna", "hydra.sweeper.n_trials=3"], COMMAND)
    check_arguments(
        ["experiment=[table1_diagonal,benchmark]", "debug=[]"], COMMAND
    )  # of which later ones are merged in
    check_arguments(["-m", "search=[optuna,joblib]", "logger=glob(c*)", "posterior=[diagonal],['rank_one']"], COMMAND)
    check_arguments(['dataset.path="a=b, c"', "model.hidden=[[3,4],[5]]", "--cfg", "job"], COMMAND)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"learning_rate": 1},
            "learning_rate=1 is not a key by itself; give algorithm.learning_rate=1 or optimizer.learning_rate=1.",
        ),
        ({"lr": 1}, "lr=1 is not a key by itself; give optimizer.learning_rate=1."),
        ({"epochs": 3}, "give trainer.epochs=3."),
        ({"model": {"name": "dlgm", "activation": "rleu"}}, "model.activation=rleu is not known (did you mean relu?)"),
        ({"model": {"name": "dlgm", "activation": "Relu"}}, "model.activation=Relu is not known (did you mean relu?)"),
        ({"optimizer": {"lr": 1}}, "optimizer.lr=1 is not a key (did you mean optimizer.learning_rate?); allowed: "),
        ({"trainer": {"on_nan": "skipp"}}, "trainer.on_nan=skipp is not known (did you mean skip?); allowed: skip, st"),
        ({"objective": {"kl_weight": 2}}, "must be a group of settings: give one of objective.kl_weight.beta, "),
        ({"model": {"name": "mixture", "latents": [2]}}, "model.latents=[2] is not a key"),
        ({"model": {"name": "dlmg"}}, "model.name=dlmg is not known (did you mean dlgm?)"),
    ],
)
def test_keys_and_closed_choices_of_a_composed_config(config, said):
    groups = [group for group in COMMAND.groups if group not in ("experiment", "debug", "search")]
    with pytest.raises(UserError, match=re.escape(said)):
        check(config, groups, COMMAND.keys)
    with pytest.raises(UserError):  # slower, and the last word: the specs themselves
        Experiment.from_config(Experiment.from_overrides(["dataset=synthetic"]).to_config() | config)


@pytest.mark.quick
def test_an_extra_that_is_not_installed_is_named():
    text = "In 'search/optuna': Could not find 'hydra/sweeper/optuna'\n\nAvailable options in 'hydra/sweeper':\n\tbasic"
    said = sentence(ValueError(text), ["--multirun", "search=optuna"], COMMAND)
    assert said.startswith("search=optuna needs the extra `sweep`, which is not installed: pip install 'sbvi[sweep]'")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("key", "given", "said"),
    [
        (
            "objective.kl_weight.layer_epochs",
            ["objective=importance_weighted"],
            "is not a key of objective=importance_weighted, though of another: objective=free_energy; "
            "--help objective=importance_weighted lists its own.",
        ),
        (
            "objective.kl_weight",
            ["objective=log_likelihood"],
            "is not a key of objective=log_likelihood, though of another: "
            "objective=free_energy, importance_weighted, renyi.",
        ),
        ("prior.couplings", [], "is not a key of the prior of this config, though of another: prior=flow."),
    ],
)
def test_a_key_of_another_choice_names_those_that_have_it(key, given, said):
    text = f"Could not override '{key}'.\nTo append to your config use +{key}=2"
    assert sentence(ValueError(text), [*given, f"{key}=2"], COMMAND) == f"{key}=2 {said}"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("value", "advice"),
    [("[1,2]", "seed=VALUE,VALUE, as seed=1,2."), ("[[1,2],[3]]", "seed=VALUE,VALUE."), ("[1]", "seed=VALUE,VALUE.")],
)
def test_what_a_search_goes_over_without_a_search(value, advice):
    word = f"hydra.sweeper.params.seed={value}"
    with initialize_config_module("hydra", **hydra_defaults()), pytest.raises(AssertionError) as error:
        compose(overrides=[word], return_hydra_config=True)
    said = f"{word} is for a search, and none is chosen: add search=NAME; a sweep takes {advice}"
    assert str(no_search(str(error.value), ["--multirun", word])) == said
    assert no_search(str(error.value), ["seed=1"]) is None
    assert no_search("another", [word]) is None


@pytest.mark.quick
def test_keys_of_hydra_that_must_be_there():
    with initialize_config_module("hydra", **hydra_defaults()), pytest.raises(ConfigCompositionException) as error:
        compose(overrides=["~hydra.run.dir"], return_hydra_config=True)
    said = sentence(error.value, ["~hydra.run.dir"], COMMAND)
    assert said == "~hydra.run.dir: nothing stands for hydra.run.dir where it is left out; give hydra.run.dir=VALUE."


@pytest.mark.quick
def test_a_key_that_none_has_is_answered_with_those_of_the_choice_made():
    for key, given, there, elsewhere in [
        ("model.layrs", ["model=dlgm", "model=helmholtz"], "model.layers", "model.noise_matrix"),
        ("objective.kl_weight.bta", ["objective=importance_weighted"], "objective.kl_weight.beta", "layer_epochs"),
        ("trainer.stps", [], "trainer.steps", "model."),
    ]:
        text = f"Could not override '{key}'.\nTo append to your config use +{key}=2"
        said = sentence(ValueError(text), [*given, f"{key}=2"], COMMAND)
        assert f"{key}=2 is not a key (did you mean {there}?)" in said
        assert elsewhere not in said
    told = "Could not override '{}'.\nTo append to your config use +{}=2"
    for given, key, there in [
        ("posterior=diagonal", "posterior.combin", "posterior.combine"),  # which has no keys itself
        ("objective=log_likelihood", "objective.kl_weight.bta", "objective.kl_weight.beta"),
    ]:
        said = sentence(ValueError(told.format(key, key)), [given, f"{key}=2"], COMMAND)
        assert f"(did you mean {there}?)" in said
    twice = ["model=dlgm", "model=helmholtz", "model.noise_matrix=full"]
    said = sentence(ValueError(told.format(*["model.noise_matrix"] * 2)), twice, COMMAND)
    assert said == (
        "model.noise_matrix=full is not a key of model=helmholtz, though of another: model=dlgm; "
        "--help model=helmholtz lists its own."
    )


@pytest.mark.quick
@pytest.mark.parametrize(
    "word", ["trainer.step=20", "optimizer.lr=1e-3", "steps=3", "posterior.noise=1", "model.likelihood.kernel=3"]
)
def test_python_is_answered_as_the_command_is(word):
    key = word.partition("=")[0]
    told = sentence(ValueError(f"Could not override '{key}'.\nTo append to your config use +{word}"), [word], COMMAND)
    with pytest.raises(UserError) as error:
        Experiment.from_overrides([word])
    assert str(error.value) == told
    assert "append" not in told


@pytest.mark.quick
def test_a_length_that_is_given_twice():
    with pytest.raises(UserError, match="must be set, and steps and epochs are"):
        Experiment.from_overrides(["trainer.steps=1", "trainer.epochs=2"])


@pytest.mark.quick
def test_the_estimator_is_what_the_model_calls_for():
    words = ["model=helmholtz", "algorithm=gradient_ascent"]
    assert Experiment.from_overrides(words).algorithm.objective.estimator == "nvil"
    several = [*words, "objective=importance_weighted", "objective.num_samples=5"]
    assert Experiment.from_overrides(several).algorithm.objective.estimator == "vimco"
    assert Experiment.from_overrides([]).algorithm.objective.estimator == "standard"
    with pytest.raises(UserError, match=r"objective\.estimator=sticking_the_landing"):
        Experiment.from_overrides([*words, "objective.estimator=sticking_the_landing", "objective.kl=sampled"])


def test_a_mistake_leaves_no_folder(tmp_path):
    """Neither one that shows before the run begins, nor one of a sweep, nor one in data; files of others stay."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    elsewhere = tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    elsewhere.mkdir()
    for words in (
        ["trainer.steps=abc"],
        ["dataset=npz", "dataset.path=nowhere.npz"],
        ["model.latents=[-1]", "hydra.run.dir=a/b/c"],
        ["trainer.steps=abc", "hydra.run.dir=mine"],
        ["trainer.steps=abc", f"hydra.run.dir={elsewhere}/a/b"],
        ["--multirun", "seed=-1,-2"],
        ["--multirun", "seed=-1,-2", "hydra/launcher=sbvi", "hydra.launcher.workers=1"],
    ):
        done = command("train", *words, cwd=tmp_path)
        assert done.returncode == 1, (words, done.stderr)
        assert [path.name for path in tmp_path.iterdir()] == ["mine"], words
    assert (tmp_path / "mine" / "notes.txt").exists()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.quick
def test_a_batch_larger_than_the_training_set_is_told(caplog):
    tell_large_batches(Plan(Trainer(steps=3, batch_size=100), 100))
    assert not caplog.records
    tell_large_batches(Plan(Trainer(steps=3, batch_size=250), 100))
    assert "trainer.batch_size=250 is more than the 100 training examples" in caplog.text
    assert "the 3 steps are 7.5 epochs" in caplog.text


def _dataset(train, test, preprocessing):
    return Dataset("x", Split(train), Split(test), Split(test), preprocessing)


@pytest.mark.quick
def test_the_likelihood_of_independent_dimensions(caplog):
    """Against the densities written out, one dimension at a time."""
    generator = np.random.default_rng(0)
    bits = generator.random((300, 5)) < [0.1, 0.3, 0.5, 0.9, 0.0]
    train, test = bits[:200].astype(np.uint8), bits[200:].astype(np.uint8)
    found = _dataset(train, test, Preprocessing.whole((5,), 1).but(binarization="static"))
    expected = 0.0
    for d in range(5):
        p = (train[:, d].sum() + 1) / 202
        expected -= np.mean(np.where(test[:, d] == 1, np.log(p), np.log(1 - p)))
    assert independent_nll(found, True) == pytest.approx(expected, rel=1e-6)
    levels = generator.integers(0, 4, (300, 3)).astype(np.uint8)
    found = _dataset(levels[:200], levels[200:], Preprocessing.whole((3,), 3))
    expected = 0.0
    for d in range(3):
        share = (np.bincount(levels[:200, d], minlength=4) + 1) / 204
        expected -= np.mean(np.log(share[levels[200:, d]]))
    assert independent_nll(found, True) == pytest.approx(expected, rel=1e-6)
    reals = generator.normal([1.0, -2.0], [0.5, 3.0], (300, 2)).astype(np.float32)
    found = _dataset(reals[:200], reals[200:], Preprocessing.real((2,)))
    mean, deviation = reals[:200].mean(0), reals[:200].std(0)
    logs = -0.5 * ((reals[200:] - mean) / deviation) ** 2 - np.log(deviation) - 0.5 * np.log(2 * np.pi)
    assert independent_nll(found, False) == pytest.approx(-logs.sum(1).mean(), rel=1e-5)
    assert independent_nll(found, True) is None  # such counts there are not
    counts = generator.negative_binomial([2, 5], [0.3, 0.5], (300, 2)).astype(np.float32)
    found = _dataset(counts[:200], counts[200:], Preprocessing.real((2,)))
    mean, variance = counts[:200].mean(0) + 0.5 / 200, counts[:200].var(0)
    law = stats.nbinom(mean**2 / (variance - mean), mean / variance)
    assert independent_nll(found, True) == pytest.approx(-law.logpmf(counts[200:]).sum(1).mean(), rel=1e-5)
    noisy = _dataset(levels[:200], levels[200:], Preprocessing.whole((3,), 3).but(dequantize=True))
    expected = 0.0
    for d in range(3):  # quadrature over the noise u, of the law of k + u over 4
        u = (np.arange(1000) + 0.5) / 1000
        fitted, scored = (((levels[rows, d, None] + u) / 4).ravel() for rows in (slice(200), slice(200, None)))
        logs = -0.5 * ((scored - fitted.mean()) / fitted.std()) ** 2 - np.log(fitted.std())
        expected -= logs.mean() - 0.5 * np.log(2 * np.pi)
    assert independent_nll(noisy, False) == pytest.approx(expected, rel=1e-5)
    for gap in ((0, 0), (250, 1)):  # of the training rows, and of the test rows
        holes = reals.copy()
        holes[gap] = np.nan
        assert independent_nll(_dataset(holes[:200], holes[200:], Preprocessing.real((2,))), False) is None
    for reached in (9.0, 10.004):  # the second is told as 10.00 too
        tell_baseline({"test/nll": reached, "test/nll_independent": 10.0}, found, ALGORITHMS["gradient_ascent"])
    assert not caplog.records
    for name, setting in (
        ("gradient_ascent", "optimizer.learning_rate"),
        ("expectation_maximisation", "algorithm.pseudocount"),  # it takes no optimiser
    ):
        caplog.clear()
        tell_baseline({"test/nll": 11.0, "test/nll_independent": 10.0}, found, ALGORITHMS[name])
        assert "test/nll is 11.00, worse than the 10.00 of independent columns" in caplog.text
        assert f"train it for longer, or with another {setting}.\n" in caplog.text
    tell_baseline({"test/nll": np.inf, "test/nll_independent": 10.0}, found, ALGORITHMS["gradient_ascent"])
    assert "test/nll is inf, worse than the 10.00 of independent columns" in caplog.text


@pytest.mark.quick
def test_a_layer_of_which_no_unit_is_active_is_told(caplog):
    scalars = {"test/active_units/layer_1": 3.0, "test/active_units/layer_2": 0.0, "test/nll": 0.0}
    weighted = replace(ALGORITHMS["gradient_ascent"](), objective=OBJECTIVES["free_energy"]())
    for algorithm, remedy in (
        (weighted, ", or let it begin by objective.kl_weight.warmup_epochs"),
        (ALGORITHMS["wake_sleep"](), ""),  # it has no such weight
    ):
        caplog.clear()
        tell_inactive(scalars, algorithm)
        said = "No unit of layer_2 is active: x hardly moves its posterior means; train it for longer"
        assert caplog.messages == [f"{said}{remedy}."]
    caplog.clear()
    tell_inactive({"test/active_units/layer_1": 1.0}, weighted)
    assert not caplog.messages


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["hydra.launchr=x"],
            f"hydra.launchr=x is not a key (did you mean hydra.launcher?); allowed: {FIRST_OF_HYDRA}, ",
        ),
        (["hydra/launchr=sbvi"], "(did you mean hydra/launcher?)"),
        (["hydra.run.dri=x"], "(did you mean hydra.run.dir?); allowed: hydra.run.dir."),
        (["hydra.swep.dir=x"], "(did you mean hydra.sweep.dir?); allowed: hydra.sweep.dir, hydra.sweep.subdir."),
        (["hydra.launcher.workers=2"], "is a key of hydra/launcher=sbvi, which is not chosen."),
        (
            ["hydra/launcher=sbvi", "hydra.launcher.worker=2"],
            "(did you mean hydra.launcher.workers?); allowed: hydra.launcher.mode, hydra.launcher.pin, ",
        ),
        (["hydra.sweeper.max_batch_sise=3"], "(did you mean hydra.sweeper.max_batch_size?)"),
    ],
)
def test_a_word_of_hydras_is_told_by_hydras_keys(words, said):
    Plugins.instance()  # which registers launchers and sweepers, as a command does
    key = words[-1].partition("=")[0]
    error = ConfigCompositionException(f"Could not override '{key}'.\nTo append to your config use +{words[-1]}")
    told = sentence(error, words, COMMAND)
    assert said in told
    assert told.startswith(f"{words[-1]} is ")
    assert "dataset" not in told


@pytest.mark.quick
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("model.latents={a:1}", "model.latents={a:1} must be a list, in square brackets."),
        ("optimizer.schedule=[1]", "must be a group of settings: give one of optimizer.schedule.boundaries, "),
        ("model.hidden={a:1}", "model.hidden={a:1} must be a list, in square brackets."),
        ("hydra.run=5", "hydra.run=5 cannot be set: "),
        ("hydra.job.num=abc", "hydra.job.num=abc cannot be set: Value 'abc' of type 'str' could not be converted to"),
        ("hydra.run.dir=[a]", "hydra.run.dir=[a] cannot be set: "),
    ],
)
def test_a_value_that_hydra_cannot_merge(tmp_path, word, said):
    done = command("train", word, cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.quick
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("model.latents=50", "model.latents=50 must be a list, such as model.latents=[50]."),
        ("model.latents=abc", 'model.latents="abc" must be a list.'),
    ],
)
def test_one_value_where_a_list_is_needed(word, said):
    with pytest.raises(UserError) as error:
        Experiment.from_overrides([word])
    assert str(error.value) == said


def test_an_evaluation_of_nothing_is_asked_for_its_run(tmp_path):
    done = command("evaluate", "task=likelihood", cwd=tmp_path)
    assert done.stderr.startswith("run=DIR must be given, the directory of a run; or decoder=FILE")
    assert done.stderr.count("\n") == 1


def test_what_may_not_change_on_resume_is_told_before_how_it_is_written(tmp_path):
    done = command("train", "resume=D", "model.latents=[3]", cwd=tmp_path)
    assert done.stderr.startswith(
        "resume=DIR goes on with the run's own settings, and model.latents=[3] was given; what "
    )
    assert done.stderr.count("\n") == 1


# Which Hydra 1.4 itself calls within a list of targets of its own.
@pytest.mark.filterwarnings(r"ignore:\s*hydra.utils.instantiate")
@pytest.mark.parametrize(("key", "value"), [("workers", 0), ("workers", -1), ("points", 0), ("points", -2)])
def test_a_launchers_mistake_is_its_own_sentence(key, value):
    """Counts of none, which stood for the default, for one, or for no job at all."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    made = {"_target_": "hydra_plugins.hydra_sbvi_launcher.launcher.SbviLauncher"}
    assert instantiate({**made, key: 1})
    with pytest.raises(InstantiationException if hydra_defaults() else UserError) as caught:  # as 1.3 and 1.4 make it
        instantiate({**made, key: value})
    told = str(caught.value) if isinstance(caught.value, UserError) else sentence(caught.value, [], COMMAND)
    assert told == f"hydra.launcher.{key}={value} must be 1 or more, or null."


@pytest.mark.parametrize("value", ["[", "{a: 1}", "${oc.env:NOT_THERE}"])
def test_a_value_that_a_resumed_run_cannot_be_given_is_one_sentence(value):
    with pytest.raises(UserError, match=re.escape(f"trainer.steps={value} ")):
        literal("trainer.steps", value)
    assert [literal("trainer.steps", text) for text in ("30", "null", "false")] == [30, None, False]


DZE = "\N{CYRILLIC SMALL LETTER DZE}"  # it looks like an s


@pytest.mark.quick
@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            f"{DZE}eed=1",
            f"{DZE}eed=1: the key has the letter {DZE} (cyrillic small letter dze); allowed in keys: a-z, ",
        ),
        ("model.latents={}", "model.latents={} must be a list, in square brackets."),
        (
            "seed=1;2",
            'seed=1;2 holds characters that Hydra reads as its own; what is text is put in quotes, as in seed="1;2".',
        ),
        ("logger=[1]", "logger=[1] names entries of a group that takes one: give logger=NAME."),
        ("init_from=${x}", "init_from=${x} asks for the value of x, which is no key of the config."),
        ("seed=null", "seed=null must be a whole number of 0.."),
        ("seed=true", "seed=true must be a whole number of 0.."),
    ],
)
def test_what_hydra_cannot_read_is_a_sentence_in_python_too(word, said):
    with pytest.raises(UserError) as error:
        Experiment.from_overrides([word])
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


@pytest.mark.quick
def test_a_letter_that_looks_like_another_is_told_before_quotes_are_advised():
    with pytest.raises(UserError, match=rf"^{DZE}eed=1: the key has the letter {DZE} \(cyrillic small letter"):
        check_arguments([f"{DZE}eed=1"], COMMAND)
    check_arguments(['init_from="fünf"'], COMMAND)  # in values any letter may stand


@pytest.mark.quick
def test_a_folder_named_by_a_key_that_is_none():
    word = 'hydra.run.dir="out/n/${x}"'
    said = sentence(
        ValueError("Interpolation key 'x' not found\n    full_key: hydra.run.dir\n    object_type=dict"),
        [word],
        COMMAND,
    )
    assert said == f"{word} asks for the value of x, which is no key of the config."
