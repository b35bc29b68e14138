"""Linear layers, z_out = W z_in + b + N(0, noise I), through one singular value decomposition.

With W = U diag(s) V', q_in = V' r_in, q_out = U' r_out, b~ = U' b, d = 1 / (s^2 v_in + v_out + noise) and
e = d (q_out - s q_in - b~), the posterior of both variables is Gaussian with means r_in + V (v_in s e) and, on the
range of U, q_out - v_out e (arXiv 1706.06549, equations of the linear nodes). After the decomposition a layer costs
matrix-vector products alone.

Rows that are not observed are zero in W and b: they carry nothing, and `live` counts the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.inference.ml_vamp.messages import Belief, Factor, Message, Mode, log_normal

Array = jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LinearFactor:
    """u (n_out, k), s (1, k), v (n_in, k), bias (1, n_out), noise (): variance, live (): outputs that count."""

    u: Array
    s: Array
    v: Array
    bias: Array
    noise: Array
    live: Array

    @property
    def weight(self) -> Array:
        """W (n_out, n_in), zero in rows that do not count."""
        return (self.u * self.s) @ self.v.T

    def estimate(self, into: Message, back: Message, mode: Mode) -> Belief:
        """The means are also the modes, and the variances the derivatives, so that both modes agree but in evidence."""
        s, v_in, v_out, noise = self.s, into.variance, back.variance, self.noise
        apart = back.mean - self.bias
        q_in, q_out = into.mean @ self.v, apart @ self.u
        precision = 1 / (s**2 * v_in + v_out + noise)
        gap = q_out - s * q_in
        error = precision * gap
        rest = 1 / (v_out + noise)  # the precision where W reaches nothing
        kept = noise * rest * apart  # what the noise alone would leave of r_out - b
        mean_in = into.mean + (v_in * s * error) @ self.v.T
        mean_out = self.bias + kept + (s * q_in + (s**2 * v_in + noise) * error - noise * rest * q_out) @ self.u.T
        n_in, rank = self.v.shape
        variance_in = v_in * ((n_in - rank) + _total((v_out + noise) * precision)) / n_in
        # v_out^2 (rest - precision), without the subtraction; 0 for a zero singular value.
        over = _total(v_out**2 * precision * rest * s**2 * v_in)
        variance_out = v_out * noise * rest + over / self.live
        if mode == "map":
            return Belief(mean_in, variance_in, mean_out, variance_out, self._fit(mean_in, mean_out))
        outside = _total(apart**2) - _total(q_out**2)
        missing = self.live - s.shape[1]
        evidence = jnp.sum(log_normal(gap, 1 / precision), axis=1)
        evidence = evidence - 0.5 * (outside * rest + missing * jnp.log(2 * jnp.pi / rest))[:, 0]
        return Belief(mean_in, variance_in, mean_out, variance_out, evidence)

    def _fit(self, mean_in: Array, mean_out: Array) -> Array:
        """Minus the cost of the layer's own noise, (B,); 0 where there is none, as the layer then holds exactly."""
        size = self.live * jnp.log(2 * jnp.pi * jnp.where(self.noise > 0, self.noise, 1.0))
        apart = _total((mean_out - self.bias - (mean_in @ self.v) * self.s @ self.u.T) ** 2)[:, 0]
        cost = 0.5 * (apart / jnp.where(self.noise > 0, self.noise, 1.0) + size)
        return jnp.where(self.noise > 0, -cost, jnp.zeros_like(cost))

    def variances(self, into: Message, back: Message, weight: Array) -> Array:
        """Posterior variances of weight @ z_in, (B, n), for a weight (n, n_in)."""
        v_in = into.variance
        precision = 1 / (self.s**2 * v_in + back.variance + self.noise)
        turned = weight @ self.v
        whole = jnp.sum(weight**2, axis=1)[None]
        # The share of each row within V's range and without, apart, so that neither is a difference of large numbers.
        outside = v_in * jnp.maximum(whole - jnp.sum(turned**2, axis=1)[None], 0.0)
        return outside + (v_in * (back.variance + self.noise) * precision) @ (turned**2).T


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MeasuredFactor:
    """The last linear layer, whose output is observed with Gaussian noise: `back` carries y and the variance."""

    layer: LinearFactor

    def estimate(self, into: Message, back: Message, mode: Mode) -> Belief:
        belief = self.layer.estimate(into, back, mode)
        if mode == "mmse":
            return belief
        noise = back.variance[:, 0]
        fit = jnp.sum((belief.mean_out - back.mean) ** 2, axis=1) / noise + self.layer.live * jnp.log(
            2 * jnp.pi * noise
        )
        return belief._replace(evidence=belief.evidence - 0.5 * fit)


def layer(factor: Factor) -> LinearFactor:
    """The linear layer of a factor that is one, measured or not."""
    inner = factor.layer if isinstance(factor, MeasuredFactor) else factor
    assert isinstance(inner, LinearFactor)
    return inner


class Joined(NamedTuple):
    """Linear layers that follow one another from the latent on, without noise between, as one. before: the weight from
    the latent to the last one's input. place: that one's among the factors."""

    layer: LinearFactor
    before: Array
    place: int


def joined(factors: Sequence[Factor]) -> Joined:
    """The layers between the latent and the first unit or noise. For variances alone: a layer's message has one
    variance for all directions, which between two of them is wrong."""
    first = Joined(layer(factors[1]), jnp.eye(len(layer(factors[1]).v)), 1)
    for factor in factors[2:]:
        if float(first.layer.noise) or not isinstance(factor, LinearFactor | MeasuredFactor):
            break
        before, last = first.layer.weight, layer(factor)
        weight = np.asarray(last.weight @ before)
        first = Joined(linear_factor(weight, np.zeros(len(weight)), float(last.noise)), before, first.place + 1)
    return first


def linear_factor(weight: np.ndarray, bias: np.ndarray, noise: float, rows: np.ndarray | None = None) -> LinearFactor:
    """Decompose a layer once, in float64.

    Args:
      weight: (n_out, n_in).  bias: (n_out,).  noise: variance, 0 for none.
      rows: (n_out,) booleans, which outputs count; all where None.
    """
    seen = np.ones(len(bias), bool) if rows is None else rows
    u, s, vt = np.linalg.svd(np.where(seen[:, None], weight, 0.0), full_matrices=False)
    u = u * (s > 1e-14 * np.max(s, initial=0.0))  # no part of a direction that W does not reach
    arrays = (u, s[None], vt.T, np.where(seen, bias, 0.0)[None], np.float64(noise), np.float64(seen.sum()))
    return LinearFactor(*(jnp.asarray(a, jnp.float64) for a in arrays))


def _total(values: Array) -> Array:
    return jnp.sum(values, axis=1, keepdims=True)
