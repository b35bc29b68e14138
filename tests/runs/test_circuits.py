"""Circuits through the runner: trained, loaded, asked."""

import json

import jax
import numpy as np
import pytest
from support.small_run import interrupted, leaves, same, train

import sbvi
from sbvi.core import UserError
from sbvi.data import Preprocessing
from sbvi.evaluation.classification import confusion, scores
from sbvi.models.circuit.algebra import Bernoulli, Product, Sum, save
from sbvi.runs import Experiment
from sbvi.runs.directory import RunDirectory
from sbvi.runs.loaded import load_run
from sbvi.tasks import TASKS
from sbvi.tasks.data import run_dataset

pytestmark = pytest.mark.usefixtures("without_pictures")

SMALL = {
    "dataset": {"name": "synthetic", "train_size": 230, "validation_size": 50, "test_size": 50, "dimensions": 12},
    "model": {"name": "circuit", "structure": "hidden_chow_liu", "units": 3},
    "trainer": {"steps": 40, "batch_size": 20, "log_every": 10, "validate_every": 20, "checkpoint_minutes": 0},
    "evaluation": {"batch_size": 50},
    "runtime": {"compilation_cache": False},
}
EM = {"name": "expectation_maximisation"}
DIGITS = {"dataset": {"name": "digits"}, "trainer": {**SMALL["trainer"], "steps": 200, "log_every": 100}}


def experiment(**groups):
    return Experiment.from_config(SMALL | groups)


def test_a_run_by_full_batch_em_and_its_resumption(tmp_path):
    whole = train(experiment(algorithm=EM), tmp_path / "whole")
    assert whole["metrics"]["test/nll"] < 12 * np.log(2)
    assert not any(name.startswith("test/elbo") for name in whole["metrics"])
    record = RunDirectory(tmp_path / "whole").read_run()
    assert sorted(record["structure"]) == ["parent"]
    run = load_run(tmp_path / "whole")
    x = run.sample(40, seed=1)
    assert x.shape == (40, 12)
    known = run.log_likelihood(x)
    np.testing.assert_allclose(known, run.model.log_prob(run.params, None, jax.numpy.asarray(x)).value, rtol=1e-6)
    # Killed twice with the counts of an epoch half summed, it ends bit for bit the same.
    for step in (10, 30):
        interrupted(experiment(algorithm=EM), tmp_path / "cut", step)
    train(experiment(algorithm=EM), tmp_path / "cut")
    for name in ("last", "best"):
        same(leaves(tmp_path / "whole", name), leaves(tmp_path / "cut", name))


def test_gradients_climb_the_exact_log_likelihood(tmp_path):
    model = {"name": "circuit", "structure": "random", "depth": 2, "replicas": 2, "units": 3}
    made = experiment(model=model, optimizer={"name": "adam", "learning_rate": 0.03}, **DIGITS)
    assert train(made, tmp_path)["metrics"]["test/nll"] < 64 * np.log(2) - 10  # of a guess


def test_parameters_of_another_structure_are_no_start(tmp_path):
    """Shapes that fit are not enough: each sum would get the weights of other variables."""
    few = {**SMALL["trainer"], "steps": 10, "validate_every": 10}
    random = {"name": "circuit", "structure": "random", "depth": 2, "replicas": 2, "units": 3}
    train(experiment(model=random, trainer=few), tmp_path / "random")
    train(experiment(trainer=few), tmp_path / "tree")

    def start(source, name, **groups):
        made = experiment(trainer=few, init_from=str(tmp_path / source), **groups)
        return train(made, tmp_path / name)["status"]

    assert start("random", "same", model=random | {"units": 3}) == "completed"
    with pytest.raises(UserError, match=r"random has model.structure_seed=0, and this run 1, so that .* the same str"):
        start("random", "other", model=random | {"structure_seed": 1})
    assert start("tree", "grown") == "completed"
    with pytest.raises(UserError, match=r"tree has another structure than this run"):
        start("tree", "elsewhere", dataset=SMALL["dataset"] | {"split_seed": 5})
    with pytest.raises(UserError, match=r"tree has model.structure=hidden_chow_liu, and this run mixture"):
        start("tree", "mixture", model=SMALL["model"] | {"structure": "mixture"})


