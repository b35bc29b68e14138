"""Autoregressive layers of 0 and 1: value i depends on the values before it as well as on the neighbouring layer.

DARN (Gregor et al. 2014):   logit_i = net(y)_i + sum_{j<i} A_ij v_j
NADE (Larochelle and Murray 2011; conditional as in Bornschein and Bengio 2015):
    logit_i = net(y)_i + R_i . sigmoid(c + U y + sum_{j<i} V_j v_j)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.distributions.likelihoods.bernoulli import log_bernoulli
from sbvi.models.helmholtz.units import Array, Drawn, Params, first_bias, network, outputs, small, uniform


def _one_by_one(
    logit: Callable[[Any, Any], Array],
    follow: Callable[[Any, Any, Array], Any],
    start: Any,
    weights: Any,
    noise: Array,
) -> tuple[Array, Array]:
    """Values and their means (..., K), each drawn after those before it; noise: uniform, (..., K).

    logit: (state, weights of place i) -> (...).  follow: the state once value i is known.
    """

    def one(state: Any, inputs: tuple[Any, Array]) -> tuple[Any, tuple[Array, Array]]:
        own, u = inputs
        mean = jax.nn.sigmoid(logit(state, own))
        value = (u < mean).astype(mean.dtype)
        return follow(state, own, value), (value, mean)

    _, (values, means) = jax.lax.scan(one, start, (weights, jnp.moveaxis(noise, -1, 0)))
    return jnp.moveaxis(values, 0, -1), jnp.moveaxis(means, 0, -1)


def _shape(given: Array | None, value: Array) -> tuple[int, ...]:
    return value.shape[:-1] if given is None else np.broadcast_shapes(value.shape[:-1], given.shape[:-1])


@dataclass(frozen=True)
class DARN:
    """Linear in the values before."""

    discrete: bool = True
    factorised: bool = False

    def init(self, key: Array, sizes: Sequence[int], bias: np.ndarray | None) -> Params:
        first, second = jax.random.split(key)
        size = sizes[-1]
        return {"net": network(first, sizes, first_bias(size, bias)), "before": small(second, size, size)}

    def draw(self, params: Params, key: Array, given: Array | None, shape: tuple[int, ...]) -> Drawn:
        base = outputs(params["net"], given, shape)
        rows = jnp.tril(params["before"], -1)  # row i: the weights of place i
        noise = uniform(key, base.shape, base.dtype)

        places = jnp.arange(base.shape[-1], dtype=jnp.int32)

        def logit(state: Array, own: tuple[Array, Array, Array]) -> Array:
            return own[0] + state @ own[1]

        def follow(state: Array, own: tuple[Array, Array, Array], value: Array) -> Array:
            here = (places == own[2]).astype(value.dtype).reshape((1,) * value.ndim + (-1,))
            return state + value[..., None] * here

        weights = (jnp.moveaxis(base, -1, 0), rows, places)
        value, mean = _one_by_one(logit, follow, jnp.zeros_like(base), weights, noise)
        return Drawn(value, mean, mean * (1 - mean))

    def log_prob(self, params: Params, given: Array | None, value: Array) -> Array:
        base = outputs(params["net"], given, _shape(given, value))
        before = value @ jnp.tril(params["before"], -1).T
        return log_bernoulli(base + jnp.broadcast_to(before, base.shape), jnp.broadcast_to(value, base.shape))


@dataclass(frozen=True)
class NADE:
    """Through hidden units that see the values before; as many as the smaller of the two layers has values."""

    discrete: bool = True
    factorised: bool = False

    def init(self, key: Array, sizes: Sequence[int], bias: np.ndarray | None) -> Params:
        keys = jax.random.split(key, 4)
        size = sizes[-1]
        hidden = min(sizes[0], size) if sizes[0] else size
        return {
            "net": network(keys[0], sizes, first_bias(size, bias)),
            "hidden": network(keys[1], [sizes[0], hidden], jnp.zeros(hidden)),
            "before": small(keys[2], size, hidden),
            "after": small(keys[3], hidden, size).T,
        }

    def _start(self, params: Params, given: Array | None, shape: tuple[int, ...]) -> tuple[Array, Array]:
        return outputs(params["net"], given, shape), outputs(params["hidden"], given, shape)

    def draw(self, params: Params, key: Array, given: Array | None, shape: tuple[int, ...]) -> Drawn:
        base, hidden = self._start(params, given, shape)

        def logit(state: Array, own: tuple[Array, Array, Array]) -> Array:
            return own[0] + jax.nn.sigmoid(state) @ own[2]

        def follow(state: Array, own: tuple[Array, Array, Array], value: Array) -> Array:
            row = own[1].reshape((1,) * value.ndim + (-1,))
            return state + value[..., None] * row

        weights = (jnp.moveaxis(base, -1, 0), params["before"], params["after"])
        value, mean = _one_by_one(logit, follow, hidden, weights, uniform(key, base.shape, base.dtype))
        return Drawn(value, mean, mean * (1 - mean))

    def log_prob(self, params: Params, given: Array | None, value: Array) -> Array:
        base, hidden = self._start(params, given, _shape(given, value))
        value = jnp.broadcast_to(value, base.shape)

        def one(state: Array, inputs: tuple[Array, Array, Array, Array]) -> tuple[Array, Array]:
            own, v, before, after = inputs
            logit = own + jax.nn.sigmoid(state) @ after
            row = before.reshape((1,) * v.ndim + (-1,))
            return state + v[..., None] * row, logit

        each = (jnp.moveaxis(base, -1, 0), jnp.moveaxis(value, -1, 0), params["before"], params["after"])
        logits = jnp.moveaxis(jax.lax.scan(one, hidden, each)[1], 0, -1)
        return log_bernoulli(logits, value)
