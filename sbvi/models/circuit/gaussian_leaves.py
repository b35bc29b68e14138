"""Gaussian leaves whose variances have bounds, so that a density has too."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sbvi.models.circuit.leaf import Array, Free, moment, summed
from sbvi.models.values import IMPOSSIBLE


def _held(log_density: Array) -> Array:
    """No less than the logarithm of 0: -inf, of values whose squares float32 has not, would be NaN in a sum's scale."""
    return jnp.maximum(log_density, jnp.asarray(IMPOSSIBLE, log_density.dtype))


@dataclass(frozen=True)
class Gaussian:
    """Real values. free: the mean, and the logit of where the variance lies between its bounds.

    Squares are of distances from the middle of a variable's leaves: those of large values have no digits left for them.
    """

    least: float = 1e-3
    most: float = 1.0
    discrete = False

    def init(self, noise: Array, mean: Array, spread: Array) -> Free:
        variance = jnp.clip(spread**2, self.least, self.most)[..., None] + jnp.zeros_like(noise)
        return {"mean": mean[..., None] + spread[..., None] * noise, "width": self._width(variance)}

    def _width(self, variance: Array) -> Array:
        """The logit of the place between the bounds, kept within +-12."""
        share = jnp.clip((variance - self.least) / (self.most - self.least), 6e-6, 1 - 6e-6)
        return jnp.log(share) - jnp.log1p(-share)

    def variance(self, free: Free) -> Array:
        return self.least + (self.most - self.least) * jax.nn.sigmoid(free["width"])

    def _centre(self, free: Free) -> Array:
        """(n, s, 1), the same to gradients."""
        return jax.lax.stop_gradient(jnp.mean(free["mean"], -1, keepdims=True))

    def log_density(self, free: Free, x: Array, seen: Array) -> Array:
        mean, precision = free["mean"], 1 / self.variance(free)
        constant = 0.5 * (jnp.log(precision) - math.log(2 * math.pi))
        if x.shape[1] == 1:
            there = seen[:, 0, :, None]
            off = (x[:, 0, :, None] - mean[:, 0, None]) * there  # before the square, which 0 would make NaN of infinity
            return _held(constant[:, 0, None] * there - 0.5 * precision[:, 0, None] * off**2)
        centre = self._centre(free)
        mean, x = mean - centre, (x - centre) * seen
        rest = summed(seen, constant - 0.5 * precision * mean**2)
        squares = summed(x**2, -0.5 * precision)
        # Where they are infinite, the product with the mean may be so too, of the other sign.
        return _held(jnp.where(jnp.isinf(squares), squares, rest + summed(x, precision * mean) + squares))

    def log_peak(self, free: Free) -> Array:
        return -0.5 * jnp.log(2 * math.pi * self.variance(free))

    def statistics(self, free: Free, responsibility: Array, x: Array, seen: Array) -> Any:
        x = (x - self._centre(free)) * seen
        return {
            "count": moment(responsibility, seen),
            "sum": moment(responsibility, x),
            "squares": moment(responsibility, x**2),
        }

    def maximise(self, free: Free, statistics: Any, pseudocount: float) -> Free:
        """The pseudocount's examples lie at the present mean with the present variance."""
        count = statistics["count"] + pseudocount
        safe = jnp.maximum(count, jnp.asarray(1e-30, count.dtype))
        centre = self._centre(free)
        old = free["mean"] - centre
        mean = (statistics["sum"] + pseudocount * old) / safe
        second = statistics["squares"] + pseudocount * (old**2 + self.variance(free))
        variance = jnp.clip(second / safe - mean**2, self.least, self.most)
        never = count <= 1e-6
        return {
            "mean": jnp.where(never, free["mean"], centre + mean),
            "width": jnp.where(never, free["width"], self._width(variance)),
        }

    def recentred(self, statistics: Any, before: Free, after: Free) -> Any:
        count, first = statistics["count"], statistics["sum"]
        shift = self._centre(before) - self._centre(after)
        squares = statistics["squares"] + 2 * shift * first + count * shift**2
        return {"count": count, "sum": first + count * shift, "squares": squares}

    def mean(self, free: Free) -> Array:
        return free["mean"]

    def mode(self, free: Free) -> Array:
        return free["mean"]

    def sample(self, key: Array, free: Free) -> Array:
        noise = jax.random.normal(key, free["mean"].shape, free["mean"].dtype)
        return free["mean"] + jnp.sqrt(self.variance(free)) * noise
