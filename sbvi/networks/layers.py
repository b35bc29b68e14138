"""Layers that networks are made of, built with Flax NNX."""

import itertools
from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbvi.core.xla.sums import down_columns
from sbvi.networks.activations import ACTIVATIONS, ActivationName
from sbvi.networks.dropout import Dropout, thinned
from sbvi.networks.keys import Keys

Array = jax.Array


class Affine(nnx.Module):
    """x W + b from a Glorot-uniform W and b = 0, with b as a product with ones.

    The gradient of b, a sum over rows, is a product then too. XLA's CPU compiler would have such a sum by itself
    read what the products beside it have written: a step with five samples or more takes a twelfth longer.
    """

    def __init__(self, inputs: int, outputs: int, rngs: Keys):
        self.kernel = nnx.Param(rngs.glorot((inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Array, before: Array | None = None) -> Array:
        """(..., inputs) -> (..., outputs). before: a matrix (inputs', inputs) that x (..., inputs') meets first, made
        one with W."""
        kernel = self.kernel[...] if before is None else before @ self.kernel[...]
        result: Array = x @ kernel + down_columns(self.bias[...], x.shape[:-1])
        return result

    def set_bias(self, values: np.ndarray | Array) -> None:
        self.bias.set_value(jnp.asarray(values, self.bias[...].dtype))


class _LayerNorm(nnx.LayerNorm):
    """Flax's, which promotes types in float64 even where JAX is told not to."""

    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        with jax.numpy_dtype_promotion("standard"):
            result: Array = super().__call__(x, mask=mask)
        return result


def layer_norm(size: int, rngs: Keys) -> nnx.LayerNorm:
    """(x - mean) / sqrt(variance) * scale + bias over the last axis (Ba et al. 2016): of each row by itself, so that
    what an example becomes depends on no other, on any number of devices."""
    return _LayerNorm(size, use_fast_variance=False, rngs=rngs)  # type: ignore[arg-type]  # asked for params() alone


class MLP(nnx.Module):
    """Linear layers with an activation after each but, on request, the last; and, on request, before all."""

    normalised: ClassVar[bool] = False

    def __init__(
        self,
        sizes: Sequence[int],
        activation: ActivationName,
        rngs: Keys,
        *,
        activate_first: bool = False,
        activate_last: bool = False,
    ):
        self.layers = nnx.List([Affine(i, o, rngs) for i, o in itertools.pairwise(sizes)])
        self.activation = activation
        self.activate_first, self.activate_last = activate_first, activate_last

    @property
    def last(self) -> Affine:
        """The last layer."""
        last: Affine = self.layers[-1]
        return last

    def set_bias(self, values: np.ndarray | Array) -> None:
        """Of the last layer."""
        self.last.set_bias(values)

    def joins(self, rows: int) -> bool:
        """Whether x B W can be had for less as x (B W), with so many rows of x: a step makes three products of each,
        and saves 3 k^2 (rows - m) multiplications for B (k, k) and W (k, m)."""
        return not self.activate_first and rows >= 2 * self.layers[0].kernel.shape[-1]

    def __call__(self, x: Array, before: Array | None = None, dropout: Dropout | None = None) -> Array:
        """(..., sizes[0]) -> (..., sizes[-1]). before: a matrix that x meets first, for a network that `joins` it.
        dropout: of the units after every activation that is not the first."""
        function = ACTIVATIONS[self.activation].function
        if self.activate_first:
            x = function(x)
        for position, layer in enumerate(self.layers):
            x = layer(x, None if position else before)
            if self.activate_last or position + 1 < len(self.layers):
                x = thinned(function(x), dropout, position)
        return x
