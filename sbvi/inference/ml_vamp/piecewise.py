"""Units that are linear on each side of 0: ReLU and leaky ReLU, exactly.

Where z_in is on one side, z_out = slope z_in, and the two Gaussian messages multiply to one Gaussian of z_in cut off
at 0. The posterior is the mixture of the two truncated normals (arXiv 1706.06549, appendix on ReLU nodes).
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sbvi.distributions.truncated import truncated
from sbvi.inference.ml_vamp.messages import Belief, Message, Mode, log_normal

Array = jax.Array


class _Side(NamedTuple):
    """log_weight: of the side's mass or, at its mode, of its height. mean, variance: of z_in."""

    log_weight: Array
    mean: Array
    variance: Array


@jax.tree_util.register_static
@dataclass(frozen=True)
class PiecewiseUnit:
    """z_out = z_in for positive z_in, `negative` z_in for negative z_in."""

    negative: float = 0.0

    def estimate(self, into: Message, back: Message, mode: Mode) -> Belief:
        side = _moments if mode == "mmse" else _mode
        below, above = side(-1.0, self.negative, into, back), side(1.0, 1.0, into, back)
        if mode == "map":
            share = (above.log_weight > below.log_weight).astype(above.mean.dtype)
            evidence = jnp.zeros(above.mean.shape[:1], above.mean.dtype)
        else:
            share = jax.nn.sigmoid(above.log_weight - below.log_weight)
            evidence = jnp.sum(jnp.logaddexp(above.log_weight, below.log_weight), axis=1)
        mean_in, variance_in = _mixed(share, above.mean, above.variance, below.mean, below.variance)
        low, low_variance = self.negative * below.mean, self.negative**2 * below.variance
        mean_out, variance_out = _mixed(share, above.mean, above.variance, low, low_variance)
        return Belief(mean_in, variance_in, mean_out, variance_out, evidence)

    def __call__(self, z: Array) -> Array:
        return jnp.where(z > 0, z, self.negative * z)


def _product(slope: float, into: Message, back: Message) -> tuple[Array, Array, Array]:
    """Log mass, mean and variance of N(z; into) N(slope z; back) as a Gaussian of z."""
    if slope == 0:  # what follows of `into` alone is then the same up and down, and computed once
        return log_normal(back.mean, back.variance), into.mean, into.variance + 0 * into.mean
    whole = back.variance + slope**2 * into.variance
    gap = back.mean - slope * into.mean
    mean = into.mean + slope * into.variance / whole * gap
    return log_normal(gap, whole), mean, into.variance * back.variance / whole + 0 * mean


def _moments(sign: float, slope: float, into: Message, back: Message) -> _Side:
    log_mass, mean, variance = _product(slope, into, back)
    scale = jnp.sqrt(variance)
    cut = truncated(sign * mean / scale)
    return _Side(log_mass + cut.log_mass, sign * scale * cut.shift, variance * cut.spread)


def _mode(sign: float, slope: float, into: Message, back: Message) -> _Side:
    """The height of the product at its mode on that side; a mode at the edge does not move with the messages."""
    _, mean, variance = _product(slope, into, back)
    inside = sign * mean > 0
    best = jnp.where(inside, mean, 0.0)
    height = -0.5 * ((best - into.mean) ** 2 / into.variance + (slope * best - back.mean) ** 2 / back.variance)
    return _Side(height, best, jnp.where(inside, variance, 0.0))


def _mixed(share: Array, m1: Array, v1: Array, m0: Array, v0: Array) -> tuple[Array, Array]:
    """Mean and variance of a mixture of two with weights share and 1 - share."""
    return share * m1 + (1 - share) * m0, share * v1 + (1 - share) * v0 + share * (1 - share) * (m1 - m0) ** 2
