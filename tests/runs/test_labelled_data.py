"""Data with labels: sorted by class, with classes that training lacks, and what a classifier cannot be of."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sbvi.core import UserError
from sbvi.data import Dataset, Preprocessing, Split
from sbvi.evaluation.batched import batched
from sbvi.runs import Experiment
from sbvi.runs.assembly import Assembly, Shared, data_facts, load_dataset, summarise
from sbvi.tasks import TASKS

X = np.random.default_rng(0).integers(0, 256, (24, 4, 4)).astype(np.uint8)
LABEL = np.arange(24) % 3


def test_of_a_split_sorted_by_class_a_part_has_all_classes():
    """What parameters start from, and the examples that validation scores, are spread over the whole split."""
    label = np.repeat(np.arange(4), 6)
    x = np.broadcast_to(40 * label[:, None, None], (24, 2, 2)).astype(np.uint8)
    split = Split(x, label)
    dataset = Dataset("sorted", split, split, split, Preprocessing.whole((2, 2), 255))
    some = summarise(dataset, 4)
    np.testing.assert_array_equal(some.label, np.arange(4))
    np.testing.assert_allclose(some.mean, 60 / 255, rtol=1e-6)
    np.testing.assert_allclose(summarise(dataset, 30).spread, np.std(40 * label) / 255, rtol=1e-6)
    few = batched(dataset, "validation", 5, 8)
    np.testing.assert_array_equal(np.asarray(few.label).reshape(-1)[:8], np.repeat(np.arange(4), 2))
    np.testing.assert_array_equal(np.asarray(few.x)[..., 0], 40 * np.asarray(few.label))
    assert few.size == 8


def experiment(tmp_path, model="parts", test=True, **arrays):
    path = tmp_path / "data.npz"
    np.savez(path, **{"x_train": X, "y_train": LABEL} | arrays)
    models = {"parts": {"name": "parts"}, "circuit": {"name": "circuit", "structure": "mixture", "labels": True}}
    dataset = {"name": "npz", "path": str(path)}
    trainer = {"steps": 10}
    groups = {
        "dataset": dataset,
        "model": models[model],
        "trainer": trainer,
        "evaluation": {"test": test},
        "runtime": {},
    }
    return Experiment.from_config(groups | ({} if model == "parts" else {"objective": {"name": "hybrid"}}))


def test_data_that_another_model_has_loaded_is_checked_again(tmp_path):
    """As for the points of a sweep over models, which share it."""
    shared = Shared()
    first = experiment(tmp_path, y_train=np.arange(24) % 2, y_valid=np.arange(24) % 2, x_valid=X, x_test=X, test=False)
    Assembly.build(first, shared)
    with pytest.raises(UserError, match=r"model.window=5 needs images or features on a grid"):
        Assembly.build(replace(first, model=replace(first.model, window=5)), shared)
    with pytest.raises(UserError, match=r"The test split has no labels"):
        Assembly.build(replace(first, evaluation=replace(first.evaluation, test=True)), shared)


def test_a_class_that_training_lacks_is_one_of_the_model(tmp_path):
    dataset = load_dataset(experiment(tmp_path, x_test=X, y_test=np.arange(24) % 5))
    assert data_facts(dataset).classes == 5


@pytest.mark.parametrize("model", ["parts", "circuit"])
def test_a_negative_label_is_refused(tmp_path, model):
    with pytest.raises(UserError, match=r"The train split holds the label -1; allowed, .* whole numbers from 0"):
        load_dataset(experiment(tmp_path, model, y_train=LABEL - 1))


def test_a_classifier_needs_labels_wherever_it_is_scored(tmp_path):
    with pytest.raises(UserError, match=r"The validation split has no labels, by which alone this model is scored"):
        load_dataset(experiment(tmp_path, x_valid=X))
    with pytest.raises(UserError, match=r"The test split has no labels, .*evaluation.test=false"):
        load_dataset(experiment(tmp_path, x_test=X))
    assert load_dataset(experiment(tmp_path, test=False, x_test=X)).test.label is None
    assert load_dataset(experiment(tmp_path, "circuit", x_test=X)).test.label is None


def test_a_task_says_which_splits_have_labels(tmp_path, caplog):
    with caplog.at_level("INFO"):
        dataset = load_dataset(experiment(tmp_path, "circuit", x_test=X))
    assert "labels from y_train; x_test has none (y_test is not there)." in caplog.text
    with pytest.raises(UserError, match=r"^It needs labels, and the test split has none; those that have: train, val"):
        dataset.labels("test", None, "It")
    assert len(dataset.labels("train", 5, "It")) == 5
    without = dataset.with_split("train", dataset.test).with_split("validation", dataset.test)
    with pytest.raises(UserError, match=r"^It needs labels, and the data set has none\.$"):
        without.labels("test", None, "It")


def test_a_classifier_cannot_be_scored_on_a_file_without_labels(tmp_path):
    made = Assembly.build(experiment(tmp_path), Shared())
    run = SimpleNamespace(model=made.model, experiment=made.experiment, preprocessing=made.dataset.preprocessing)
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(UserError, match=r"^task.input=.*x.npy holds no labels, and .*; use task=classification\.$"):
        TASKS["likelihood"](input=str(tmp_path / "x.npy")).run(run)
