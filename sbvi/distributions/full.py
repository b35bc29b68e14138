"""Full covariance by its Cholesky factor, C = L L^T: O(K^2) a sample, O(K^2) outputs."""

from typing import NamedTuple

import jax.numpy as jnp

from sbvi.core.xla.matrices import solve_lower
from sbvi.distributions.gaussian import Array


class FullGaussian(NamedTuple):
    """N(mean, L L^T); mean, log_diagonal (B, K), below (B, K, K), of which what is below the diagonal counts.

    L = diag(exp(log_diagonal)) + below. Whoever moves these along gradients moves no other entry.
    """

    mean: Array
    log_diagonal: Array
    below: Array

    def _factor(self) -> Array:
        identity = jnp.eye(self.mean.shape[-1], dtype=self.mean.dtype)[None]
        return jnp.tril(self.below, -1) + identity * jnp.exp(self.log_diagonal)[..., None]

    def scale(self, noise: Array) -> Array:
        return jnp.einsum("bij,sbj->sbi", self._factor(), noise)

    def unscale(self, offset: Array) -> Array:
        solved = solve_lower(self._factor(), jnp.transpose(offset, (1, 2, 0)))
        return jnp.transpose(solved, (2, 0, 1))

    def covariance_times(self, vector: Array) -> Array:
        factor = self._factor()
        return jnp.einsum("bij,sbj->sbi", factor, jnp.einsum("bji,sbj->sbi", factor, vector))

    def variance(self) -> Array:
        return jnp.sum(jnp.square(self._factor()), -1)

    def log_det(self) -> Array:
        return 2 * jnp.sum(self.log_diagonal, -1)

    def kl(self) -> Array:
        log_variance = 2 * self.log_diagonal
        diagonal = jnp.sum(jnp.expm1(log_variance) - log_variance + jnp.square(self.mean), -1)
        return 0.5 * (diagonal + jnp.sum(jnp.square(jnp.tril(self.below, -1)), (-2, -1)))
