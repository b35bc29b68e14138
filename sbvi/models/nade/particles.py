"""Missing values of an autoregressive model by sampling, importance weights and resampling.

Particles go through the values in order: a missing one is drawn from its conditional, an observed one is put in
place and weighs the particle by its conditional. Where the effective number of particles falls below half, they are
drawn anew by their weights (systematic resampling). The weighted particles are draws of p(x_m | x_o) in the limit of
many (Gordon et al. 1993; Del Moral 2004).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array


class Population(NamedTuple):
    """values (B, N, D), weights (B, N) that sum to one."""

    values: Array
    weights: Array


def systematic(offset: Array, weights: Array, num: int) -> Array:
    """num indices of each row of weights (B, N), each as often as its weight says up to one; offset (B,) in [0, 1)."""
    places = (jnp.arange(num, dtype=weights.dtype)[None] + offset[:, None]) / num
    indices = jax.vmap(lambda w, p: jnp.searchsorted(jnp.cumsum(w), p, side="right"))(weights, places)
    return jnp.minimum(indices, weights.shape[1] - 1).astype(jnp.int32)


def filtered(
    key: Array,
    start: Array,
    conditional: Callable[[Array, tuple[Array, ...]], Array],
    extend: Callable[[Array, tuple[Array, ...], Array], Array],
    rows: tuple[Array, ...],
    x: Array,
    observed: Array,
) -> Population:
    """The particles after all values.

    Args:
      start: what the first conditional needs, (B, N, H).
      conditional: (state (B, N, H), row) -> the logit of a one, (B, N).
      extend: (state, row, value (B, N)) -> the next state.
      rows: arrays (D, ...), what belongs to each value.
      x: (B, D).
      observed: (B, D) bool, which values of x are given.
    """
    batch, count = start.shape[:2]
    own = jnp.broadcast_to(jnp.arange(count, dtype=jnp.int32)[None], (batch, count))

    def one(carry: tuple[Array, Array], inputs: tuple[Array, ...]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        state, weight = carry
        key, given, seen, *row = inputs
        draw, again = jax.random.split(key)
        logit = conditional(state, tuple(row))
        drawn = jax.random.bernoulli(draw, jax.nn.sigmoid(logit)).astype(logit.dtype)
        value = jnp.where(seen[:, None], given[:, None], drawn)
        log_prob = value * logit - jax.nn.softplus(logit)
        weight = jax.nn.log_softmax(weight + jnp.where(seen[:, None], log_prob, jnp.zeros_like(log_prob)), -1)
        few = jnp.sum(jnp.exp(2 * weight), -1) * count > 2
        chosen = systematic(jax.random.uniform(again, few.shape, weight.dtype), jnp.exp(weight), count)
        parent = jnp.where(few[:, None], chosen, own)
        state = jax.lax.cond(
            jnp.any(few),
            lambda s: jnp.take_along_axis(s, parent[:, :, None], 1),
            lambda s: s,
            extend(state, tuple(row), value),
        )
        weight = jnp.where(few[:, None], jnp.full_like(weight, -jnp.log(count)), weight)
        return (state, weight), (value, parent)

    def back(index: Array, step: tuple[Array, Array]) -> tuple[Array, Array]:
        value, parent = step
        index = jnp.take_along_axis(parent, index, 1)
        return index, jnp.take_along_axis(value, index, 1)

    keys = jax.random.split(key, x.shape[1])
    equal = jnp.full((batch, count), -jnp.log(count), x.dtype)
    (_, weight), steps = jax.lax.scan(one, (start, equal), (keys, x.T, observed.T, *rows))
    _, values = jax.lax.scan(back, own, steps, reverse=True)
    return Population(jnp.moveaxis(values, 0, -1), jnp.exp(weight))
