"""Learning-rate schedules, evaluated on the host for many steps at once and fed to the scanned loop."""

from typing import Literal

import numpy as np

from sbvi.core import NonNegative, Positive, spec


@spec
class Schedule:
    """A factor on the learning rate over training.

    constant: 1. cosine: from 1 to `final` along half a cosine over the whole run.
    exponential: from 1 to `final` geometrically over the whole run.
    staged: 1, then `factors[i]` from epoch `boundaries[i]` on, each of the learning rate itself.
    A linear warm-up over `warmup_epochs` multiplies any of them: what falls from the first step on, a cosine, an
    exponential or an early stage, falls under it, and the learning rate itself is then not quite reached.
    """

    kind: Literal["constant", "cosine", "exponential", "staged"] = "constant"
    """Shape of the schedule."""
    final: NonNegative = 0.0
    """Factor at the end of a cosine or exponential schedule."""
    boundaries: tuple[Positive, ...] = ()
    """Epochs at which a staged schedule changes."""
    factors: tuple[Positive, ...] = ()
    """Factors of a staged schedule, one for each boundary: each of the learning rate, not of the stage before."""
    warmup_epochs: NonNegative = 0.0
    """Length of a linear warm-up from zero, a factor on the schedule's: a cosine or exponential falls meanwhile."""

    def __post_init__(self) -> None:
        if self.kind == "exponential" and not self.final:
            raise ValueError("schedule.final=0 cannot be reached by kind=exponential; give a positive factor")
        if len(self.boundaries) != len(self.factors):
            raise ValueError("schedule.boundaries and schedule.factors must have the same length")
        if self.kind == "staged" and not self.boundaries:
            raise ValueError("schedule.kind=staged needs schedule.boundaries and schedule.factors")
        if list(self.boundaries) != sorted(self.boundaries):
            raise ValueError(f"schedule.boundaries={list(self.boundaries)} must rise")

    def idle(self) -> dict[str, str]:
        staged, ends = self.kind == "staged", self.kind in ("cosine", "exponential")
        found = {} if staged else dict.fromkeys(("boundaries", "factors"), "kind=staged")
        return found if ends else found | {"final": "kind=cosine or exponential"}

    def at(self, steps: np.ndarray, steps_per_epoch: float, total_steps: int) -> np.ndarray:
        """The factor at each step."""
        progress = np.clip(steps / max(1, total_steps), 0.0, 1.0)
        factor = np.ones(steps.shape)
        if self.kind == "cosine":
            factor = self.final + (1 - self.final) * 0.5 * (1 + np.cos(np.pi * progress))
        elif self.kind == "exponential":
            factor = self.final**progress
        elif self.kind == "staged":
            stage = np.searchsorted(np.array(self.boundaries) * steps_per_epoch, steps, side="right")
            factor = np.array([1.0, *self.factors])[stage]
        if self.warmup_epochs:
            factor = factor * np.minimum(1.0, (steps + 1) / (self.warmup_epochs * steps_per_epoch))
        return factor
