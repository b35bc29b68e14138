"""Dropout of the units of deterministic layers, at training only (Srivastava et al. 2014).

h' = h m / (1 - r),    m ~ Bernoulli(1 - r), for every unit of every row by itself
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from sbvi.core.xla.random_bits import words

Array = jax.Array


@dataclass(frozen=True)
class Dropout:
    """Which units are left out: a function of the key, the layer, and the row's place among the leading axes, so that a
    network that is called again with the same points leaves out the same.

    rate: the probability r that a unit is zero, a scalar. leading: the axes that the rows were flattened from.
    """

    key: Array
    rate: Array
    leading: Sequence[int]

    def within(self, part: int) -> "Dropout":
        """Of a part of the network by itself."""
        return replace(self, key=jax.random.fold_in(self.key, part))

    def __call__(self, h: Array, layer: int) -> Array:
        """h (rows, width) of the layer at this place, thinned and scaled up."""
        bits = words(jax.random.fold_in(self.key, layer), (*self.leading, h.shape[-1])).reshape(h.shape)
        dropped = (bits >> jnp.uint32(8)).astype(h.dtype) < self.rate * 2**24  # exact in float32
        return jnp.where(dropped, jnp.zeros_like(h), h / (1 - self.rate))


def thinned(h: Array, dropout: Dropout | None, layer: int) -> Array:
    """h (rows, width), or what dropout leaves of it."""
    return h if dropout is None else dropout(h, layer)
