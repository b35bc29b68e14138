"""Entries that go missing by their own value (not missing at random; Ipsen et al. 2021, not-MIWAE).

Given the latents an entry v ~ N(m, s^2) is missing with probability Phi(a + b v), a and b of its column. Then

    P(missing | z) = Phi(t),  t = (a + b m) / sqrt(1 + b^2 s^2)
    v | missing, z = m + s (d u + sqrt(1 - d^2) w),  d = b s / sqrt(1 + b^2 s^2),  u ~ N(0, 1) above -t,  w ~ N(0, 1)

whose mean is m + s d phi(t) / Phi(t): closed forms in place of not-MIWAE's samples. Of sqrt(1 - d^2) nothing is
left by rounding where b s is large; it is 1 / sqrt(1 + b^2 s^2).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from sbvi.distributions.likelihoods.likelihood import Array
from sbvi.distributions.truncated import above, truncated


class SelfMasking(NamedTuple):
    """Of M columns. mean, scale: of their entries given the latents, (..., M).  offset, slope: a and b, of the same
    rank."""

    mean: Array
    scale: Array
    offset: Array
    slope: Array

    def _width(self) -> Array:
        """sqrt(1 + b^2 s^2)."""
        return jnp.sqrt(1 + jnp.square(self.slope * self.scale))

    def _place(self) -> Array:
        """t."""
        return (self.offset + self.slope * self.mean) / self._width()

    def log_missing(self) -> Array:
        """log P(missing | z)."""
        return norm.logcdf(self._place())

    def log_there(self, values: Array) -> Array:
        """log P(not missing | v)."""
        return norm.logcdf(-(self.offset + self.slope * values))

    def missing_mean(self) -> Array:
        """E[v | missing, z]."""
        share = self.slope * self.scale / self._width()
        return self.mean + self.scale * share * truncated(self._place()).hazard

    def missing_log_power(self, power: Array) -> Array:
        """log E[e^(c v) | missing, z], c = power. e^(c v) N(v; m, s^2) is a multiple of N(v; m + c s^2, s^2), so it is

            c m + c^2 s^2 / 2 + log Phi(t') - log Phi(t),   t' = t + b c s^2 / sqrt(1 + b^2 s^2)

        and where both lie below 0, with h = phi / Phi and nothing left to cancel,

            c (m - a b s^2) / (1 + b^2 s^2) + c^2 s^2 / (2 (1 + b^2 s^2)) + log h(t) - log h(t')
        """
        square, wide = jnp.square(self.scale), jnp.square(self._width())
        place, tilted = self._place(), self._replace(mean=self.mean + power * square)._place()
        ends = power * self.mean + 0.5 * jnp.square(power) * square + norm.logcdf(tilted) - norm.logcdf(place)
        hazards = [jnp.log(truncated(jnp.minimum(t, 0)).hazard) for t in (place, tilted)]
        middle = power * (self.mean - self.offset * self.slope * square) + 0.5 * jnp.square(power) * square
        return jnp.where(jnp.maximum(place, tilted) < 0, middle / wide + hazards[0] - hazards[1], ends)

    def missing_sample(self, key: Array) -> Array:
        """A draw of v given that it is missing."""
        first, second = jax.random.split(key)
        known = above(first, jnp.broadcast_to(self._place(), self.mean.shape))
        other = jax.random.normal(second, self.mean.shape, self.mean.dtype)
        return self.mean + self.scale * (self.slope * self.scale * known + other) / self._width()
