"""Discretised logistic likelihood of whole-number levels, such as 8-bit images (Salimans et al. 2017).

A logistic variable with mean m and scale s, rounded to the nearest of the levels 0, 1/L, .., 1; what lies
beyond the ends counts to them:

    p(x = k/L) = sigmoid((x + 1/(2L) - m) / s) - sigmoid((x - 1/(2L) - m) / s)
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import Positive, PositiveInt, UserError, spec
from sbvi.core.xla.bounded import bounded
from sbvi.distributions.likelihoods.likelihood import Array, LikelihoodSpec, initial_log_scale

#: Up to so many levels the mean is summed over them.
FEW = 256


def log_level(levels: int, mean: Array, scale: Array, x: Array) -> Array:
    """log p(x) elementwise. With a = (x + h - m)/s and b = (x - h - m)/s,
    sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), of which no factor cancels."""
    half = 0.5 / levels
    below = jax.nn.log_sigmoid((x + half - mean) / scale)
    above = jax.nn.log_sigmoid((mean - x + half) / scale)
    inside = below + above + jnp.log(-jnp.expm1(-2 * half / scale))
    result: Array = jnp.where(x < half, below, jnp.where(x > 1 - half, above, inside))
    return result


def mean_level(levels: int, mean: Array, scale: Array) -> Array:
    """E[x] = (1/L) sum_k P(x >= k/L), term by term up to FEW levels.

    Beyond them, the integral of which that sum is the midpoint rule, in closed form. The terms fall in k, so the
    rule is off by at most half a level; and by at most 1 / (48 s L) levels, from the variation of their slope.
    """
    if levels > FEW:
        return scale * (jax.nn.softplus(mean / scale) - jax.nn.softplus((mean - 1) / scale))

    def one(total: Array, edge: Array) -> tuple[Array, None]:
        return total + jax.nn.sigmoid((mean - edge) / scale), None

    edges = jnp.asarray((np.arange(levels) + 0.5) / levels, mean.dtype)
    total, _ = jax.lax.scan(one, jnp.zeros_like(mean), edges)
    return total / levels


@spec
class DiscretizedLogistic(LikelihoodSpec):
    """Probabilities of levels, the mean from the network."""

    levels: PositiveInt = 255
    """The greatest whole number in the data: 255 for 8-bit images, 16 for the digits."""
    scale: Literal["learned", "predicted"] = "learned"
    """Where s comes from: one for each dimension, or from the network for each dimension and example."""
    minimum_scale: Positive = 0.002
    """Least s, on the scale where the levels span [0, 1]."""

    discrete = True

    def outputs(self, size: int) -> int:
        return 2 * size if self.scale == "predicted" else size

    def free(self, size: int) -> int:
        return size if self.scale == "learned" else 0

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return np.concatenate([mean, self._initial_log_scale(spread)]) if self.scale == "predicted" else mean

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return self._initial_log_scale(spread) if self.scale == "learned" else np.zeros(0)

    def _initial_log_scale(self, spread: np.ndarray) -> np.ndarray:
        scale = spread * np.sqrt(3) / np.pi  # a logistic variable's standard deviation is pi s / sqrt(3)
        return initial_log_scale(scale, self.minimum_scale)

    def check(self, levels: int | None) -> None:
        """Refuse data of other levels.

        Raises:
          UserError: the data's levels are not these.
        """
        if levels != self.levels:
            actual = "values that are no whole numbers" if levels is None else f"levels 0..{levels}"
            raise UserError(f"likelihood.levels={self.levels} is not what the data set holds: {actual}.")

    def _split(self, outputs: Array, free: Array) -> tuple[Array, Array]:
        """Means (..., D), and scales of the same shape."""
        if self.scale == "predicted":
            mean, raw = jnp.split(outputs, 2, axis=-1)
        else:
            mean, raw = outputs, jnp.broadcast_to(free.reshape((1,) * (outputs.ndim - 1) + (-1,)), outputs.shape)
        return mean, jnp.exp(bounded(raw)) + self.minimum_scale

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        mean, scale = self._split(outputs, free)
        return jnp.sum(log_level(self.levels, mean, scale, jnp.broadcast_to(x[None], mean.shape)), -1)

    def mean(self, outputs: Array, free: Array) -> Array:
        """See `mean_level`."""
        return mean_level(self.levels, *self._split(outputs, free))

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        mean, scale = self._split(outputs, free)
        drawn = mean + scale * jax.random.logistic(key, mean.shape, mean.dtype)
        return jnp.clip(jnp.round(drawn * self.levels), 0, self.levels) / self.levels

    def output_precision(self, outputs: Array, free: Array) -> Array:
        """The Fisher information, a sum over levels of p (d log p / d output)^2."""
        size = outputs.shape[-1] // 2 if self.scale == "predicted" else outputs.shape[-1]

        def scored(values: Array, x: Array) -> Array:
            mean, scale = self._split(values, free)
            return log_level(self.levels, mean, scale, jnp.broadcast_to(x, mean.shape))

        def score(x: Array, chosen: Array) -> tuple[Array, Array]:
            return jax.jvp(lambda values: scored(values, x), (outputs,), (jnp.broadcast_to(chosen, outputs.shape),))

        first = (jnp.arange(outputs.shape[-1]) < size).astype(outputs.dtype)

        def one(total: Array, level: Array) -> tuple[Array, None]:
            x = level / jnp.asarray(self.levels, outputs.dtype)
            log_p, slope = score(x, first)
            parts = [jnp.exp(log_p) * slope**2]
            if self.scale == "predicted":
                parts.append(jnp.exp(log_p) * score(x, 1 - first)[1] ** 2)
            return total + jnp.concatenate(parts, -1), None

        return jax.lax.scan(one, jnp.zeros_like(outputs), jnp.arange(self.levels + 1).astype(outputs.dtype))[0]
