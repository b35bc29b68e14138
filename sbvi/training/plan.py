"""How long a run is, and at which steps it logs, validates and saves."""

from dataclasses import dataclass
from typing import Literal

from sbvi.core import NonNegative, Positive, PositiveInt, spec
from sbvi.core.errors import COUNTED


@spec
class Trainer:
    """The training loop's settings. Exactly one of steps, epochs and examples is set."""

    steps: PositiveInt | None = None
    """Length in optimiser steps."""
    epochs: Positive | None = None
    """Length in passes over the training set."""
    examples: PositiveInt | None = None
    """Length in training examples seen."""
    max_minutes: Positive | None = None
    """Wall-clock budget of training over all sessions of the run; null for none."""
    batch_size: PositiveInt = 100
    """Examples in each step."""
    log_every: PositiveInt = 250
    """Steps between log points."""
    validate_every: PositiveInt = 1000
    """Steps between validations."""
    patience: PositiveInt | None = None
    """Validations without a better value before training stops early; null for never."""
    on_nan: Literal["stop", "skip"] = "stop"
    """What to do where a loss or an update is not finite: stop with the last good checkpoint, or skip, which drops the
    update, counts it and goes on, until 100 in a row are bad, or all of a shorter run's."""
    checkpoint_minutes: NonNegative = 0.5
    """Minutes between checkpoints; 0 saves at every log point."""

    def __post_init__(self) -> None:
        given = [n for n in ("steps", "epochs", "examples") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                f"exactly one of trainer.steps, trainer.epochs and trainer.examples must be set, "
                f"and {'none is' if not given else ' and '.join(given) + ' are'}"
            )
        if self.epochs is not None and self.epochs > COUNTED:  # of any data, then, 64 bits count the steps
            raise ValueError(f"trainer.epochs={self.epochs:g} must be at most {COUNTED}")


@dataclass(frozen=True)
class Plan:
    """The trainer's settings for a training set of a given size, in steps."""

    trainer: Trainer
    examples: int

    @property
    def steps_per_epoch(self) -> float:
        return self.examples / self.trainer.batch_size

    @property
    def total_steps(self) -> int:
        t = self.trainer
        if t.steps is not None:
            return t.steps
        seen = t.examples if t.examples is not None else (t.epochs or 0) * self.examples
        return max(1, -int(-seen // t.batch_size))

    @property
    def chunk(self) -> int:
        """The most steps in one dispatch."""
        return min(self.trainer.log_every, self.total_steps)

    def stop_after(self, step: int) -> int:
        """The next step at which the host has something to do."""
        t = self.trainer
        marks = [(step // every + 1) * every for every in (t.log_every, t.validate_every)]
        return min(*marks, self.total_steps)

    def validates_at(self, step: int) -> bool:
        return step % self.trainer.validate_every == 0 or step == self.total_steps
