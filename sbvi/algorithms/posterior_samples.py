"""What an algorithm offers whose result is a stack of draws of the parameters, and not one set."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from sbvi.algorithms.algorithm import Algorithm


class Draw(NamedTuple):
    """One draw of a chain: the model's parameters, and scalars of the chain's state at that moment."""

    chain: int
    params: Any
    monitors: dict[str, float]


class Stopped(NamedTuple):
    """A chain that ended before the run: at which step, and why."""

    chain: int
    step: int
    reason: str


@runtime_checkable
class SamplesPosterior(Protocol):
    """Keeps draws of the parameters. Draws are taken every so many steps once the burn-in is over."""

    def burn_in(self, total_steps: int) -> int | None:
        """The step at which the burn-in ends; None where validation tells."""

    def burned_in(self, step: int, total_steps: int, validations_since_best: int) -> bool:
        """Whether the burn-in ends at a validation."""

    def thinning(self, steps_per_epoch: float) -> int:
        """Steps from draw to draw."""

    def draws(self, state: Any) -> list[Draw]:
        """One of every chain that goes on."""

    def stopped(self, state: Any) -> list[Stopped]:
        """The chains that do not."""

    def tuning(self) -> tuple[Algorithm, float]:
        """What fits the recognition model to parameters that stay as they are, and for how many epochs."""
