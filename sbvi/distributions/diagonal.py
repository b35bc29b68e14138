"""Diagonal covariance, C = diag(sigma^2): O(K)."""

from typing import NamedTuple

import jax.numpy as jnp

from sbvi.distributions.gaussian import Array


class DiagonalGaussian(NamedTuple):
    """N(mean, diag(exp(log_scale))^2); both (B, K)."""

    mean: Array
    log_scale: Array

    def scale(self, noise: Array) -> Array:
        return jnp.exp(self.log_scale)[None] * noise

    def unscale(self, offset: Array) -> Array:
        return jnp.exp(-self.log_scale)[None] * offset

    def covariance_times(self, vector: Array) -> Array:
        return jnp.exp(2 * self.log_scale)[None] * vector

    def variance(self) -> Array:
        return jnp.exp(2 * self.log_scale)

    def log_det(self) -> Array:
        return 2 * jnp.sum(self.log_scale, -1)

    def kl(self) -> Array:
        # expm1 keeps the digits of sigma^2 - 1 - log sigma^2 near the prior.
        log_variance = 2 * self.log_scale
        return 0.5 * jnp.sum(jnp.expm1(log_variance) - log_variance + jnp.square(self.mean), -1)
