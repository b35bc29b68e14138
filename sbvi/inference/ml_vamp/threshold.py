"""Probit units and binary outputs: z_out is high with probability Phi((z_in - edge) / sqrt(noise)), else low.

With noise 0 it is a hard threshold. Given the sign of u = z_in - edge + N(0, noise), u is a truncated normal, and the
moments of z_in follow from its: exact for every noise and into the tails.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sbvi.distributions.truncated import truncated
from sbvi.inference.ml_vamp.messages import Belief, Message, Mode, log_normal

Array = jax.Array
_NEWTON = 70


class SideMoments(NamedTuple):
    """log_mass: log of the evidence of the side. mean, variance: of z, element-wise."""

    log_mass: Array
    mean: Array
    variance: Array


def side_moments(side: Array | float, edge: Array | float, noise: Array | float, r: Array, v: Array) -> SideMoments:
    """z ~ N(r, v) given side * (z - edge + N(0, noise)) > 0, side = +1 or -1."""
    whole = v + noise
    scale = jnp.sqrt(whole)
    cut = truncated(side * (r - edge) / scale)
    share = v / whole
    mean = (noise * r + v * (edge + side * scale * cut.shift)) / whole
    return SideMoments(cut.log_mass, mean, share * noise + share * v * cut.spread)


def side_mode(side: Array | float, edge: Array | float, noise: float, r: Array, v: Array) -> SideMoments:
    """The mode, and 1 / curvature there; `log_mass` is log Phi at the mode, without the message.

    -log Phi is convex, so that Newton's method within a bracket finds it; with no noise it is a projection.
    """
    if noise == 0:
        free = side * (r - edge) > 0
        return SideMoments(jnp.zeros_like(r), jnp.where(free, r, edge), jnp.where(free, v + 0 * r, 0.0))
    scale = jnp.sqrt(noise)
    start = side * (r - edge)  # of x = side (z - edge): minimise -log Phi(x / scale) + (x - start)^2 / 2v
    low, high = start, jnp.maximum(start, 0.0) + v / scale

    def step(turn: int, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, low, high = state
        cut = truncated(x / scale)
        slope = -cut.hazard / scale + (x - start) / v
        low, high = jnp.where(slope < 0, x, low), jnp.where(slope < 0, high, x)
        newton = x - slope / ((1 - cut.spread) / noise + 1 / v)
        inside = (newton > low) & (newton < high) & (turn % 2 == 0)  # every other step halves the bracket
        return jnp.where(inside, newton, 0.5 * (low + high)), low, high

    x, _, _ = jax.lax.fori_loop(0, _NEWTON, step, (low, low, high))
    cut = truncated(x / scale)
    return SideMoments(cut.log_mass, edge + side * x, 1 / ((1 - cut.spread) / noise + 1 / v))


@jax.tree_util.register_static
@dataclass(frozen=True)
class ThresholdUnit:
    """z_out = high where z_in - edge + N(0, noise) > 0, else low."""

    edge: float = 0.0
    low: float = 0.0
    high: float = 1.0
    noise: float = 0.0

    def estimate(self, into: Message, back: Message, mode: Mode) -> Belief:
        find = side_moments if mode == "mmse" else side_mode
        r, v = jnp.broadcast_arrays(into.mean, into.variance)
        sides = [
            (find(-1.0, self.edge, self.noise, r, v), self.low),
            (find(1.0, self.edge, self.noise, r, v), self.high),
        ]
        fits = [moments.log_mass + log_normal(back.mean - value, back.variance) for moments, value in sides]
        if mode == "map":
            fits = [f + log_normal(moments.mean - r, v) for f, (moments, _) in zip(fits, sides, strict=True)]
            upper = (fits[1] > fits[0]).astype(r.dtype)
            cost = jnp.where(upper > 0, sides[1][0].log_mass, sides[0][0].log_mass)
            zero = jnp.zeros_like(upper)
            variance = jnp.where(upper > 0, sides[1][0].variance, sides[0][0].variance)
            evidence, spread_in, spread_out = jnp.sum(cost, axis=1), variance, zero
        else:
            upper = jax.nn.sigmoid(fits[1] - fits[0])
            both = upper * (1 - upper)
            within = upper * sides[1][0].variance + (1 - upper) * sides[0][0].variance
            evidence = jnp.sum(jnp.logaddexp(fits[0], fits[1]), axis=1)
            spread_in = within + both * (sides[1][0].mean - sides[0][0].mean) ** 2
            spread_out = both * (self.high - self.low) ** 2
        mean_in = upper * sides[1][0].mean + (1 - upper) * sides[0][0].mean
        mean_out = self.low + upper * (self.high - self.low)
        return Belief(mean_in, spread_in, mean_out, spread_out, evidence)

    def __call__(self, z: Array) -> Array:
        """The most probable value: what a network computes that is run forward."""
        return jnp.where(z > self.edge, self.high, self.low)
