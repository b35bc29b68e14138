"""Rank-one precision, C^-1 = D + u u^T: O(K), one correlated direction (PAPER eq. 19-21).

With w = D^-1/2 u, s = w^T w and eta = 1 / (1 + s):

    R       = D^-1/2 (I - eta / (1 + sqrt(eta)) w w^T)        (the stable form of eq. 21)
    log |C| = log eta - sum log d
    Tr C    = sum 1/d - eta sum (u/d)^2
"""

from typing import NamedTuple

import jax.numpy as jnp

from sbvi.core.xla.sums import along_rows, row_sums
from sbvi.distributions.gaussian import Array


class RankOneGaussian(NamedTuple):
    """N(mean, (diag(exp(log_precision)) + u u^T)^-1); all (B, K)."""

    mean: Array
    log_precision: Array
    u: Array

    def _white(self) -> tuple[Array, Array, Array]:
        """D^-1/2 (B, K), w = D^-1/2 u (B, K), s = w^T w (B, 1)."""
        inverse_root = jnp.exp(-0.5 * self.log_precision)
        w = self.u * inverse_root
        return inverse_root, w, row_sums(jnp.square(w))

    def scale(self, noise: Array) -> Array:
        inverse_root, w, s = self._white()
        eta, size = 1 / (1 + s), w.shape[-1]
        removed = along_rows(eta / (1 + jnp.sqrt(eta)), size) * w
        return inverse_root[None] * (noise - removed[None] * along_rows(row_sums(w[None] * noise), size))

    def unscale(self, offset: Array) -> Array:
        # R^-1 = (I + (sqrt(1+s) - 1)/s w w^T) D^1/2, and (sqrt(1+s) - 1)/s = 1/(1 + sqrt(1+s)).
        _, w, s = self._white()
        white = jnp.exp(0.5 * self.log_precision)[None] * offset
        added = along_rows(1 / (1 + jnp.sqrt(1 + s)), w.shape[-1]) * w
        return white + added[None] * along_rows(row_sums(w[None] * white), w.shape[-1])

    def covariance_times(self, vector: Array) -> Array:
        inverse_root, w, s = self._white()
        white = inverse_root[None] * vector
        along = jnp.sum(w[None] * white, -1, keepdims=True)
        return inverse_root[None] * (white - (w / (1 + s))[None] * along)

    def variance(self) -> Array:
        # 1 - w_k^2 / (1 + s), where w_k^2 is most of s, by the others' sum: a difference would have no digits left.
        inverse_root, w, s = self._white()
        none, squares = jnp.zeros_like(s), jnp.square(w)
        before = jnp.concatenate([none, jnp.cumsum(squares[..., :-1], -1)], -1)
        after = jnp.concatenate([jnp.cumsum(squares[..., :0:-1], -1)[..., ::-1], none], -1)
        return jnp.square(inverse_root) * (1 + before + after) / (1 + s)

    def log_det(self) -> Array:
        _, _, s = self._white()
        return -jnp.sum(self.log_precision, -1) - jnp.log1p(s[..., 0])

    def kl(self) -> Array:
        inverse_root, w, s = self._white()
        diagonal = row_sums(jnp.expm1(-self.log_precision) + self.log_precision + jnp.square(self.mean))
        return 0.5 * (diagonal - row_sums(jnp.square(w * inverse_root)) / (1 + s) + jnp.log1p(s))[..., 0]
