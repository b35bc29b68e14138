"""Annealed importance sampling of log p(x) with Hamiltonian transitions (Neal 2001; Wu et al. 2017).

Between a base density r, the prior or the recognition model, and the joint stand

    log f_t(xi) = (1 - b_t) log r(xi) + b_t log p(x, xi),   0 = b_0 < .. < b_T = 1

Forward chains start at r: the log of the mean weight is a stochastic lower bound of log p(x). Backward
chains start at an exact posterior sample, which is at hand for data drawn from the model itself: minus
the log of their mean weight is an upper bound. Both are exact in expectation of the weights, since step
sizes are found in a run of their own and then held fast.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

Array = jax.Array
Latents = dict[str, Array]
Base = Literal["prior", "posterior"]
Density = Callable[[Latents, Array], Array]

TARGET = 0.65  # the acceptance at which Hamiltonian steps go farthest for their cost


class Annealed(NamedTuple):
    """Per example, (B,): log p(x) in nats, and the share of transitions accepted.
    effective: effective sample size of the chains' weights."""

    log_likelihood: Array
    accepted: Array
    effective: Array


def temperatures(count: int, dtype: Any = jnp.float32) -> Array:
    """b_0 .. b_T on a sigmoid, dense at both ends, (T + 1,)."""
    line = jax.nn.sigmoid(jnp.linspace(-4.0, 4.0, count + 1, dtype=dtype))
    return (line - line[0]) / (line[-1] - line[0])


def _sum(values: Latents) -> Array:
    """Over the latents of every node, (S, B)."""
    return sum(jnp.sum(v, -1) for v in values.values())  # type: ignore[return-value]


class _Chain(NamedTuple):
    points: Latents  # (S, B, K)
    log_weight: Array  # (S, B)
    step_size: Array  # (B,)


def _transition(
    key: Array, points: Latents, density: Callable[[Latents], Array], step_size: Array, leapfrogs: int
) -> tuple[Latents, Array]:
    """One Hamiltonian move that leaves the density unchanged; and which chains moved, (S, B)."""
    slope = jax.grad(lambda p: jnp.sum(density(p)))
    keys = jax.random.split(key, len(points) + 1)
    speed = {n: jax.random.normal(k, p.shape, p.dtype) for k, (n, p) in zip(keys[1:], points.items(), strict=True)}
    size = step_size[None, :, None]

    def kick(speed: Latents, points: Latents, by: float) -> Latents:
        pull = slope(points)
        return {n: speed[n] + by * size * pull[n] for n in speed}

    def leap(state: tuple[Latents, Latents], _: None) -> tuple[Any, None]:
        at, speed = state
        at = {n: at[n] + size * speed[n] for n in at}
        return (at, kick(speed, at, 1.0)), None

    start = density(points) - 0.5 * _sum({n: v**2 for n, v in speed.items()})
    (proposed, last), _ = jax.lax.scan(leap, (points, kick(speed, points, 0.5)), None, length=leapfrogs)
    last = kick(last, proposed, -0.5)
    end = density(proposed) - 0.5 * _sum({n: v**2 for n, v in last.items()})
    taken = jnp.log(jax.random.uniform(keys[0], start.shape, start.dtype)) < end - start  # a NaN is refused
    return {n: jnp.where(taken[..., None], proposed[n], p) for n, p in points.items()}, taken


def annealed(
    model: Any,
    params: Any,
    key: Array,
    x: Array,
    chains: int,
    steps: int,
    leapfrogs: int = 10,
    base: Base = "prior",
    exact: Latents | None = None,
) -> Annealed:
    """S = chains independent chains of T = steps temperatures for x (B, D).

    model: LatentVariable, with a PosteriorDensity where the base is the posterior; its latents are continuous.

    exact: node -> (B, K), the latents that x was drawn with; then chains run backward from them and the
      result is an upper bound (one chain an example: more would share their start).
    """
    prior = model.node_prior()
    q: Any = model.posterior(params, x) if base == "posterior" else None

    def base_density(points: Latents) -> Array:
        if base == "prior":
            return sum(prior.log_prob(params.prior, points).values())  # type: ignore[return-value]
        return sum(q.log_prob(points).values())

    def difference(points: Latents) -> Array:
        return model.log_joint(params, points, x) - base_density(points)

    def density(points: Latents, b: Array) -> Array:
        return (1 - b) * base_density(points) + b * model.log_joint(params, points, x)

    rising = temperatures(steps, x.dtype)
    schedule = rising if exact is None else rising[::-1]

    def begin(key: Array) -> Latents:
        if exact is not None:
            return {n: jnp.broadcast_to(v[None], (chains, *v.shape)) for n, v in exact.items()}
        if base == "posterior":
            return q.draw(key, chains)  # type: ignore[no-any-return]
        flat = prior.sample(params.prior, key, chains * x.shape[0], x.dtype)
        return {n: v.reshape(chains, x.shape[0], -1) for n, v in flat.items()}

    def run(key: Array, sizes: Array | None) -> tuple[_Chain, tuple[Array, Array]]:
        """With sizes (T, B) they are used as they are; without, they are adapted along the way."""
        first, rest = jax.random.split(key)

        def one(chain: _Chain, inputs: tuple[Any, ...]) -> tuple[_Chain, tuple[Array, Array]]:
            key, before, after, given = inputs
            log_weight = chain.log_weight + (after - before) * difference(chain.points)
            size = chain.step_size if sizes is None else given
            points, taken = _transition(key, chain.points, lambda p: density(p, after), size, leapfrogs)
            share = jnp.mean(taken.astype(x.dtype), 0)
            grown = jnp.clip(size * jnp.exp(0.1 * (share - TARGET)), 1e-4, 2.0)
            return _Chain(points, log_weight, grown), (size, share)

        start = _Chain(
            begin(first), jnp.zeros((chains, x.shape[0]), x.dtype), jnp.full(x.shape[:1], 0.1, dtype=x.dtype)
        )
        given = jnp.zeros((steps, x.shape[0]), x.dtype) if sizes is None else sizes
        return jax.lax.scan(one, start, (jax.random.split(rest, steps), schedule[:-1], schedule[1:], given))

    search, final = jax.random.split(key)
    sizes = run(search, None)[1][0]
    chain, (_, shares) = run(final, sizes)
    weights = chain.log_weight
    mean = logsumexp(weights, 0) - jnp.log(jnp.asarray(chains, x.dtype))
    effective = jnp.exp(2 * logsumexp(weights, 0) - logsumexp(2 * weights, 0))
    return Annealed(mean if exact is None else -mean, jnp.mean(shares, 0), effective)
