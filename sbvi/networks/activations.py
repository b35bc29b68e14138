"""Activations by name, and whether each is twice differentiable everywhere."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.core.xla.silu import silu


class Activation(NamedTuple):
    """smooth: no kinks, so that its Hessian is what automatic differentiation gives."""

    function: Callable[[jax.Array], jax.Array]
    smooth: bool


ActivationName = Literal["relu", "leaky_relu", "elu", "gelu", "identity", "sigmoid", "silu", "softplus", "tanh"]

ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(jax.nn.relu, smooth=False),
    "leaky_relu": Activation(jax.nn.leaky_relu, smooth=False),
    "elu": Activation(jax.nn.elu, smooth=False),
    "gelu": Activation(jax.nn.gelu, smooth=True),
    "identity": Activation(lambda x: x, smooth=True),
    "sigmoid": Activation(jax.nn.sigmoid, smooth=True),
    "silu": Activation(silu, smooth=True),
    "softplus": Activation(jax.nn.softplus, smooth=True),
    "tanh": Activation(jnp.tanh, smooth=True),
}
