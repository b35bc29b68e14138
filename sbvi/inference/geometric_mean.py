"""What p*(x) = p~(x) / Z^2, the normalised geometric mean of a generative and a recognition model, needs beside p~:
its constant, and draws.

    log p~(x) = 2 log sum_h sqrt(p(x, h) q(h | x)) = 2 log E_q[sqrt(p / q)],   Z^2 = sum_x p~(x) <= 1

(Bornschein et al. 2016). `sbvi.inference.importance` gives log p~.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from sbvi.inference.importance import even
from sbvi.models.values import Samples

Array = jax.Array
Latents = dict[str, Array]


class Partition(NamedTuple):
    """2 log Z in nats, and its standard error; the estimate of Z^2 is unbiased, its logarithm low in expectation."""

    log_z2: Array
    stderr: Array


class Ancestral(NamedTuple):
    """(x, h) ~ p for B draws: x (B, D), latents node -> (B, K), and log p(x, h) - log q(h | x), (B,)."""

    x: Samples
    latents: Latents
    log_weight: Array


class Resampled(NamedTuple):
    """About p*: x (B, D) and latents, node -> (B, K). effective: sample size of each draw's pool, (B,); where it is
    near 1 the pool is too small, and the draws are nearer to p."""

    x: Samples
    latents: Latents
    effective: Array


def log_half(model: Any, params: Any, key: Array, x: Array, inner: int) -> Array:
    """log of an unbiased estimate of sqrt(p~(x)) = E_q[sqrt(p / q)] with `inner` samples for x (B, D): (B,)."""
    log_weights = model.rollout(params, key, x, inner).log_weights()
    log_estimate: Array = logsumexp(0.5 * log_weights, 0) - jnp.log(jnp.asarray(inner, x.dtype))
    return log_estimate


def ancestral(model: Any, params: Any, key: Array, num: int, dtype: Any = jnp.float32) -> Ancestral:
    """num draws from p with their weights under q."""
    latents, x = model.sample_joint(params, key, num, dtype)
    points = {node: values[None] for node, values in latents.items()}
    log_q = sum(values[0] for values in model.posterior(params, x.value).log_prob(points).values())
    return Ancestral(x, latents, model.log_joint(params, points, x.value)[0] - log_q)


def partition(
    model: Any, params: Any, key: Array, draws: int, batch: int, inner: int = 1, dtype: Any = jnp.float32
) -> Partition:
    """2 log Z from x, h ~ p and h' ~ q(h | x), `draws` of them, `batch` at a time:

        Z^2 = E[ sqrt(q(h | x) / p(x, h)) mean_j sqrt(p(x, h'_j) / q(h'_j | x)) ],   j = 1..J = inner

    Whatever p and q are, the square of a term has the mean 1/J + (1 - 1/J) Z^2: what rare large terms would add is in
    the standard error before any of them was met. Where the terms' own variance is larger, as it can be near Z = 1,
    that is taken.
    """
    size = even(draws, batch)

    def one(sums: tuple[Array, Array, Array], position: Array) -> tuple[Any, None]:
        top, total, squares = sums
        above, below = jax.random.split(jax.random.fold_in(key, position))
        drawn = ancestral(model, params, above, size, dtype)
        value = log_half(model, params, below, drawn.x.value, inner) - 0.5 * drawn.log_weight
        real = position * size + jnp.arange(size, dtype=jnp.int32) < draws
        value = jnp.where(real, value, -jnp.inf)
        higher = jnp.maximum(top, jnp.max(value))
        before, now = jnp.exp(top - higher), jnp.exp(value - higher)
        return (higher, total * before + jnp.sum(now), squares * before**2 + jnp.sum(now**2)), None

    zero = jnp.zeros((), dtype)
    start = (jnp.full((), -jnp.inf, dtype), zero, zero)
    (top, total, squares), _ = jax.lax.scan(one, start, jnp.arange(-(-draws // size), dtype=jnp.int32))
    log_z2 = top + jnp.log(total / draws)
    z2 = jnp.exp(log_z2)
    expected = (1 / inner + (1 - 1 / inner) * z2) / z2**2 - 1  # the terms' variance, over Z^4
    met = squares * draws / total**2 - 1
    # Where q is the posterior both are 0, and rounding may leave them below it.
    variance = jnp.maximum(jnp.maximum(expected, met), jnp.zeros_like(met))
    return Partition(log_z2, jnp.sqrt(variance / draws))


def resampled(
    model: Any, params: Any, key: Array, num: int, pool: int = 100, inner: int = 10, dtype: Any = jnp.float32
) -> Resampled:
    """num draws of about p*(x, h) by sampling-importance-resampling: each is chosen from a pool of draws from p, with
    weights p* / p = sqrt(p~(x) q(h | x) / p(x, h)); exact for large pools and many `inner` samples of p~."""

    def one(key: Array) -> Resampled:
        draw, score, choose = jax.random.split(key, 3)
        drawn = ancestral(model, params, draw, pool, dtype)
        weights = log_half(model, params, score, drawn.x.value, inner) - 0.5 * drawn.log_weight
        chosen: Array = jax.random.categorical(choose, weights)
        x, latents = jax.tree.map(lambda a: a[chosen], (drawn.x, drawn.latents))
        return Resampled(x, latents, 1 / jnp.sum(jax.nn.softmax(weights) ** 2))

    draws: Resampled = jax.lax.map(one, jax.random.split(key, num))
    return draws
