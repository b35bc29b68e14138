"""Inverse autoregressive flows (Kingma et al. 2016): each step is

    z'_i = g_i z_i + (1 - g_i) m_i,   g_i = sigmoid(s_i + 2)

with (m_i, s_i) functions of z_1 .. z_{i-1} and a context c(x) by one masked network, so that a sample is one pass and
log|det| = sum_i log g_i; then the order is reversed. The inverse takes K passes: after i of them the first i values,
and their derivatives, are right.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import PositiveInt, spec
from sbvi.core.xla.silu import silu
from sbvi.distributions.gaussian import Array
from sbvi.posteriors.flowed import ContextFlow


def masks(size: int, hidden: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the two layers, (K, H) and (H, K): unit h has degree d_h of 0..K-1 and sees z_1 .. z_{d_h}; output i sees
    units of degree below i."""
    degrees = np.arange(hidden) % size
    order = np.arange(1, size + 1)
    return (order[:, None] <= degrees[None]).astype(np.float32), (degrees[:, None] < order[None]).astype(np.float32)


@spec
class InverseAutoregressive(ContextFlow):
    """A chain of autoregressive steps: the most flexible at one pass a step."""

    steps: PositiveInt = 4
    """Number of steps T."""
    hidden: PositiveInt = 256
    """Units of each step's masked network."""

    def init(self, key: Array, size: int) -> dict[str, Array]:
        glorot = jax.nn.initializers.glorot_uniform()

        def one(key: Array) -> dict[str, Array]:
            first, second, third = jax.random.split(key, 3)
            return {
                "first": glorot(first, (size, self.hidden)),
                "context": glorot(second, (self.context, self.hidden)),
                "bias": jnp.zeros(self.hidden),
                "last": 0.01 * glorot(third, (self.hidden, 2 * size)),
                "last_bias": jnp.zeros(2 * size),
            }

        return jax.vmap(one)(jax.random.split(key, self.steps))

    def _step(self, weights: Any, given: Array, z: Array) -> tuple[Array, Array]:
        """m and log g, (S, B, K)."""
        inner, outer = (jnp.asarray(m, z.dtype) for m in masks(z.shape[-1], self.hidden))
        seen = given @ weights["context"] + weights["bias"][None]
        h = silu(z @ (weights["first"] * inner) + seen[None])
        outputs = h @ (weights["last"] * jnp.tile(outer, (1, 2))) + weights["last_bias"][None, None]
        shift, raw = jnp.split(outputs, 2, axis=-1)
        return shift, jax.nn.log_sigmoid(raw + 2)

    def forward(self, weights: Any, given: Array, e: Array) -> tuple[Array, Array]:
        def one(carry: tuple[Array, Array], own: Any) -> tuple[tuple[Array, Array], None]:
            z, log_det = carry
            shift, log_gate = self._step(own, given, z)
            gate = jnp.exp(log_gate)
            return ((gate * z + (1 - gate) * shift)[..., ::-1], log_det + jnp.sum(log_gate, -1)), None

        start = (e, jnp.zeros(e.shape[:-1], e.dtype))
        return jax.lax.scan(one, start, dict(weights))[0]

    def backward(self, weights: Any, given: Array, z: Array) -> tuple[Array, Array]:
        def one(carry: tuple[Array, Array], own: Any) -> tuple[tuple[Array, Array], None]:
            target, log_det = carry[0][..., ::-1], carry[1]

            def again(done: Array, z: Array) -> Array:
                shift, log_gate = self._step(own, given, z)
                gate = jnp.exp(log_gate)
                # Values whose turn has not come may overflow, and infinity times a mask's zero is no number.
                return jnp.where(order <= done, (target - (1 - gate) * shift) / gate, 0)

            order = jnp.arange(target.shape[-1])[None, None]
            inverted = jax.lax.fori_loop(0, target.shape[-1], again, jnp.zeros_like(target))
            log_gate = self._step(own, given, inverted)[1]
            return (inverted, log_det - jnp.sum(log_gate, -1)), None

        start = (z, jnp.zeros(z.shape[:-1], z.dtype))
        return jax.lax.scan(one, start, dict(weights), reverse=True)[0]
