"""Layers of sums in log space, (nodes, B, I) and log-weights (nodes, I, O) to (nodes, B, O), by three rules.

soft:   log sum_i exp(v_i + w_io). Its gradients are posterior probabilities: of a weight's logarithm, that of its edge.
hard:   max_i (v_i + w_io). Backwards only the best child counts, one even where several tie.
drawn:  soft forwards; backwards one child drawn from its posterior. From a gradient of one at the root the edges of
        one sampled tree get a gradient of one, and all others none.

A soft sum is at least TINY of its greatest child, whatever that child's weight: children may be any number of nats
apart, and only where the greatest has a weight below TINY is a sum too great. A circuit that is built by hand may have
no such weight (`sbvi.models.circuit.compiled`); what learned ones lose by it is below 1e-37 of their mass.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sbvi.models.values import IMPOSSIBLE

Array = jax.Array
TINY = 1e-37  # the least sum of which float32 knows a finite logarithm


class Pair(NamedTuple):
    """Log-densities whose units are the pairs of a left (n, B, I) and a right unit (n, B, J)."""

    left: Array
    right: Array

    def whole(self) -> Array:
        """(n, B, I J)."""
        both = self.left[..., :, None] + self.right[..., None, :]
        return both.reshape(*both.shape[:2], -1)


Values = Array | Pair
Rule = Callable[[int, Values, Array], Array]


def _scaled(v: Array) -> tuple[Array, Array]:
    """exp(v - m) and m, the greatest of each node's units."""
    m = jax.lax.stop_gradient(jnp.max(v, -1, keepdims=True))
    return jnp.exp(v - m), m


def soft(position: int, v: Values, w: Array) -> Array:  # noqa: ARG001
    if isinstance(v, Pair):
        (left, m), (right, n) = _scaled(v.left), _scaled(v.right)
        e, m = (left[..., :, None] * right[..., None, :]).reshape(*left.shape[:2], -1), m + n
    else:
        e, m = _scaled(v)
    total = jnp.matmul(e, jnp.exp(w), precision=jax.lax.Precision.HIGHEST)
    return jnp.log(jnp.maximum(total, jnp.asarray(TINY, total.dtype))) + m


@jax.custom_vjp
def _hard(v: Array, w: Array) -> Array:
    return jnp.max(v[..., None] + w[:, None], axis=2)


def _hard_forward(v: Array, w: Array) -> tuple[Array, Array]:
    scores = v[..., None] + w[:, None]
    return jnp.max(scores, axis=2), jax.nn.one_hot(jnp.argmax(scores, axis=2), v.shape[2], dtype=v.dtype)


def _hard_backward(chosen: Array, g: Array) -> tuple[Array, Array]:
    return jnp.einsum("nboi,nbo->nbi", chosen, g), jnp.einsum("nboi,nbo->nio", chosen, g)


_hard.defvjp(_hard_forward, _hard_backward)


def hard(position: int, v: Values, w: Array) -> Array:  # noqa: ARG001
    values: Array = _hard(v.whole() if isinstance(v, Pair) else v, w)
    return values


@jax.custom_vjp
def _drawn(key: Array, v: Array, w: Array) -> Array:  # noqa: ARG001
    return soft(0, v, w)


def _drawn_forward(key: Array, v: Array, w: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return soft(0, v, w), (key, v, w)


def _drawn_backward(kept: tuple[Array, Array, Array], g: Array) -> tuple[None, Array, Array]:
    key, v, w = kept
    unit = jnp.argmax(g, -1)
    rows = jnp.take_along_axis(w.transpose(0, 2, 1), unit[..., None], axis=1)
    scores = v + rows + jax.random.gumbel(key, v.shape, v.dtype)
    path = jax.nn.one_hot(jnp.argmax(scores, -1), v.shape[-1], dtype=v.dtype) * jnp.sum(g, -1, keepdims=True)
    return None, path, jnp.einsum("nbi,nbo->nio", path, g)


_drawn.defvjp(_drawn_forward, _drawn_backward)


def drawn(key: Array) -> Rule:
    """The rule that draws by a key."""

    def rule(position: int, v: Values, w: Array) -> Array:
        values: Array = _drawn(jax.random.fold_in(key, position), v.whole() if isinstance(v, Pair) else v, w)
        return values

    return rule


def without_some(rule: Rule, key: Array, rate: float) -> Rule:
    """A rule for which each input of a sum is left out with some probability, unless all of them would be."""

    def dropped(position: int, v: Values, w: Array) -> Array:
        whole = v.whole() if isinstance(v, Pair) else v
        gone = jax.random.bernoulli(jax.random.fold_in(key, position), rate, whole.shape)
        gone &= ~jnp.all(gone, -1, keepdims=True)
        return rule(position, jnp.where(gone, jnp.asarray(IMPOSSIBLE, whole.dtype), whole), w)

    return dropped
