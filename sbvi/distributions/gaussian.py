"""What every Gaussian of this room offers, whatever the structure of its covariance C = R R^T.

Shapes: parameters describe B Gaussians over K values; noise and points carry S samples of each,
(S, B, K). Everything is in nats.
"""

from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

LOG_2PI = float(np.log(2 * np.pi))


class Gaussian(Protocol):
    """N(mean, C) for each of B rows."""

    @property
    def mean(self) -> Array:
        """(B, K)."""

    def scale(self, noise: Array) -> Array:
        """R noise, (S, B, K) -> (S, B, K)."""

    def unscale(self, offset: Array) -> Array:
        """R^-1 offset up to a rotation, so that its squared norm is the Mahalanobis one; (S, B, K)."""

    def covariance_times(self, vector: Array) -> Array:
        """C vector, (S, B, K) -> (S, B, K)."""

    def variance(self) -> Array:
        """The diagonal of C, (B, K)."""

    def log_det(self) -> Array:
        """log |C|, (B,)."""

    def kl(self) -> Array:
        """KL(N(mean, C) || N(0, I)), (B,)."""


def sample(q: Gaussian, noise: Array) -> Array:
    """mean + R noise for standard normal noise (S, B, K); PAPER eq. 10."""
    return q.mean[None] + q.scale(noise)


def log_prob(q: Gaussian, points: Array) -> Array:
    """log N(points | mean, C), (S, B, K) -> (S, B)."""
    white = q.unscale(points - q.mean[None])
    return -0.5 * (jnp.sum(jnp.square(white), -1) + (q.log_det() + q.mean.shape[-1] * LOG_2PI)[None])


def entropy(q: Gaussian) -> Array:
    """Differential entropy, (B,)."""
    return 0.5 * (q.log_det() + q.mean.shape[-1] * (LOG_2PI + 1.0))


def covariance(q: Gaussian) -> Array:
    """The dense C, (B, K, K): for looking at, and for small K. As R R^T, whose small entries keep their digits."""
    size = q.mean.shape[-1]
    identity = jnp.broadcast_to(jnp.eye(size, dtype=q.mean.dtype)[:, None, :], (size, *q.mean.shape))
    root = q.scale(identity)
    return jnp.einsum("ibk,ibl->bkl", root, root, precision=jax.lax.Precision.HIGHEST)


def standard_log_prob(points: Array) -> Array:
    """log N(points | 0, I), (..., K) -> (...)."""
    return -0.5 * (jnp.sum(jnp.square(points), -1) + points.shape[-1] * LOG_2PI)
