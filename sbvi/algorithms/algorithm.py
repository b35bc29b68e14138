"""What every training algorithm is: three pure functions, and the numbers they take at each step."""

from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from sbvi.data import Batch

Array = jax.Array
Hyper = dict[str, Array]


class Info(NamedTuple):
    """Scalars of one step: `loss`, and the parts of the bound as means over the batch."""

    scalars: dict[str, Array]


class Algorithm(Protocol):
    """monitor: the validation scalar that says how good a state is (higher is better)."""

    @property
    def monitor(self) -> str: ...

    def init(self, seed: int, mean: np.ndarray, spread: np.ndarray) -> Any:
        """The first state; mean and spread (D,) are of the training data."""

    def step(self, state: Any, batch: Batch, key: Array, hyper: Hyper) -> tuple[Any, Info]:
        """One update."""

    def eval_params(self, state: Any) -> Any:
        """The model parameters to evaluate."""

    def with_params(self, state: Any, params: Any) -> Any:
        """A fresh state that starts from given model parameters."""

    def hypers(self, steps: np.ndarray, steps_per_epoch: float, total_steps: int) -> dict[str, np.ndarray]:
        """The numbers of each step, each (len(steps),)."""
