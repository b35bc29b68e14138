"""Scores many samples a piece at a time, where that is faster: the draws and the numbers stay the same."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sbvi.distributions.gaussian import Gaussian
from sbvi.gradients import Integrand
from sbvi.gradients.rule import Array, Nodes, draw

#: Rows of outputs (samples times examples) that one core's cache holds. A program for several cores gains more by
#: larger products.
ROWS = 400


class InPieces(NamedTuple):
    """A rule that draws all samples and scores them in so many pieces, one after the other; for values alone."""

    pieces: int

    def __call__(self, key: Array, q: Mapping[str, Gaussian], f: Integrand, num_samples: int) -> tuple[Nodes, Array]:
        points = draw(key, q, num_samples)
        if num_samples % self.pieces:  # such as the single sample whose shapes an estimate asks for
            return points, f(points)
        size = num_samples // self.pieces

        def piece(first: Array) -> Array:
            # Cut out here: draws in another shape would be another array, for which XLA's CPU compiler draws twice.
            return f({name: jax.lax.dynamic_slice_in_dim(p, first, size) for name, p in points.items()})

        values = jax.lax.map(piece, size * jnp.arange(self.pieces))
        return points, values.reshape(num_samples, -1)


def fitting(samples: int, examples: int, single: bool) -> InPieces:
    """One piece, or for a single core the fewest pieces of at most ROWS rows."""
    if not single:
        return InPieces(1)
    whole = (n for n in range(1, samples + 1) if samples % n == 0 and samples // n * examples <= ROWS)
    return InPieces(next(whole, samples))
