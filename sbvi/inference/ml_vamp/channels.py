"""Outputs that are bits: what y in {0, 1} says of the last variable; and the standard normal prior of the first.

Gaussian outputs need no factor of their own: the last linear layer takes y as a message of the noise's variance.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

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
        mode_at = _logistic_mode(side * r, v)
        bend = jax.nn.sigmoid(mode_at) * jax.nn.sigmoid(-mode_at) + 1 / v
        if mode == "map":
            found = SideMoments(jax.nn.log_sigmoid(mode_at), side * mode_at, 1 / bend)
        else:
            centres = [(side * r, jnp.sqrt(v)), (mode_at, jax.lax.rsqrt(bend)), (jnp.zeros_like(r), jnp.ones_like(r))]
            points, log_weights = panels(centres)
            density = jax.nn.log_sigmoid(points) + log_normal(points - (side * r)[..., None], v[..., None])
            log_mass, ((mean, variance),) = expectations(density + log_weights, [points])
            found = SideMoments(log_mass, side * mean, variance)
        return _observed(self.rows, into, back, found)


def _observed(rows: Array, into: Message, back: Message, found: SideMoments) -> Belief:
    """Entries that are not observed keep the message, and count in no average."""
    mean = jnp.where(rows > 0, found.mean, into.mean)
    variance = jnp.sum(rows * found.variance, axis=1, keepdims=True) / jnp.sum(rows)
    evidence = jnp.sum(rows * found.log_mass, axis=1)
    return Belief(mean, variance, back.mean, back.variance, evidence)


def _logistic_mode(r: Array, v: Array) -> Array:
    """The minimum of log(1 + exp(-z)) + (z - r)^2 / 2v, between r and r + v."""

    def step(turn: int, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        z, low, high = state
        slope = -jax.nn.sigmoid(-z) + (z - r) / v
        low, high = jnp.where(slope < 0, z, low), jnp.where(slope < 0, high, z)
        newton = z - slope / (jax.nn.sigmoid(z) * jax.nn.sigmoid(-z) + 1 / v)
        inside = (newton > low) & (newton < high) & (turn % 2 == 0)  # every other step halves the bracket
        return jnp.where(inside, newton, 0.5 * (low + high)), low, high

    return jax.lax.fori_loop(0, _NEWTON, step, (r, r, r + v))[0]
