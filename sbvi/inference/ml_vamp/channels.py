"""Outputs that are bits: what y in {0, 1} says of the last variable; and the standard normal prior of the first.

Gaussian outputs need no factor of their own: the last linear layer takes y as a message of the noise's variance.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.inference.ml_vamp.messages import Belief, Message, Mode, log_normal
from sbvi.inference.ml_vamp.quadrature import expectations, panels
from sbvi.inference.ml_vamp.threshold import SideMoments, side_mode, side_moments

Array = jax.Array
_NEWTON = 40
_WIDE = 1000.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Prior:
    """z ~ N(0, I); it has no input, and hands back the message that stands for it."""

    def estimate(self, into: Message, back: Message, mode: Mode) -> Belief:
        share = 1 / (1 + back.variance)
        mean, variance = back.mean * share, back.variance * share
        logs = log_normal(back.mean, 1 + back.variance) if mode == "mmse" else log_normal(mean, jnp.ones_like(mean))
        return Belief(into.mean, into.variance, mean, variance, jnp.sum(logs, axis=1))


@partial(jax.tree_util.register_dataclass, data_fields=["rows"], meta_fields=["noise"])
@dataclass(frozen=True)
class ProbitOutput:
    """P(y = 1 | z) = Phi(z / sqrt(noise)); with noise 0 the sign of z. `back` carries y.

    rows: (1, n), 1 where y is observed, 0 elsewhere.
    """

    rows: Array
    noise: float = 0.0

    def estimate(self, into: Message, back: Message, mode: Mode) -> Belief:
        find = side_moments if mode == "mmse" else side_mode
        r, v = jnp.broadcast_arrays(into.mean, into.variance)
        return _observed(self.rows, into, back, find(2 * back.mean - 1, 0.0, self.noise, r, v))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LogisticOutput:
    """P(y = 1 | z) = 1 / (1 + exp(-z)), by quadrature or Newton's method. `back` carries y.

    rows: (1, n), 1 where y is observed, 0 elsewhere.
    """

    rows: Array

    def estimate(self, into: Message, back: Message, mode: Mode) -> Belief:
        side, r, v = 2 * back.mean - 1, into.mean, into.variance
        if mode == "map":
            at = _logistic_mode(side * r, v, _NEWTON)
            moments = SideMoments(jax.nn.log_sigmoid(at), side * at, 1 / _bend(at, v))
        else:
            log_mass, mean, variance = logistic_moments(side * r, v)
            moments = SideMoments(log_mass, side * mean, variance)
        return _observed(self.rows, into, back, moments)


def _observed(rows: Array, into: Message, back: Message, moments: SideMoments) -> Belief:
    """Entries that are not observed keep the message, and count in no average."""
    mean = jnp.where(rows > 0, moments.mean, into.mean)
    variance = jnp.sum(rows * moments.variance, axis=1, keepdims=True) / jnp.sum(rows)
    evidence = jnp.sum(rows * moments.log_mass, axis=1)
    return Belief(mean, variance, back.mean, back.variance, evidence)


def logistic_moments(r: Array, v: Array) -> tuple[Array, Array, Array]:
    """log E[sigmoid(z)] of z ~ N(r, v), and the mean and variance of z with the weight sigmoid(z), element-wise.

    The trapezoidal rule's error is exp(-2 pi^2 / h) for steps h, since sigmoid has its poles at +-i pi, and
    exp(-2 (pi w / h)^2) for a peak of width w; w is at least sqrt(v / (1 + v / 4)), and the density falls from its mode
    at least as fast as N(0, v). Panels serve variances that would need too many points.
    """
    widest = jnp.max(v)
    moments: tuple[Array, Array, Array] = jax.lax.cond(widest > _WIDE, _by_panels, partial(_evenly, widest), r, v)
    return moments


def _evenly(widest: Array, r: Array, v: Array) -> tuple[Array, Array, Array]:
    """The trapezoidal rule on points m + o sqrt(v) around the mode m, 7 each way, so many that steps are 0.7 at most
    and 0.6 of the least width.

    The weight of a point over that of the mode is exp(-o^2 / 2 - q o) / (sigmoid(m) + sigmoid(-m) exp(-o sqrt(v))),
    q = (m - r) / sqrt(v): a product for the first exponential, from point to point, and a number an example for the
    second, so that an element costs a division a point.
    """
    steps = 4 * jnp.ceil(jnp.maximum(23.0, 20.0 * jnp.sqrt(widest)) / 4).astype(jnp.int32)
    step = 14.0 / steps.astype(r.dtype)
    scale = jnp.sqrt(v)
    mode = _logistic_mode(r, v, 8)
    low, high, pull = jax.nn.sigmoid(mode), jax.nn.sigmoid(-mode), (mode - r) / scale
    factor, none = jnp.exp(-step * pull), jnp.zeros_like(pull)

    def add(turn: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        tilt, mass, first, second = carry
        for place in range(4):
            offset = (4 * turn + place).astype(r.dtype) * step - 7.0
            weight = jnp.exp(-0.5 * offset**2) * tilt / (low + high * jnp.exp(-offset * scale))
            moment = offset * weight
            tilt, mass, first, second = tilt * factor, mass + weight, first + moment, second + offset * moment
        return tilt, mass, first, second

    begin = jnp.exp(7.0 * pull), none, none, none
    _, mass, first, second = jax.lax.fori_loop(0, steps // 4, add, begin)
    log_mass = jax.nn.log_sigmoid(mode) - 0.5 * pull**2 + jnp.log(mass * step / float(np.sqrt(2 * np.pi)))
    shift = first / mass
    return log_mass, mode + scale * shift, v * (second / mass - shift**2)


def _by_panels(r: Array, v: Array) -> tuple[Array, Array, Array]:
    r, v = jnp.broadcast_arrays(r, v)
    at = _logistic_mode(r, v, _NEWTON)
    peak = (at, jax.lax.rsqrt(_bend(at, v)))
    zero = jnp.zeros_like(r)
    tail = v / (jnp.abs(r) + jnp.sqrt(v))  # of the normal beyond 0, where r is far on the other side
    points, log_weights = panels([(r, jnp.sqrt(v)), peak, (zero, jnp.ones_like(r)), (zero, tail)])
    density = jax.nn.log_sigmoid(points) + log_normal(points - r[..., None], v[..., None])
    log_mass, ((mean, variance),) = expectations(density + log_weights, [points])
    return log_mass, mean, variance


def _bend(z: Array, v: Array) -> Array:
    """The second derivative of log(1 + exp(-z)) + (z - r)^2 / 2v."""
    return jax.nn.sigmoid(z) * jax.nn.sigmoid(-z) + 1 / v


def _logistic_mode(r: Array, v: Array, turns: int) -> Array:
    """The minimum of log(1 + exp(-z)) + (z - r)^2 / 2v, between r and r + v: the root of z - r - v sigmoid(-z).

    That rises, convex below 0 and concave above. Newton's method comes to a root from one side without passing it when
    it starts on the root's own side of 0, above a root below 0 and below one above. Far from it a step is 1 or more.
    """
    at = jnp.where(r >= -0.5 * v, jnp.maximum(r, 0.0), jnp.minimum(r + v, 0.0))

    def step(turn: int, z: Array) -> Array:
        chance = jax.nn.sigmoid(-z)
        return z - (z - r - v * chance) / (1 + v * chance * (1 - chance))

    return jax.lax.fori_loop(0, turns, step, at)
