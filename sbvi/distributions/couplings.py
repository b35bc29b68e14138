"""Affine couplings (Dinh et al. 2017), whose parameters may depend on a context c:

    (a, b) -> reversed (a, b exp(s(a, c)) + t(a, c)),   s = 2 tanh(r / 2),   (r, t) = network(a, c)

for the two halves (a, b) of z, so that log|det| is the sum of s. With the networks at zero a stack of L of them is the
identity, from which it starts nearly. Weights are stacked over couplings, (L, ...).
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from sbvi.core.xla.silu import silu

Array = jax.Array
Weights = Mapping[str, Array]

BOUND = 2.0  # of |s| in each coupling


def init(key: Array, size: int, couplings: int, hidden: int, context: int = 0) -> dict[str, Array]:
    """Weights for z of `size` values; hidden: units in each of a network's two layers; context: values of c."""
    glorot = jax.nn.initializers.glorot_uniform()
    given, moved = size // 2, size - size // 2

    def one(key: Array) -> dict[str, Array]:
        first, second, last = jax.random.split(key, 3)
        own = {
            "first": glorot(first, (max(given, 1), hidden))[:given],
            "first_bias": jnp.zeros(hidden),
            "second": glorot(second, (hidden, hidden)),
            "second_bias": jnp.zeros(hidden),
            "last": 0.01 * glorot(last, (hidden, 2 * moved)),
            "last_bias": jnp.zeros(2 * moved),
        }
        return own | ({"context": glorot(jax.random.fold_in(first, 1), (context, hidden))} if context else {})

    return jax.vmap(one)(jax.random.split(key, couplings))


def _network(weights: Weights, a: Array, context: Array | None) -> tuple[Array, Array]:
    """s and t (..., K - K // 2) for a (..., K // 2), and the context (B, C) of a (S, B, K // 2)."""

    def along(bias: Array) -> Array:
        return bias.reshape((1,) * (a.ndim - 1) + (-1,))

    h = a @ weights["first"] + along(weights["first_bias"])
    if context is not None:
        h = h + (context @ weights["context"])[None]
    h = silu(h)
    h = silu(h @ weights["second"] + along(weights["second_bias"]))
    raw, shift = jnp.split(h @ weights["last"] + along(weights["last_bias"]), 2, axis=-1)
    return BOUND * jnp.tanh(raw / BOUND), shift


def _count(weights: Weights) -> int:
    return int(weights["last_bias"].shape[0])


def transform(weights: Weights, e: Array, context: Array | None = None) -> tuple[Array, Array]:
    """z = f(e) and log|det df/de|, (..., K) and (...); with a context (B, C), e is (S, B, K)."""
    given = e.shape[-1] // 2

    def one(carry: tuple[Array, Array], layer: Weights) -> tuple[tuple[Array, Array], None]:
        z, log_det = carry
        scale, shift = _network(layer, z[..., :given], context)
        moved = z[..., given:] * jnp.exp(scale) + shift
        return (jnp.concatenate([z[..., :given], moved], -1)[..., ::-1], log_det + jnp.sum(scale, -1)), None

    (z, log_det), _ = jax.lax.scan(one, (e, jnp.zeros(e.shape[:-1], e.dtype)), dict(weights))
    return (z if _count(weights) % 2 == 0 else z[..., ::-1]), log_det


def inverse(weights: Weights, z: Array, context: Array | None = None) -> tuple[Array, Array]:
    """e = f^-1(z) and log|det df^-1/dz|."""
    given = z.shape[-1] // 2

    def one(carry: tuple[Array, Array], layer: Weights) -> tuple[tuple[Array, Array], None]:
        e, log_det = carry
        e = e[..., ::-1]
        scale, shift = _network(layer, e[..., :given], context)
        moved = (e[..., given:] - shift) * jnp.exp(-scale)
        return (jnp.concatenate([e[..., :given], moved], -1), log_det - jnp.sum(scale, -1)), None

    start = z if _count(weights) % 2 == 0 else z[..., ::-1]
    (e, log_det), _ = jax.lax.scan(one, (start, jnp.zeros(z.shape[:-1], z.dtype)), dict(weights), reverse=True)
    return e, log_det
