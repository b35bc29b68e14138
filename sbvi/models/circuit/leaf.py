"""Families of leaves: K densities of every variable of every region, (n, s, K) parameters each.

A family works on x (n, s, B) with `seen` (n, s, B or 1), one where a value is observed and zero where it is summed out
(and where a region has no variable). A region's leaf is the product of its variables', so its value is (n, B, K).
Parameters are free; what they stand for keeps its bounds. `responsibility` (n, B, K) is a leaf's posterior probability.
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
Free = dict[str, Array]
HIGHEST = jax.lax.Precision.HIGHEST


class Leaf(Protocol):
    """discrete: of whole levels, not a density."""

    discrete: bool

    def init(self, noise: Array, mean: Array, spread: Array) -> Free:
        """Near the data's mean and spread (n, s), apart by standard normal noise (n, s, K)."""

    def log_density(self, free: Free, x: Array, seen: Array) -> Array:
        """(n, B, K)."""

    def log_peak(self, free: Free) -> Array:
        """log max_x p(x) of every leaf, (n, s, K)."""

    def statistics(self, free: Free, responsibility: Array, x: Array, seen: Array) -> Any:
        """Sums over examples of responsibility times sufficient statistics; where it offers `Recentring`, about the
        centre of these parameters."""

    def maximise(self, free: Free, statistics: Any, pseudocount: float) -> Free:
        """The parameters of greatest expected log-likelihood, the pseudocount spread over a leaf's values."""

    def mean(self, free: Free) -> Array:
        """E[x], (..., K) as the parameters are."""

    def mode(self, free: Free) -> Array:
        """arg max of the density."""

    def sample(self, key: Array, free: Free) -> Array:
        """A draw for each parameter."""


def summed(x: Array, weight: Array) -> Array:
    """sum_s x_nsb w_nsk, (n, B, K); for regions of one variable without a matrix product."""
    if x.shape[1] == 1:
        return x[:, 0, :, None] * weight[:, 0, None, :]
    return jnp.einsum("nsb,nsk->nbk", x, weight, precision=HIGHEST)


def moment(responsibility: Array, x: Array) -> Array:
    """sum_b r_nbk x_nsb, (n, s, K); x (n, s, 1) is the same for all b."""
    if x.shape[-1] == 1:
        return x * jnp.sum(responsibility, 1)[:, None]
    return jnp.einsum("nbk,nsb->nsk", responsibility, x, precision=HIGHEST)


def rows(free: Free, index: Array) -> Free:
    """Parameters of one leaf for each entry of a flat index over (n, s, K)."""

    def picked(array: Array) -> Array:
        flat = array.reshape(-1, *array.shape[3:])
        return jnp.take(flat, index, axis=0)

    return {name: picked(value) for name, value in free.items()}


def region_order(leaves: np.ndarray, variables: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, s) variables with padding pointed at an extra variable, and one where there is a variable."""
    real = leaves >= 0
    return np.where(real, leaves, variables).astype(np.int32), real
