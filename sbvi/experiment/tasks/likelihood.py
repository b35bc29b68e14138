"""Test likelihood of a trained run, with per-example values."""

from typing import Literal

from sbvi.config import PositiveInt, spec
from sbvi.evaluation import Evaluator
from sbvi.experiment.run import LoadedRun
from sbvi.experiment.tasks.data import run_dataset
from sbvi.experiment.tasks.task import Findings


@spec
class LikelihoodTask:
    """-log p(x) by importance sampling from the recognition model."""

    split: Literal["train", "validation", "test"] = "test"
    """Which part of the data."""
    num_samples: PositiveInt = 5000
    """Importance samples S for each example."""

    @property
    def title(self) -> str:
        return f"likelihood-{self.split}"

    def run(self, run: LoadedRun) -> Findings:
        """Scalars named `<split>/...`, and per-example arrays (N,)."""
        evaluator = Evaluator(run.model, run.experiment.objective, run_dataset(run), run.experiment.evaluation)
        return Findings(*evaluator.summary(run.params, self.split, self.num_samples))
