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
_NEWTON = 70


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
        side = 2 * back.mean - 1
        r, v = jnp.broadcast_arrays(into.mean, into.variance)
        if mode == "map":
            at = _logistic_mode(side * r, v, _NEWTON)
            found = SideMoments(jax.nn.log_sigmoid(at), side * at, 1 / _bend(at, v))
        else:
            log_mass, mean, variance = _logistic_moments(side * r, v)
            found = SideMoments(log_mass, side * mean, variance)
        return _observed(self.rows, into, back, found)


def _observed(rows: Array, into: Message, back: Message, found: SideMoments) -> Belief:
    """Entries that are not observed keep the message, and count in no average."""
    mean = jnp.where(rows > 0, found.mean, into.mean)
    variance = jnp.sum(rows * found.variance, axis=1, keepdims=True) / jnp.sum(rows)
    evidence = jnp.sum(rows * found.log_mass, axis=1)
    return Belief(mean, variance, back.mean, back.variance, evidence)


def _logistic_moments(r: Array, v: Array) -> tuple[Array, Array, Array]:
    """log E[sigmoid(z)] of z ~ N(r, v), and the mean and variance of z with the weight sigmoid(z), element-wise.

    The trapezoidal rule's error is exp(-2 pi^2 / h) for steps h, since sigmoid has its poles at +-i pi, and
    exp(-2 (pi w / h)^2) for a peak of width w; w is at least sqrt(v / (1 + v / 4)) and the tails are within sqrt(v).
    Below 1e-9 for v up to 10 and 64 points and up to 64 and 160; panels serve the widest.
    """

    def widest(r: Array, v: Array) -> tuple[Array, Array, Array]:
        at = _logistic_mode(r, v, _NEWTON)
        peak = (at, jax.lax.rsqrt(_bend(at, v)))
        points, log_weights = panels([(r, jnp.sqrt(v)), peak, (jnp.zeros_like(r), jnp.ones_like(r))])
        return _moments(points, log_weights, r, v)

    def even(count: int, r: Array, v: Array) -> tuple[Array, Array, Array]:
        offsets = jnp.asarray(np.linspace(-8.5, 8.5, count)).reshape((1,) * r.ndim + (-1,))
        points = _logistic_mode(r, v, 16)[..., None] + jnp.sqrt(v)[..., None] * offsets
        return _moments(points, jnp.log(jnp.sqrt(v) * (17 / (count - 1)))[..., None], r, v)

    tier = jnp.sum(jnp.max(v) > jnp.asarray([10.0, 64.0]))
    found: tuple[Array, Array, Array] = jax.lax.switch(tier, [partial(even, 64), partial(even, 160), widest], r, v)
    return found


def _moments(points: Array, log_weights: Array, r: Array, v: Array) -> tuple[Array, Array, Array]:
    density = jax.nn.log_sigmoid(points) + log_normal(points - r[..., None], v[..., None])
    log_mass, ((mean, variance),) = expectations(density + log_weights, [points])
    return log_mass, mean, variance


def _bend(z: Array, v: Array) -> Array:
    """The second derivative of log(1 + exp(-z)) + (z - r)^2 / 2v."""
    return jax.nn.sigmoid(z) * jax.nn.sigmoid(-z) + 1 / v


def _logistic_mode(r: Array, v: Array, turns: int) -> Array:
    """The minimum of log(1 + exp(-z)) + (z - r)^2 / 2v, between r and r + v."""

    def step(turn: int, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        z, low, high = state
        slope = -jax.nn.sigmoid(-z) + (z - r) / v
        low, high = jnp.where(slope < 0, z, low), jnp.where(slope < 0, high, z)
        newton = z - slope / _bend(z, v)
        inside = (newton > low) & (newton < high) & (turn % 2 == 0)  # every other step halves the bracket
        return jnp.where(inside, newton, 0.5 * (low + high)), low, high

    return jax.lax.fori_loop(0, turns, step, (r, r, r + v))[0]
