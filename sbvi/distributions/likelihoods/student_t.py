"""Student-t likelihood of real values: a Gaussian's centre with heavy tails, which outliers move less."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import Positive, spec
from sbvi.core.xla.bounded import bounded
from sbvi.distributions.gaussian import LOG_2PI
from sbvi.distributions.likelihoods.counts import log_rising
from sbvi.distributions.likelihoods.likelihood import Array, LikelihoodSpec, initial_log_scale, row


@spec
class StudentT(LikelihoodSpec):
    """p(x_d) = t((x_d - mean_d) / scale_d; degrees_d) / scale_d, the mean from the network.

    scale: `learned`, one for each dimension; `predicted`, one for each dimension and example, from the network. The
    degrees of freedom are learned, one for each dimension.
    """

    scale: Literal["learned", "predicted"] = "learned"
    """Where the scale comes from."""
    minimum_scale: Positive = 0.01
    """Least scale that can be learned or predicted; keeps the density bounded."""
    minimum_degrees: Positive = 3.0
    """Least degrees of freedom; above 2 the variance is finite."""

    dequantize: bool = True
    """Whether whole numbers 0..L of the data get uniform noise, (k + u) / (L + 1)."""

    def check(self, levels: int | None) -> None:
        """A density is of any values."""

    def outputs(self, size: int) -> int:
        return 2 * size if self.scale == "predicted" else size

    def free(self, size: int) -> int:
        return size if self.scale == "predicted" else 2 * size

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return (
            np.concatenate([mean, initial_log_scale(spread, self.minimum_scale)]) if self.scale == "predicted" else mean
        )

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Degrees of freedom, then scales where they are learned."""
        degrees = np.full(mean.shape, 2.0)  # softplus(2) above the least: between heavy tails and a Gaussian's
        return (
            degrees
            if self.scale == "predicted"
            else np.concatenate([degrees, initial_log_scale(spread, self.minimum_scale)])
        )

    def parameters(self, outputs: Array, free: Array) -> tuple[Array, Array, Array]:
        """Means (..., D), scales and degrees of freedom of the same rank."""
        size = free.shape[-1] if self.scale == "predicted" else free.shape[-1] // 2
        degrees = self.minimum_degrees + row(jax.nn.softplus(free[:size]), outputs.ndim)
        mean, raw = outputs[..., :size], outputs[..., size:]
        if self.scale == "learned":
            raw = row(free[size:], outputs.ndim)
        return mean, jnp.exp(bounded(raw)) + self.minimum_scale, degrees

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        return jnp.sum(self.log_probs(outputs, free, x[None]), -1)

    def log_probs(self, outputs: Array, free: Array, x: Array) -> Array:
        mean, scale, degrees = self.parameters(outputs, free)
        # log Gamma((n + 1) / 2) - log Gamma(n / 2) - log(n / 2) / 2, whose terms cancel where the degrees n are many.
        constant = log_rising(degrees / 2, jnp.full_like(degrees, 0.5)) - 0.5 * LOG_2PI
        return constant - jnp.log(scale) - 0.5 * (degrees + 1) * jnp.log1p(jnp.square((x - mean) / scale) / degrees)

    def mean(self, outputs: Array, free: Array) -> Array:
        return self.parameters(outputs, free)[0]

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        mean, scale, degrees = self.parameters(outputs, free)
        # Bailey (1994): sqrt(n (u^(-2/n) - 1)) cos(2 pi v) of uniform u and v; no gamma, whose draws reject.
        radius, angle = jax.random.split(key)
        power = 2 * jax.random.exponential(radius, mean.shape, mean.dtype) / degrees  # log u^(-2/n)
        turn = jnp.cos(2 * jnp.pi * jax.random.uniform(angle, mean.shape, mean.dtype))
        return mean + scale * jnp.sqrt(degrees * jnp.expm1(power)) * turn

    def output_precision(self, outputs: Array, free: Array) -> Array:
        mean, scale, degrees = self.parameters(outputs, free)
        precision = jnp.broadcast_to((degrees + 1) / ((degrees + 3) * jnp.square(scale)), mean.shape)
        if self.scale == "learned":
            return precision
        raw = outputs[..., mean.shape[-1] :]
        inside = jax.jvp(bounded, (raw,), (jnp.ones_like(raw),))[1]
        slope = inside * (scale - self.minimum_scale) / scale  # d log(scale) / d raw
        return jnp.concatenate([precision, 2 * degrees / (degrees + 3) * jnp.square(slope)], -1)
