"""Likelihood of a trained run, with per-example values."""

from typing import Literal

from sbvi.core import PositiveInt, spec
from sbvi.evaluation import Evaluator
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import OWN, chosen
from sbvi.tasks.files import check_output, write_arrays
from sbvi.tasks.task import TaskResult


@spec
class LikelihoodTask:
    """-log p(x) by importance sampling from the recognition model."""

    split: Literal["train", "validation", "test"] = "test"
    """Which part of the data."""
    num_samples: PositiveInt = 5000
    """Importance samples S for each example."""
    examples: PositiveInt | None = None
    """Examples, evenly spaced over the split; null for all."""
    input: str | None = None
    """The user's own data (.npz, .npy, .csv, .tsv, .parquet) in place of the run's."""
    output: str | None = None
    """Where to write per-example values (.npz), beside the copy in the run's folder."""

    @property
    def title(self) -> str:
        return f"likelihood-{OWN if self.input is not None else self.split}"

    def run(self, run: LoadedRun) -> TaskResult:
        """Scalars named `<split>/...` or `input/...`, and per-example arrays (N,)."""
        if self.output is not None:
            check_output(self.output)
        dataset, split = chosen(run, self.split, self.examples, self.input)
        evaluator = Evaluator(run.model, dataset, run.experiment.evaluation)
        scalars, arrays = evaluator.summary(run.params, split, self.num_samples)
        if self.input is not None:
            scalars = {f"{OWN}/{name.split('/', 1)[1]}": value for name, value in scalars.items()}
        if self.output is not None:
            write_arrays(self.output, arrays)
        return TaskResult(scalars, arrays)
