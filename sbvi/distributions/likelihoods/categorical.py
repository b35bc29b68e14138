"""Categorical likelihood: every level of an entry has a logit of its own."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import spec
from sbvi.distributions.likelihoods.levels import Levels
from sbvi.distributions.likelihoods.likelihood import Array


def tilted(mean: np.ndarray, levels: int) -> np.ndarray:
    """theta (D,) of the law p(k) ~ exp(theta k) over 0..levels whose mean of k / levels is `mean`, by bisection."""
    k = np.arange(levels + 1)[:, None]
    low, high = np.full(mean.shape, -40.0), np.full(mean.shape, 40.0)
    wanted = np.clip(mean, 1e-3, 1 - 1e-3)
    for _ in range(60):
        middle = (low + high) / 2
        p = np.exp(middle * k - np.max(middle * k, 0))
        above = (p * k).sum(0) / p.sum(0) / levels > wanted
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


@spec
class Categorical(Levels):
    """p(x_d = k / levels) = softmax(logits_d)_k for k of 0..levels."""

    kind: ClassVar[str] = "the categories"

    def outputs(self, size: int) -> int:
        return (self.levels + 1) * size

    def free(self, size: int) -> int:
        return 0

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        k = np.arange(self.levels + 1)[:, None] - self.levels / 2
        return (tilted(mean, self.levels) * k).reshape(-1)

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return np.zeros(0)

    def log_levels(self, outputs: Array) -> Array:
        """log p of every level, (..., levels + 1, D)."""
        logits = outputs.reshape(*outputs.shape[:-1], self.levels + 1, -1)
        return jax.nn.log_softmax(logits, axis=-2)

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        return jnp.sum(self.log_probs(outputs, free, x[None]), -1)

    def log_probs(self, outputs: Array, free: Array, x: Array) -> Array:
        log_p = self.log_levels(outputs)
        level = jnp.arange(self.levels + 1, dtype=jnp.int32).reshape((1,) * (log_p.ndim - 2) + (-1, 1))
        chosen = jnp.round(x * self.levels).astype(jnp.int32)[..., None, :] == level
        return jnp.sum(jnp.where(chosen, log_p, jnp.zeros_like(log_p)), -2)

    def mean(self, outputs: Array, free: Array) -> Array:
        level = jnp.arange(self.levels + 1, dtype=outputs.dtype) / self.levels
        return jnp.einsum("...kd,k->...d", jnp.exp(self.log_levels(outputs)), level)

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        drawn = jax.random.categorical(key, self.log_levels(outputs), axis=-2)
        return drawn.astype(outputs.dtype) / self.levels

    def output_precision(self, outputs: Array, free: Array) -> Array:
        p = jnp.exp(self.log_levels(outputs))
        return (p * (1 - p)).reshape(outputs.shape)
