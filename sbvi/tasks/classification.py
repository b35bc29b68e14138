"""Classification by a trained run: accuracy, log-loss, calibration, confusion, and what missing values cost."""

from typing import Literal

import numpy as np

from sbvi.core import PositiveInt, Seed, Share, spec
from sbvi.data.checks import not_there
from sbvi.evaluation.classification import confusion, scores
from sbvi.models import require
from sbvi.models.capabilities import Classifier, PartialClassifier
from sbvi.reporting.figures import Figure, new_figure
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import own_values, run_dataset
from sbvi.tasks.files import check_output, write_arrays
from sbvi.tasks.task import TaskResult


@spec
class ClassificationTask:
    """p(label | x) on a split with labels, or on the user's own data."""

    split: Literal["train", "validation", "test"] = "test"
    """Which part of the data."""
    examples: PositiveInt | None = None
    """Examples, evenly spaced over the split, of the user's own data the first rows; null for all."""
    missing: tuple[Share, ...] = (0.25, 0.5, 0.75, 0.9)
    """Shares of values removed at random, for accuracy against them; for models that sum over what is missing."""
    seed: Seed = 1
    """Seed of the removed places."""
    input: str | None = None
    """The user's own data (.npz, .npy, .csv, .tsv, .parquet), NaN where a value is missing, in place of the run's."""
    output: str | None = None
    """Where to write the probabilities of every label (.npz), beside the copy in the run's folder."""

    @property
    def title(self) -> str:
        return f"classification-{'input' if self.input is not None else self.split}"

    def run(self, run: LoadedRun) -> TaskResult:
        """Scalars named `classification/...`; probabilities (N, C); the confusion matrix as a picture."""
        if self.output is not None:
            check_output(self.output)
        require(run.model, Classifier, "task=classification")
        if self.input is not None:
            values, where = own_values(run, self.input, self.examples, allow_nan=True)
            missing = not_there(values)
            probabilities = run.label_probabilities(run.preprocessing.to_model(values, where, missing), ~missing, where)
            result = TaskResult({}, {"probabilities": probabilities, "guess": probabilities.argmax(1)})
        else:
            result = self._own_split(run)
        if self.output is not None:
            write_arrays(self.output, result.arrays)
        return result

    def _own_split(self, run: LoadedRun) -> TaskResult:
        dataset = run_dataset(run)
        label = dataset.labels(self.split, self.examples, "task=classification")
        x = dataset.seen(self.split, self.examples)
        where = f"the {self.split} split"
        logs = run.label_log_probs(x, where=where)
        scalars = {f"classification/{name}": value for name, value in scores(logs, label).items()}
        table = confusion(logs, label)
        arrays = {"probabilities": np.exp(logs), "guess": logs.argmax(1), "label": label, "confusion": table}
        if self.missing and run.offers(PartialClassifier):
            generator = np.random.default_rng(self.seed)
            by_share = [run.label_probabilities(x, generator.random(x.shape) >= share, where) for share in self.missing]
            accuracy = np.array([float((p.argmax(1) == label).mean()) for p in by_share])
            arrays |= {"missing": np.array(self.missing), "accuracy_missing": accuracy}
            scalars |= {
                f"classification/accuracy_missing_{share:g}": float(value)
                for share, value in zip(self.missing, accuracy, strict=True)
            }
        return TaskResult(scalars, arrays, {self.title: _draw(table)})


def _draw(table: np.ndarray) -> Figure:
    """The confusion matrix, each row as shares of its label, counts written where there is room."""
    figure = new_figure(5.5, 5, 120)
    axes = figure.add_subplot()
    axes.imshow(table / np.maximum(table.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    if len(table) <= 12:
        for row, column in zip(*np.nonzero(table), strict=True):
            axes.text(column, row, str(table[row, column]), ha="center", va="center", fontsize=7)
    axes.set_xlabel("guess")
    axes.set_ylabel("label")
    return figure
