"""Bernoulli likelihood of binary data on logits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from sbvi.config import spec
from sbvi.distributions.likelihood import Array


@jax.custom_jvp
def log_bernoulli(logits: Array, x: Array) -> Array:
    """x l - log(1 + exp(l)), elementwise, for logits and x of one shape.

    The derivative is stated, x - sigmoid(l): back-propagation then keeps one array of this size instead
    of four, and nothing is left to JAX's derivative of |l| at 0, which is 1.
    """
    return x * logits - jnp.where(logits >= 0, logits, jnp.zeros_like(logits)) - jnp.log1p(jnp.exp(-jnp.abs(logits)))


def _log_bernoulli_jvp(primals: tuple[Array, Array], tangents: tuple[Any, Any]) -> tuple[Array, Array]:
    logits, x = primals
    towards_logits, towards_x = tangents
    slope = jnp.zeros_like(logits)
    if not isinstance(towards_logits, SymbolicZero):
        slope = slope + (x - jax.nn.sigmoid(logits)) * towards_logits
    if not isinstance(towards_x, SymbolicZero):
        slope = slope + logits * towards_x
    return log_bernoulli(logits, x), slope


log_bernoulli.defjvp(_log_bernoulli_jvp, symbolic_zeros=True)


@spec
class Bernoulli:
    """p(x_d = 1) = sigmoid(logit_d)."""

    binary = True
    discrete = True

    def check(self, levels: int | None) -> None:
        """Binary data is told by its own flag."""

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
        return jnp.sum(log_bernoulli(outputs, jnp.broadcast_to(x[None], outputs.shape)), -1)

    def mean(self, outputs: Array, free: Array) -> Array:
        return jax.nn.sigmoid(outputs)

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        return jax.random.bernoulli(key, jax.nn.sigmoid(outputs)).astype(outputs.dtype)

    def output_precision(self, outputs: Array, free: Array) -> Array:
        p = jax.nn.sigmoid(outputs)
        return p * (1 - p)
