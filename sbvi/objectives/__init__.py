"""Bounds on the log-likelihood, as small frozen values that read nothing but a rollout.

To add one: a module with a `spec` that is called with (roll, kl_weight) and returns the loss to
differentiate and the parts to report; a line in OBJECTIVES; a file in `configs/objective/`; a row in
the contract test.
"""

from typing import Protocol

from sbvi.objectives.free_energy import FreeEnergy
from sbvi.objectives.importance_weighted import ImportanceWeighted
from sbvi.objectives.pieces import Array, KLWeight, Report, Roll
from sbvi.objectives.renyi import Renyi


class Objective(Protocol):
    """monitor: the reported part that says how good a model is (higher is better)."""

    @property
    def monitor(self) -> str: ...

    @property
    def kl_weight(self) -> KLWeight: ...

    def __call__(self, roll: Roll, kl_weight: Array) -> tuple[Array, Report]: ...


OBJECTIVES: dict[str, type] = {
    "free_energy": FreeEnergy,
    "importance_weighted": ImportanceWeighted,
    "renyi": Renyi,
}

__all__ = ["OBJECTIVES", "FreeEnergy", "ImportanceWeighted", "KLWeight", "Objective", "Renyi", "Report", "Roll"]
