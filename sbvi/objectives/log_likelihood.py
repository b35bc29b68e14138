"""The log-likelihood itself, for models that know it: the loss is -log p(x)."""

from collections.abc import Mapping
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from sbvi.core import spec
from sbvi.models.capabilities import Density
from sbvi.models.spec import ModelSpec
from sbvi.objectives.compatibility import without_labels
from sbvi.objectives.view import Array, Report, View


@spec
class LogLikelihood:
    """Maximum likelihood."""

    needs: ClassVar[type] = Density
    monitor: ClassVar[str] = "log_likelihood"

    def check(self, model: ModelSpec) -> None:
        """Refuse a model with a class for every label.

        Raises:
          UserError: its classes would be no labels' when they have been trained without.
        """
        without_labels(model, "objective=log_likelihood")

    def companion(self, key: Array, size: int) -> None:
        """None."""

    def numbers(self, steps: np.ndarray, steps_per_epoch: float) -> dict[str, np.ndarray]:
        return {}

    def __call__(self, view: View, numbers: Mapping[str, Array]) -> tuple[Array, Report]:
        """The loss to differentiate (a scalar, mean over the batch), and log p(x), (B,)."""
        value = view.log_prob().value
        return -jnp.mean(value), {"log_likelihood": value}
