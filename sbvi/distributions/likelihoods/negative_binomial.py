"""Negative binomial likelihood of counts that vary more than a Poisson law's do."""

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import spec
from sbvi.core.xla.bounded import bounded, unbounded
from sbvi.distributions.likelihoods.counts import log_negative_binomial
from sbvi.distributions.likelihoods.levels import Counts
from sbvi.distributions.likelihoods.likelihood import Array, row
from sbvi.distributions.likelihoods.poisson import LEAST, initial_log_rate


@spec
class NegativeBinomial(Counts):
    """A Poisson law whose rate is drawn from a gamma law of shape r_d and mean m_d:

        p(k) = Gamma(k + r) / (Gamma(r) k!) (r / (r + m))^r (m / (r + m))^k,   variance m + m^2 / r

    with x_d = k_d / levels, the mean's logarithm from the network and r learned, one for each dimension.
    """

    def outputs(self, size: int) -> int:
        return size

    def free(self, size: int) -> int:
        return size

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return initial_log_rate(mean * self.levels)

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """r by the moments, variance = m + m^2 / r, as `log_probs` takes it."""
        m, variance = np.maximum(mean * self.levels, LEAST), np.square(spread * self.levels)
        return unbounded(np.log(np.clip(np.square(m) / np.maximum(variance - m, LEAST), 0.1, 1000.0)))

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        return jnp.sum(self.log_probs(outputs, free, x[None]), -1)

    def log_probs(self, outputs: Array, free: Array, x: Array) -> Array:
        count, log_mean, log_shape = jnp.round(x * self.levels), bounded(outputs), row(bounded(free), outputs.ndim)
        return log_negative_binomial(count, log_mean, log_shape)

    def mean(self, outputs: Array, free: Array) -> Array:
        return jnp.exp(bounded(outputs)) / self.levels

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        first, second = jax.random.split(key)
        mean, shape = jnp.exp(bounded(outputs)), row(jnp.exp(bounded(free)), outputs.ndim)
        gamma = jax.random.gamma(first, jnp.broadcast_to(shape, mean.shape), mean.shape, mean.dtype)
        drawn = jax.random.poisson(second, gamma * mean / shape, dtype=jnp.int32)
        return drawn.astype(outputs.dtype) / self.levels

    def output_precision(self, outputs: Array, free: Array) -> Array:
        mean, shape = jnp.exp(bounded(outputs)), row(jnp.exp(bounded(free)), outputs.ndim)
        slope = jax.jvp(bounded, (outputs,), (jnp.ones_like(outputs),))[1]
        return mean * shape / (mean + shape) * jnp.square(slope)