def test_what_does_not_fit_is_said_in_a_sentence():
    with pytest.raises(UserError, match=r"objective=conditional_likelihood needs a class for every label; set model"):
        experiment(objective={"name": "conditional_likelihood"}, **DIGITS)
    with pytest.raises(UserError, match="objective=free_energy needs what model=circuit has not"):
        experiment(objective={"name": "free_energy"})
    with pytest.raises(UserError, match="algorithm=wake_sleep needs what model=circuit has not"):
        experiment(algorithm={"name": "wake_sleep"})
    table = ["dataset=table", "dataset.path=x.csv", "model=circuit", "model.structure=chow_liu"]
    for more in ([], ["model.leaf=gaussian"]):  # what the data set calls for is refused as what is given
        with pytest.raises(
            UserError, match=r"^model: structure=chow_liu is of discrete values; use .*hidden_chow_liu\.$"
        ):
            sbvi.Experiment.from_overrides([*table, *more])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A small classifier of the digits."""
    folder = tmp_path_factory.mktemp("labelled")
    model = {"name": "circuit", "structure": "random", "depth": 2, "replicas": 3, "units": 4, "labels": True}
    optimizer = {"name": "adam", "learning_rate": 0.03}
    made = experiment(model=model, objective={"name": "hybrid", "weight": 0.7}, optimizer=optimizer, **DIGITS)
    assert train(made, folder)["metrics"]["validation/accuracy"] > 0.5
    return load_run(folder)


def test_queries_agree_with_one_another(labelled):
    x = labelled.sample(30, seed=2).reshape(30, -1).astype(np.float32)
    some = np.where(np.random.default_rng(0).random(x.shape) < 0.5, np.nan, x)
    given = np.where(np.random.default_rng(1).random(x.shape) < 0.5, np.nan, some)
    whole = labelled.log_likelihood(x)
    # The chain rule, and NaN in log_likelihood itself.
    rest = labelled.conditional_log_likelihood(x, some)
    np.testing.assert_allclose(rest + labelled.log_likelihood(some), whole, rtol=1e-4)
    np.testing.assert_array_equal(labelled.conditional_log_likelihood(x.reshape(-1, 8, 8), some), rest)
    parts = labelled.conditional_log_likelihood(some, given) + labelled.marginal_log_likelihood(given)
    np.testing.assert_allclose(parts, labelled.marginal_log_likelihood(some), rtol=1e-4)
    for filled in (labelled.conditional(some), labelled.most_probable(some)):
        np.testing.assert_array_equal(filled[~np.isnan(some)], some[~np.isnan(some)])
        assert set(np.unique(filled)) <= {0.0, 1.0}
    means = labelled.conditional(some, means=True)
    assert ((means >= 0) & (means <= 1)).all()
    p = labelled.classify(some)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    # Bayes: p(label | x) from p(x, label) with nothing missing.
    joint = np.asarray(labelled.model.joint_log_probs(labelled.params, jax.numpy.asarray(x)))
    np.testing.assert_allclose(np.log(labelled.classify(x)), joint - whole[:, None], atol=1e-3)
    with pytest.raises(UserError, match="different values in the same place"):
        labelled.conditional_log_likelihood(x, 1 - x)


def test_what_is_given_is_read_as_a_part_of_the_whole(labelled):
    """Grey values of 0 and 1, of 16, are no bits where those that are asked for are grey."""
    x = np.random.default_rng(3).integers(0, 17, (5, 64)).astype(float)
    x[:, :3] = 0, 1, 1
    bits = labelled.preprocessing.own(x).reshape(x.shape).astype(float)
    assert not bits[:, :3].all(0)[1:].any()  # as bits they would be ones
    given = np.arange(64) < 3
    found = labelled.conditional_log_likelihood(x, np.where(given, x, np.nan))
    expected = labelled.log_likelihood(bits) - labelled.log_likelihood(np.where(given, bits, np.nan))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_nothing_follows_from_what_cannot_be(tmp_path, caplog):
    """Of the first value 1 is impossible: it has probability 0, and given it nothing has a probability."""
    parts = [Product(Bernoulli(0, 0.0), Bernoulli(1, p), Bernoulli(2, q)) for p, q in ((0.9, 0.2), (0.1, 0.6))]
    save(Sum([0.3, 0.7], *parts), tmp_path / "circuit.json")
    model = {"name": "circuit", "structure": "file", "file": str(tmp_path / "circuit.json")}
    few = {**SMALL["trainer"], "steps": 1, "validate_every": 1}
    data = {"dataset": SMALL["dataset"] | {"dimensions": 3}, "optimizer": {"name": "sgd", "learning_rate": 1e-30}}
    train(experiment(model=model, trainer=few, **data), tmp_path / "run")
    run = load_run(tmp_path / "run")
    nan = np.nan
    cannot, can, unknown = [1.0, 1, nan], [0.0, 1, nan], [nan, 1, nan]
    asked = run.conditional_log_likelihood(np.array([cannot, can]), np.full((2, 3), nan))
    np.testing.assert_allclose(asked, [-np.inf, np.log(0.3 * 0.9 + 0.7 * 0.1)], rtol=1e-6)
    sentence = r"^Row 1 of {} holds values that the model gives probability 0, so that nothing follows from them; allow"
    with pytest.raises(UserError, match=sentence.format("given")):
        run.conditional_log_likelihood(np.array([can, cannot]), np.array([[nan, nan, nan], [1, nan, nan]]))
    for ask in (run.conditional, run.most_probable, run.impute):
        with pytest.raises(UserError, match=sentence.format("x")):
            ask(np.array([can, cannot]))
        assert np.isfinite(ask(np.array([can, unknown]))).all()
    # The task tells the probability, and completes the rows that have one.
    np.save(tmp_path / "rows.npy", np.array([cannot, can]))
    found = TASKS["query"](input=str(tmp_path / "rows.npy"), given=(1,)).run(run)
    assert found.table.splitlines()[0] == "row 0: log p = -inf, p = 0"
    share = 0.3 * 0.9 / (0.3 * 0.9 + 0.7 * 0.1)
    np.testing.assert_allclose(found.arrays["completed"], [cannot, [0, 1, share * 0.2 + (1 - share) * 0.6]], rtol=1e-5)
    # Of grey values too, each drawn once, as a row of the whole file.
    run.preprocessing = Preprocessing.whole((3,), 16).but(binarization="static", seed=21)
    grey = np.array([[16.0, 8, nan], [0, 8, nan]])
    drawn = run.preprocessing.own(grey, missing=np.isnan(grey))[:, 1]
    assert drawn.tolist() == [1, 0]
    np.save(tmp_path / "grey.npy", grey)
    caplog.clear()
    with caplog.at_level("INFO", "sbvi"):
        found = TASKS["query"](input=str(tmp_path / "grey.npy"), given=(1,)).run(run)
    np.testing.assert_array_equal(found.arrays["completed"][:, 1], drawn)
    assert caplog.text.count("they are binarized by the run's own rule") == 1
    np.save(tmp_path / "grey.npy", grey + 1)
    caplog.clear()
    with caplog.at_level("INFO", "sbvi"), pytest.raises(UserError, match=r"^task.input=.*grey.npy holds 17 at row 0, "):
        TASKS["query"](input=str(tmp_path / "grey.npy"), given=(1,)).run(run)
    assert "binarized" not in caplog.text
    run.preprocessing = Preprocessing.whole((3,), 1)
    with pytest.raises(UserError, match=r"^Row 0 of given holds"):
        TASKS["query"](input=str(tmp_path / "rows.npy"), given=(0,)).run(run)
    with pytest.raises(UserError, match=r"^Row 0 of task\.input=.*rows\.npy holds values that the model gives probab"):
        TASKS["imputation"](input=str(tmp_path / "rows.npy")).run(run)
    with pytest.raises(UserError, match=r"^Row \d+ of the test split holds"):  # ones, where the model has none
        TASKS["imputation"](fraction=0.3).run(run)
    # The logarithm of 0 is no number of nats.
    np.testing.assert_array_equal(np.isneginf(run.log_likelihood(np.array([[1.0, 1, 0], [0, 1, 0]]))), [True, False])
    np.testing.assert_array_equal(np.isneginf(run.log_likelihood(np.array([cannot, can]))), [True, False])
    np.save(tmp_path / "whole.npy", [[1, 1, 0], [0, 1, 0]])
    found = TASKS["likelihood"](input=str(tmp_path / "whole.npy")).run(run)
    np.testing.assert_array_equal(np.isposinf(found.arrays["nll"]), [True, False])
    assert found.scalars["input/nll"] == np.inf
    for name, value in (("counts", (5,)), ("partition_samples", 9)):
        with pytest.raises(UserError, match=rf"^task.{name}=\S* has no use for this run, whose model"):
            TASKS["likelihood"](**{name: value}).run(run)


@pytest.mark.parametrize("way", ["gradient_ascent", "expectation_maximisation"])
def test_training_on_rows_of_probability_0_tells_infinity(way, tmp_path, caplog):
    """Log points and the last result have no finite number that stands for it, and one sentence says why; expected
    counts leave the zeros, gradients do not."""
    same = [Product(Bernoulli(0, p), Bernoulli(1, p), Bernoulli(2, q)) for p, q in ((1.0, 0.2), (0.0, 0.6))]
    save(Sum([0.3, 0.7], *same), tmp_path / "circuit.json")
    x = np.random.default_rng(0).integers(0, 2, (200, 3)).astype(np.uint8)
    words = ["model=circuit", "model.structure=file", f"model.file={tmp_path}/circuit.json", f"algorithm={way}"]
    words += ["trainer.steps=8", "trainer.log_every=2", "trainer.validate_every=4", "trainer.batch_size=40"]
    with caplog.at_level("WARNING", "sbvi.training"):
        run = sbvi.train([*words, *(["algorithm.mode=online"] if "exp" in way else [])], tmp_path / "run", x=x)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    trained = [line["train/log_likelihood"] for line in lines if "train/log_likelihood" in line]
    validated = [line["validation/log_likelihood"] for line in lines if "validation/log_likelihood" in line]
    known = [value for value in trained + validated if value is not None]
    assert trained[0] is None
    assert all(-10 < value < 0 for value in known)
    assert caplog.text.count("infinite, since some rows have probability 0 in the model") == 1
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    if way == "gradient_ascent":
        assert not known
        assert result["best_validation"] is result["metrics"]["test/nll"] is None
    else:
        assert result["best_validation"] == max(validated)
        assert np.isfinite(run.log_likelihood(x)).all()


def test_a_run_on_labels_alone_is_not_told_that_it_knows_nothing_of_pixels(tmp_path, caplog):
    """What p(label | x) leaves open of p(x) may be worse than independent pixels."""
    model = {"name": "circuit", "structure": "random", "depth": 1, "replicas": 2, "units": 2, "labels": True}
    few = {**SMALL["trainer"], "steps": 2, "validate_every": 2}
    known = {}
    for name in ("conditional_likelihood", "hybrid"):
        made = experiment(dataset=DIGITS["dataset"], model=model, objective={"name": name}, trainer=few)
        with caplog.at_level("WARNING"):
            found = train(made, tmp_path / name)["metrics"]
        assert found["test/nll"] > found["test/nll_independent"]
        known[name] = "has learned less than that" in caplog.text
        caplog.clear()
    assert known == {"conditional_likelihood": False, "hybrid": True}


def test_a_circuit_without_classes_predicts_no_label(tmp_path):
    """Its one class is of every example, and certain."""
    few = {**SMALL["trainer"], "steps": 2, "validate_every": 2}
    made = experiment(dataset={"name": "digits"}, model=SMALL["model"] | {"structure": "mixture"}, trainer=few)
    train(made, tmp_path / "run")
    run = load_run(tmp_path / "run")
    np.save(tmp_path / "rows.npy", run.sample(3, seed=0))
    for ask in (
        lambda: run.classify(run.sample(3, seed=0)),
        lambda: TASKS["classification"]().run(run),
        lambda: TASKS["classification"](input=str(tmp_path / "rows.npy")).run(run),
    ):
        with pytest.raises(
            UserError, match=r"^classify\(\) needs a model with a class for every label, .* model.labels"
        ):
            ask()


def test_the_classification_task(labelled, tmp_path):
    found = TASKS["classification"](missing=(0.0, 0.9)).run(labelled)
    accuracy = found.scalars["classification/accuracy"]
    assert accuracy > 0.5
    assert found.scalars["classification/accuracy_missing_0"] == pytest.approx(accuracy)
    tested = json.loads((labelled.directory.path / "result.json").read_text())["metrics"]
    for name in ("accuracy", "log_loss", "calibration_error"):  # of the final test too, beside the likelihood
        assert tested[f"test/{name}"] == pytest.approx(found.scalars[f"classification/{name}"], rel=1e-5)
    assert "test/nll" in tested
    assert found.scalars["classification/accuracy_missing_0.9"] < accuracy
    assert found.arrays["confusion"].sum() == 250
    assert np.trace(found.arrays["confusion"]) == round(250 * accuracy)
    other, again = (
        TASKS["classification"](split="validation", missing=(0.5, 0.8), seed=s).run(labelled) for s in (1, 2)
    )
    data = run_dataset(labelled)
    np.testing.assert_array_equal(other.arrays["label"], data.validation.label)
    np.testing.assert_array_equal(other.arrays["guess"], labelled.label_log_probs(data.seen("validation")).argmax(1))
    assert (other.arrays["accuracy_missing"] != again.arrays["accuracy_missing"]).any()
    np.save(tmp_path / "rows.npy", np.full((2, 8, 8), 0.5))
    with pytest.raises(UserError, match=r"^task\.input=.*rows.npy holds 0.5 at row 0, place \(0, 0\)"):
        TASKS["classification"](input=str(tmp_path / "rows.npy")).run(labelled)
    np.save(tmp_path / "some.npy", np.where(np.arange(64) < 9, np.nan, run_dataset(labelled).test.x[:4].reshape(4, 64)))
    some = TASKS["classification"](input=str(tmp_path / "some.npy"), examples=3).run(labelled)
    np.testing.assert_array_equal(some.arrays["probabilities"], labelled.classify(np.load(tmp_path / "some.npy")[:3]))
    # A label of probability e^-300, which float32 has as 0, costs 300 nats.
    sure = jax.numpy.where(jax.numpy.arange(10) == 3, 300.0, 0.0)
    certain = labelled.with_params(labelled.params | {"classes": sure})
    logs = certain.label_log_probs(run_dataset(labelled).seen("test"))
    label = run_dataset(labelled).test.label
    expected = -logs[np.arange(250), label].mean(dtype=np.float64)
    found = TASKS["classification"](missing=()).run(certain)
    assert found.scalars["classification/log_loss"] == pytest.approx(expected, rel=1e-4)
    assert expected > 200


def test_no_label_follows_from_what_cannot_be(labelled):
    """Of pixels that are never on; 0 / 0 would be told as equal probabilities of all labels."""
    leaves = {name: jax.numpy.full_like(value, -1e30) for name, value in labelled.params["leaves"].items()}
    run = labelled.with_params(labelled.params | {"leaves": leaves})
    x = np.zeros((2, 64))
    assert np.isfinite(run.classify(x)).all()
    x[1, 5] = 1
    with pytest.raises(
        UserError, match=r"^Row 1 of x holds values that the model gives probability 0, so that nothing"
    ):
        run.classify(x)
    x[1, 5] = np.nan
    np.testing.assert_allclose(run.classify(x)[1], run.classify(x[:1])[0], rtol=1e-5)


def test_the_query_task(labelled, tmp_path, monkeypatch):
    x = labelled.sample(5, seed=3).reshape(5, -1).astype(np.float32)
    x[:, 10:] = np.nan
    np.save(tmp_path / "rows.npy", x)
    found = TASKS["query"](input=str(tmp_path / "rows.npy"), given=(0, 1, 2)).run(labelled)
    known = np.where(np.arange(64) < 3, x, np.nan)
    np.testing.assert_allclose(
        found.arrays["log_probability"], labelled.log_likelihood(x) - labelled.log_likelihood(known), atol=1e-4
    )
    assert found.table.splitlines()[0].endswith(f", p = {np.exp(found.arrays['log_probability'][0]):.4g}")
    monkeypatch.setattr(labelled.model, "discrete", False)  # as that of real values is
    assert TASKS["query"](input=str(tmp_path / "rows.npy")).run(labelled).table.splitlines()[0].endswith(" (density)")
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"task.given=64 must be less than 64"):
        TASKS["query"](input=str(tmp_path / "rows.npy"), given=(64,)).run(labelled)
    with pytest.raises(UserError, match=r"Row 0 of .* asks for no column"):
        TASKS["query"](input=str(tmp_path / "rows.npy"), given=tuple(range(10))).run(labelled)


def test_scores_of_a_classifier():
    """Three bins by hand: confidences 0.9, 0.9, 0.6, of which the second is wrong."""
    logs = np.log([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    found = scores(logs, np.array([0, 1, 1]))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["log_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.1) + np.log(0.6)) / 3)
    assert found["calibration_error"] == pytest.approx((abs(1 - 1.8) + abs(1 - 0.6)) / 3)
    np.testing.assert_array_equal(confusion(logs, np.array([0, 1, 1])), [[1, 0], [1, 1]])
