"""Bernoulli likelihood of binary data on logits."""

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.config import spec
from sbvi.distributions.likelihood import Array


def log_bernoulli(logits: Array, x: Array) -> Array:
    """x l - log(1 + exp(l)), elementwise.

    The split at zero is a `where`: JAX takes the derivative of |l| at 0 as 1, and with `max` in its
    place the gradient at logit 0 would be off by one half.
    """
    return x * logits - jnp.where(logits >= 0, logits, jnp.zeros_like(logits)) - jnp.log1p(jnp.exp(-jnp.abs(logits)))


@spec
class Bernoulli:
    """p(x_d = 1) = sigmoid(logit_d)."""

    binary = True

    def outputs(self, size: int) -> int:
        return size

    def free(self, size: int) -> int:
        return 0

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        clipped = np.clip(mean, 0.001, 0.999)
        return np.log(clipped) - np.log1p(-clipped)

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return np.zeros(0)

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        return jnp.sum(log_bernoulli(outputs, x[None]), -1)

    def mean(self, outputs: Array, free: Array) -> Array:
        return jax.nn.sigmoid(outputs)

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        return jax.random.bernoulli(key, jax.nn.sigmoid(outputs)).astype(outputs.dtype)

    def output_precision(self, outputs: Array, free: Array) -> Array:
        p = jax.nn.sigmoid(outputs)
        return p * (1 - p)
