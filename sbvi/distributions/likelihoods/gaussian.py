"""Gaussian likelihood of real values."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import Positive, spec
from sbvi.core.xla.bounded import bounded
from sbvi.distributions.gaussian import LOG_2PI
from sbvi.distributions.likelihoods.likelihood import Array, LikelihoodSpec, initial_log_scale


@spec
class GaussianLikelihood(LikelihoodSpec):
    """p(x_d) = N(mean_d, scale_d^2), the mean from the network.

    scale: `fixed` at `fixed_scale`; `learned`, one for each dimension; `predicted`, one for each
    dimension and example, from the network.
    """

    scale: Literal["fixed", "learned", "predicted"] = "learned"
    """Where the standard deviation comes from."""
    fixed_scale: Positive = 0.1
    """The standard deviation when `scale` is `fixed`."""
    minimum_scale: Positive = 0.01
    """Least standard deviation that can be learned or predicted; keeps the density bounded."""

    dequantize: bool = True
    """Whether whole numbers 0..L of the data get uniform noise, (k + u) / (L + 1): without it a density has no
    meaning in bits for them. Floats stay as they are."""

    def idle(self) -> dict[str, str]:
        if self.scale == "fixed":
            return {"minimum_scale": "scale=learned or predicted"}
        return {"fixed_scale": "scale=fixed"}

    def check(self, levels: int | None) -> None:
        """A density is of any values."""

    def outputs(self, size: int) -> int:
        return 2 * size if self.scale == "predicted" else size

    def free(self, size: int) -> int:
        return size if self.scale == "learned" else 0

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        if self.scale == "predicted":
            return np.concatenate([mean, initial_log_scale(spread, self.minimum_scale)])
        return mean

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return initial_log_scale(spread, self.minimum_scale) if self.scale == "learned" else np.zeros(0)

    def moments(self, outputs: Array, free: Array) -> tuple[Array, Array]:
        """Means (..., D) and standard deviations of the same rank."""
        if self.scale == "predicted":
            mean, raw = jnp.split(outputs, 2, axis=-1)
            return mean, jnp.exp(bounded(raw)) + self.minimum_scale
        if self.scale == "learned":
            raw = free.reshape((1,) * (outputs.ndim - 1) + (-1,))
            return outputs, jnp.exp(bounded(raw)) + self.minimum_scale
        return outputs, jnp.full((1,) * outputs.ndim, self.fixed_scale, outputs.dtype)

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        return jnp.sum(self.log_probs(outputs, free, x[None]), -1)

    def log_probs(self, outputs: Array, free: Array, x: Array) -> Array:
        mean, scale = self.moments(outputs, free)
        return -0.5 * jnp.square((x - mean) / scale) - jnp.log(scale) - 0.5 * LOG_2PI

    def mean(self, outputs: Array, free: Array) -> Array:
        return self.moments(outputs, free)[0]

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        mean, scale = self.moments(outputs, free)
        return mean + scale * jax.random.normal(key, mean.shape, mean.dtype)

    def output_precision(self, outputs: Array, free: Array) -> Array:
        mean, scale = self.moments(outputs, free)
        precision = jnp.broadcast_to(1 / jnp.square(scale), mean.shape)
        if self.scale == "predicted":
            raw = jnp.split(outputs, 2, axis=-1)[1]
            inside = jax.jvp(bounded, (raw,), (jnp.ones_like(raw),))[1]
            slope = inside * (scale - self.minimum_scale) / scale  # d log(scale) / d raw
            return jnp.concatenate([precision, 2 * jnp.square(slope)], -1)
        return precision
