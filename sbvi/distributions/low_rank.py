"""Low-rank precision, C^-1 = D + U U^T with U of rank r: O(K r^2 + r^3) (PAPER 3.4, item 4).

With W = D^-1/2 U and S = I + W^T W = L L^T (Cholesky, r x r):

    R       = D^-1/2 (I - W M W^T),   M = L^-T (I + L)^-1
    log |C| = -sum log d - log |S|
    Tr C    = sum 1/d - Tr(S^-1 U^T D^-2 U)

R R^T = C holds since L^T (M + M^T - M (S - I) M^T) L = I. The Cholesky factor in place of the matrix
root of S gives a derivative everywhere, also where eigenvalues of S coincide.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from sbvi.config import PositiveInt, spec
from sbvi.distributions.gaussian import Array, Gaussian, bounded


class LowRankGaussian(NamedTuple):
    """N(mean, (diag(exp(log_precision)) + U U^T)^-1); mean, log_precision (B, K), u (B, K, r)."""

    mean: Array
    log_precision: Array
    u: Array

    def _white(self) -> tuple[Array, Array, Array]:
        """D^-1/2 (B, K), W (B, K, r), the Cholesky factor L of I + W^T W (B, r, r)."""
        inverse_root = jnp.exp(-0.5 * self.log_precision)
        w = self.u * inverse_root[..., None]
        gram = jnp.einsum("bkr,bkt->brt", w, w)
        return inverse_root, w, jnp.linalg.cholesky(gram + jnp.eye(w.shape[-1], dtype=w.dtype)[None])

    def scale(self, noise: Array) -> Array:
        inverse_root, w, factor = self._white()
        along = jnp.einsum("bkr,sbk->brs", w, noise)
        identity = jnp.eye(w.shape[-1], dtype=w.dtype)[None]
        inner = solve_triangular(factor + identity, along, lower=True)
        inner = solve_triangular(factor, inner, lower=True, trans="T")
        return inverse_root[None] * (noise - jnp.einsum("bkr,brs->sbk", w, inner))

    def unscale(self, offset: Array) -> Array:
        # (I - W M W^T)^-1 = I + W N W^T with N = (M^-1 - (S - I))^-1 and M^-1 = (I + L) L^T.
        _, w, factor = self._white()
        white = jnp.exp(0.5 * self.log_precision)[None] * offset
        along = jnp.einsum("bkr,sbk->brs", w, white)
        # M^-1 - S + I = L^T + I, so N = (I + L^T)^-1.
        identity = jnp.eye(w.shape[-1], dtype=w.dtype)[None]
        inner = solve_triangular(factor + identity, along, lower=True, trans="T")
        return white + jnp.einsum("bkr,brs->sbk", w, inner)

    def covariance_times(self, vector: Array) -> Array:
        inverse_root, w, factor = self._white()
        white = inverse_root[None] * vector
        along = jnp.einsum("bkr,sbk->brs", w, white)
        inner = solve_triangular(factor, along, lower=True)
        inner = solve_triangular(factor, inner, lower=True, trans="T")
        return inverse_root[None] * (white - jnp.einsum("bkr,brs->sbk", w, inner))

    def variance(self) -> Array:
        inverse_root, w, factor = self._white()
        inner = solve_triangular(factor, jnp.swapaxes(w, -1, -2), lower=True)
        return jnp.square(inverse_root) * (1 - jnp.sum(jnp.square(inner), -2))

    def log_det(self) -> Array:
        _, _, factor = self._white()
        return -jnp.sum(self.log_precision, -1) - 2 * _log_diagonal(factor)

    def kl(self) -> Array:
        inverse_root, w, factor = self._white()
        diagonal = jnp.sum(jnp.expm1(-self.log_precision) + self.log_precision + jnp.square(self.mean), -1)
        inner = solve_triangular(factor, jnp.swapaxes(w * inverse_root[..., None], -1, -2), lower=True)
        return 0.5 * (diagonal - jnp.sum(jnp.square(inner), (-2, -1)) + 2 * _log_diagonal(factor))


def _log_diagonal(factor: Array) -> Array:
    return jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), -1)


@spec
class LowRank:
    """Several directions of correlation for each layer."""

    rank: PositiveInt = 4
    """Number r of directions."""

    joint = False

    def outputs(self, size: int) -> int:
        return (2 + self.rank) * size

    def initial_outputs(self, size: int, scale: float) -> np.ndarray:
        return np.repeat([0.0, -2 * np.log(scale), 0.0], [size, size, size * self.rank])

    def distribution(self, outputs: Array, size: int) -> Gaussian:
        mean, log_precision, u = jnp.split(outputs, [size, 2 * size], axis=-1)
        return LowRankGaussian(mean, bounded(log_precision), u.reshape(*u.shape[:-1], size, self.rank))
