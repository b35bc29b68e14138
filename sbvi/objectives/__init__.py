"""Bounds on the log-likelihood, and the log-likelihood itself, as small frozen values.

To add one: a module with a `spec` that is called with (view, numbers) and returns the loss to differentiate and the
parts to report; a line in OBJECTIVES; a file in `configs/objective/`; a row in the contract test.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from sbvi.core.plugins import extend
from sbvi.models.spec import ModelSpec
from sbvi.objectives.conditional_likelihood import ConditionalLikelihood, Hybrid
from sbvi.objectives.free_energy import FreeEnergy
from sbvi.objectives.importance_weighted import ImportanceWeighted
from sbvi.objectives.log_likelihood import LogLikelihood
from sbvi.objectives.pieces import KLWeight
from sbvi.objectives.renyi import Renyi
from sbvi.objectives.view import Array, Report, View, evaluated


class Objective(Protocol):
    """needs: the capability that it reads of a model.
    monitor: the reported part that says how good a model is (higher is better)."""

    @property
    def needs(self) -> type: ...

    @property
    def monitor(self) -> str: ...

    def check(self, model: ModelSpec) -> None:
        """Refuse a model that has the capability and still does not serve.

        Raises:
          UserError: why, and what would.
        """

    def numbers(self, steps: np.ndarray, steps_per_epoch: float) -> dict[str, np.ndarray]:
        """The objective's own numbers at each step, each (len(steps),)."""

    def companion(self, key: Array, size: int) -> Any:
        """Parameters of the objective's own, learned beside those of a model of `size` values; None for none."""

    def __call__(self, view: View, numbers: Mapping[str, Array]) -> tuple[Array, Report]:
        """The loss to differentiate (a scalar, mean over the batch), and the parts (B,) to report."""


OBJECTIVES: dict[str, type] = {
    "free_energy": FreeEnergy,
    "importance_weighted": ImportanceWeighted,
    "renyi": Renyi,
    "log_likelihood": LogLikelihood,
    "conditional_likelihood": ConditionalLikelihood,
    "hybrid": Hybrid,
}
extend(OBJECTIVES, "sbvi.objectives", ("needs", "monitor", "check", "numbers", "companion"))

__all__ = [
    "OBJECTIVES",
    "ConditionalLikelihood",
    "FreeEnergy",
    "Hybrid",
    "ImportanceWeighted",
    "KLWeight",
    "LogLikelihood",
    "Objective",
    "Renyi",
    "Report",
    "View",
    "evaluated",
]
