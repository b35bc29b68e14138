"""Layers that networks are made of, built with Flax NNX."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbvi.distributions.sums import down_columns
from sbvi.models.activations import ACTIVATIONS, ActivationName

Array = jax.Array


class Affine(nnx.Module):
    """x W + b from a Glorot-uniform W and b = 0, with b as a product with ones.

    The gradient of b, a sum over rows, is a product then too. XLA's CPU compiler would have such a sum by itself
    read what the products beside it have written: a step with five samples or more takes a twelfth longer.
    """

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs):
        self.kernel = nnx.Param(nnx.initializers.glorot_uniform()(rngs.params(), (inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Array) -> Array:
        """(..., inputs) -> (..., outputs)."""
        result: Array = x @ self.kernel[...] + down_columns(self.bias[...], x.shape[:-1])
        return result

    def set_bias(self, values: np.ndarray) -> None:
        self.bias[...] = jnp.asarray(values, self.bias[...].dtype)


class MLP(nnx.Module):
    """Linear layers with an activation after each but, on request, the last; and, on request, before all."""

    def __init__(
        self,
        sizes: Sequence[int],
        activation: ActivationName,
        rngs: nnx.Rngs,
        *,
        activate_first: bool = False,
        activate_last: bool = False,
    ):
        self.layers = nnx.List([Affine(i, o, rngs) for i, o in itertools.pairwise(sizes)])
        self.activation = activation
        self.activate_first, self.activate_last = activate_first, activate_last

    def set_bias(self, values: np.ndarray) -> None:
        """Of the last layer."""
        self.layers[-1].set_bias(values)

    def __call__(self, x: Array) -> Array:
        function = ACTIVATIONS[self.activation].function
        if self.activate_first:
            x = function(x)
        for position, layer in enumerate(self.layers):
            x = layer(x)
            if self.activate_last or position + 1 < len(self.layers):
                x = function(x)
        return x
