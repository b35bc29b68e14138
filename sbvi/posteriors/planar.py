"""Planar flows (Rezende and Mohamed 2015), every parameter of which the recognition network gives:

    z' = z + v tanh(w^T z + b),   v = u + (m(w^T u) - w^T u) w / |w|^2,   m(t) = softplus(t + log(e - 1)) - 1

so that w^T v = m(w^T u) > -1 and z' is invertible, with log|det| = log(1 + w^T v (1 - tanh^2(w^T z + b))). There m(t)
is softplus(t) - 1; with m(0) = 0 the flow is the identity at u = 0, from which it starts.
"""

from math import e, log
from typing import Any

import jax
import jax.numpy as jnp

from sbvi.core import PositiveInt, spec
from sbvi.distributions.gaussian import Array
from sbvi.posteriors.flowed import FlowKind

HALVINGS = 80
SMALLEST = 1e-6  # of |w|^2


def _invertible(w: Array, u: Array) -> tuple[Array, Array]:
    """v and w^T v for w, u (..., K)."""
    along = jnp.sum(w * u, -1, keepdims=True)
    wanted = jax.nn.softplus(along + log(e - 1)) - 1
    v = u + (wanted - along) * w / jnp.maximum(jnp.sum(w * w, -1, keepdims=True), SMALLEST)
    return v, jnp.sum(w * v, -1)


def _solve(y: Array, d: Array, b: Array) -> Array:
    """a with a + d tanh(a + b) = y for d > -1, where the left side rises: by halving [y - |d|, y + |d|], and a last
    step of Newton's that has the derivatives."""

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        above = middle + d * jnp.tanh(middle + b) > y
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    width = jnp.broadcast_to(jnp.abs(d), y.shape)
    low, high = jax.lax.stop_gradient(jax.lax.fori_loop(0, HALVINGS, halve, (y - width, y + width)))
    a = 0.5 * (low + high)
    bent = jnp.tanh(a + b)
    return a - (a + d * bent - y) / jax.lax.stop_gradient(1 + d * (1 - bent**2))


@spec
class Planar(FlowKind):
    """A chain of planar flows: each bends the density along one direction."""

    flows: PositiveInt = 10
    """Number of flows T; the recognition network gives T (2 K + 1) values more."""

    def outputs(self, size: int) -> int:
        return self.flows * (2 * size + 1)

    def initial_outputs(self, size: int) -> Array:
        return jnp.zeros(self.outputs(size))

    def init(self, key: Array, size: int) -> tuple[()]:
        return ()

    def _split(self, given: Array, size: int) -> tuple[Array, Array, Array]:
        """w, u (T, B, K) and b (T, B)."""
        each = jnp.moveaxis(given.reshape(given.shape[0], self.flows, 2 * size + 1), 1, 0)
        return each[..., :size], each[..., size:-1], each[..., -1]

    def forward(self, weights: Any, given: Array, e: Array) -> tuple[Array, Array]:
        def one(carry: tuple[Array, Array], flow: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], None]:
            z, log_det = carry
            w, u, b = flow
            v, d = _invertible(w, u)
            bent = jnp.tanh(jnp.sum(w[None] * z, -1) + b[None])
            log_det = log_det + jnp.log1p(d[None] * (1 - bent**2))
            return (z + v[None] * bent[..., None], log_det), None

        start = (e, jnp.zeros(e.shape[:-1], e.dtype))
        return jax.lax.scan(one, start, self._split(given, e.shape[-1]))[0]

    def backward(self, weights: Any, given: Array, z: Array) -> tuple[Array, Array]:
        def one(carry: tuple[Array, Array], flow: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], None]:
            z, log_det = carry
            w, u, b = flow
            v, d = _invertible(w, u)
            bent = jnp.tanh(_solve(jnp.sum(w[None] * z, -1), d[None], b[None]) + b[None])
            log_det = log_det - jnp.log1p(d[None] * (1 - bent**2))
            return (z - v[None] * bent[..., None], log_det), None

        start = (z, jnp.zeros(z.shape[:-1], z.dtype))
        return jax.lax.scan(one, start, self._split(given, z.shape[-1]), reverse=True)[0]
