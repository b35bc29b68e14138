"""The component-wise units that a network may name, each with an estimator of its own."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from sbvi.inference.ml_vamp.piecewise import PiecewiseUnit
from sbvi.inference.ml_vamp.smooth import SmoothUnit
from sbvi.inference.ml_vamp.threshold import ThresholdUnit

Unit = PiecewiseUnit | ThresholdUnit | SmoothUnit

# Written out once: a unit is a static argument of the compiled step, and equal units share a program.
UNITS: dict[str, Unit] = {
    "relu": PiecewiseUnit(),
    "leaky_relu": PiecewiseUnit(0.01),
    "threshold": ThresholdUnit(),
    "sign": ThresholdUnit(low=-1.0),
    "probit": ThresholdUnit(noise=1.0),
    "tanh": SmoothUnit(jnp.tanh, analytic=True),
    "sigmoid": SmoothUnit(jax.nn.sigmoid, analytic=True),
    "softplus": SmoothUnit(jax.nn.softplus, analytic=True),
    "silu": SmoothUnit(jax.nn.silu, analytic=True),
    "gelu": SmoothUnit(jax.nn.gelu, analytic=True),
    "elu": SmoothUnit(jax.nn.elu),
}


def smooth(function: Callable[[jax.Array], jax.Array]) -> SmoothUnit:
    """A unit of the user's own: any twice differentiable element-wise function."""
    return SmoothUnit(function)
