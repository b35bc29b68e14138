"""What every training algorithm is: pure functions, the numbers they take at each step, and what they leave."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from sbvi.core import UserError
from sbvi.data import Batch
from sbvi.models import require
from sbvi.models.rollout import Noise
from sbvi.models.spec import ModelSpec
from sbvi.models.values import DataSummary

Array = jax.Array
Hyper = dict[str, Array]


class Info(NamedTuple):
    """Scalars of one step: `loss` and the algorithm's monitor at least, means over the batch."""

    scalars: dict[str, Array]


class Algorithm(Protocol):
    """monitor: the scalar that says how good a state is (higher is better): every step reports it, and validation."""

    @property
    def monitor(self) -> str: ...

    def init(self, seed: int, summary: DataSummary) -> Any:
        """The first state."""

    def step(self, state: Any, batch: Batch, key: Array, hyper: Hyper) -> tuple[Any, Info]:
        """One update."""

    def scores(self, params: Any, key: Array, batch: Batch) -> dict[str, Array]:
        """What validation reports of evaluated parameters, (B,) each: the monitor among them."""

    def eval_params(self, state: Any) -> Any:
        """The model parameters to evaluate."""

    def keeps(self, score: float, best: float) -> bool:
        """Whether evaluated parameters that validated with this score replace those kept as the run's result."""

    def with_params(self, state: Any, params: Any) -> Any:
        """A fresh state that starts from given model parameters."""

    def hypers(self, steps: np.ndarray, steps_per_epoch: float, total_steps: int) -> dict[str, np.ndarray]:
        """The numbers of each step, each (len(steps),)."""


@runtime_checkable
class Descent(Protocol):
    """An algorithm whose steps follow the gradient of one function of all parameters.

    normalised: whether its samples are weighed by weights that sum to one, which costs a bias that falls as 1/K.
    """

    normalised: bool

    def loss(self, params: Any, key: Array, x: Array, noise: Noise) -> tuple[Array, dict[str, Array]]:
        """What a step descends for x (B, D), a mean over the examples, and its parts."""


class AlgorithmSpec:
    """What a config chooses of an algorithm. Which words of the command line (`objective`, `optimizer`) it has a use
    for is told by its fields of these names."""

    def completed(self, model: ModelSpec) -> Any:
        """The settings with every open choice made as the model calls for."""
        return self

    def check(self, model: ModelSpec) -> None:
        """Refuse a model that the algorithm cannot train.

        Raises:
          UserError: what the model lacks.
        """


def check_weighed(num_samples: int, dreams: float | None = None) -> None:
    """Refuse a recognition model that would learn from the weight of one sample, which is 1 whatever was drawn: its
    gradient has the mean zero.

    dreams: their share in that gradient; None of algorithms that have none.

    Raises:
      UserError: what would teach it.
    """
    if num_samples == 1 and not dreams:
        allowed = "2 or more" if dreams is None else "2 or more, or algorithm.dreams above 0"
        raise UserError(
            f"algorithm.num_samples=1 has one weight for each example, from which the recognition model learns "
            f"nothing; allowed: {allowed}."
        )


def needs(model: ModelSpec, capability: type, who: str) -> None:
    """Refuse the settings of a model that would lack a capability once built.

    Raises:
      UserError: see `sbvi.models.require`.
    """
    require(model.builds, capability, who)


def check_halves(model: ModelSpec, who: str) -> None:
    """Refuse a posterior with parameters of the generative model, by an algorithm that holds one half of the parameters
    while the other learns.

    Raises:
      UserError: what serves.
    """
    if model.asks_generative:
        raise UserError(
            f"{who} holds one half of the parameters while the other learns, and {model.asks_generative} has both in "
            "the recognition model; use algorithm=gradient_ascent, or leave that setting out."
        )


def check_reported(info: Info, monitor: str) -> None:
    """Refuse an algorithm whose steps do not report what the loop, the progress bar and comparisons read.

    Raises:
      UserError: the scalar that is missing.
    """
    for name in ("loss", monitor):
        if name not in info.scalars:
            raise UserError(f"The algorithm's steps must report {name}; they report {', '.join(info.scalars)}.")
