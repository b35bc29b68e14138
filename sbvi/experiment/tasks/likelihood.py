"""Test likelihood of a trained run, with per-example values."""

from typing import Any, Literal

import numpy as np

from sbvi.config import PositiveInt, UserError, spec
from sbvi.evaluation import Evaluator
from sbvi.experiment.assembly import load_dataset
from sbvi.experiment.run import LoadedRun


@spec
class LikelihoodTask:
    """-log p(x) by importance sampling from the recognition model."""

    split: Literal["train", "validation", "test"] = "test"
    """Which part of the data."""
    num_samples: PositiveInt = 5000
    """Importance samples S for each example."""

    def run(self, run: LoadedRun) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Scalars named `<split>/...`, and per-example arrays (N,)."""
        dataset = load_dataset(run.experiment)
        if dataset.digest() != run.data["digest"]:
            raise UserError(f"{run.directory.path} was trained on other data than is found now.")
        evaluator = Evaluator(run.model, run.experiment.objective, dataset, run.experiment.evaluation)
        found: tuple[dict[str, float], dict[str, Any]] = evaluator.summary(run.params, self.split, self.num_samples)
        return found
