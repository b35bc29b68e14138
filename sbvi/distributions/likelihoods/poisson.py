"""Poisson likelihood of counts."""

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import spec
from sbvi.core.xla.bounded import bounded, unbounded
from sbvi.distributions.likelihoods.counts import log_poisson
from sbvi.distributions.likelihoods.levels import Counts
from sbvi.distributions.likelihoods.likelihood import Array

#: Least mean that a count starts from.
LEAST = 1e-3


@spec
class Poisson(Counts):
    """p(k_d) = exp(-rate_d) rate_d^k_d / k_d!, with x_d = k_d / levels and the rate's logarithm from the network."""

    def outputs(self, size: int) -> int:
        return size

    def free(self, size: int) -> int:
        return 0

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return initial_log_rate(mean * self.levels)

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return np.zeros(0)

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        return jnp.sum(self.log_probs(outputs, free, x[None]), -1)

    def log_probs(self, outputs: Array, free: Array, x: Array) -> Array:
        count, log_rate = jnp.round(x * self.levels), bounded(outputs)
        return log_poisson(count, log_rate)

    def mean(self, outputs: Array, free: Array) -> Array:
        return jnp.exp(bounded(outputs)) / self.levels

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        drawn = jax.random.poisson(key, jnp.exp(bounded(outputs)), dtype=jnp.int32)
        return drawn.astype(outputs.dtype) / self.levels

    def output_precision(self, outputs: Array, free: Array) -> Array:
        slope = jax.jvp(bounded, (outputs,), (jnp.ones_like(outputs),))[1]
        return jnp.exp(bounded(outputs)) * jnp.square(slope)


def initial_log_rate(mean: np.ndarray) -> np.ndarray:
    """The output whose rate is the mean, as far as `bounded` reaches."""
    return unbounded(np.log(np.maximum(mean, LEAST)))
