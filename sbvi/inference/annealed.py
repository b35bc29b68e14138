"""Annealed importance sampling of log p(x) with Hamiltonian transitions (Neal 2001; Wu et al. 2017).

Between a base density r, the prior or the recognition model, and the joint stand

    log f_t(xi) = (1 - b_t) log r(xi) + b_t log p(x, xi),   0 = b_0 < .. < b_T = 1

Forward chains start at r: the log of the mean weight is a stochastic lower bound of log p(x). Backward
chains start at an exact posterior sample, which is at hand for data drawn from the model itself: minus
the log of their mean weight is an upper bound. Both are exact in expectation of the weights, since step
sizes are found in a run of their own, forward from the base for both, and then held fast: one that began at the latents
that backward chains begin at would tie their moves to where they stand. Transitions are BlackJAX's, one chain of one
example each.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from sbvi.inference.effective import effective_samples

Array = jax.Array
Latents = dict[str, Array]
Base = Literal["prior", "posterior"]

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


class _Chain(NamedTuple):
    points: Latents  # (S, B, K)
    log_weight: Array  # (S, B)
    step_size: Array  # (B,)


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
    from blackjax.mcmc import hmc  # takes a second, which a run that needs none should not wait

    kernel = hmc.build_kernel()
    prior, prepared = model.node_prior(), model.prior_params(params)
    q: Any = model.posterior(params, x) if base == "posterior" else None
    rows = () if q is None else q.rows()

    def terms(point: Latents, x: Array, row: Any) -> tuple[Array, Array]:
        """log r and log p(x, .) at one point (K,) of one example x (D,) with its posterior's row."""
        alone = {n: p[None, None] for n, p in point.items()}
        if q is None:
            each = prior.log_prob(prepared, alone)
        else:
            each = q.with_rows(jax.tree.map(lambda v: v[None], row)).log_prob(alone)
        start: Array = sum(each.values(), start=jnp.zeros((1, 1), x.dtype))
        return start[0, 0], model.log_joint(params, alone, x[None])[0, 0]

    def difference(point: Latents, x: Array, row: Any) -> Array:
        start, end = terms(point, x, row)
        return end - start

    def transition(key: Array, point: Latents, x: Array, row: Any, step_size: Array, b: Array) -> tuple[Latents, Array]:
        """One Hamiltonian move that leaves f_t unchanged; and whether the chain moved."""

        def density(point: Latents) -> Array:
            start, end = terms(point, x, row)
            return (1 - b) * start + b * end

        masses = jnp.ones(sum(p.size for p in point.values()), x.dtype)
        moved, info = kernel(key, hmc.init(point, density), density, step_size, masses, leapfrogs)
        return moved.position, info.is_accepted

    # Over examples within chains; a temperature is that of all.
    differences = jax.vmap(jax.vmap(difference), (0, None, None))
    transitions = jax.vmap(jax.vmap(transition, (0, 0, 0, 0, 0, None)), (0, 0, None, None, None, None))

    rising = temperatures(steps, x.dtype)

    def begin(key: Array) -> Latents:
        if base == "posterior":
            return q.draw(key, chains)
        flat = prior.sample(prepared, key, chains * x.shape[0], x.dtype)
        return {n: v.reshape(chains, x.shape[0], -1) for n, v in flat.items()}

    def run(
        key: Array, schedule: Array, start: Callable[[Array], Latents], sizes: Array | None
    ) -> tuple[_Chain, tuple[Array, Array]]:
        """With sizes (T, B) they are used as they are; without, they are adapted along the way."""
        first, rest = jax.random.split(key)

        def one(chain: _Chain, inputs: tuple[Any, ...]) -> tuple[_Chain, tuple[Array, Array]]:
            key, before, after, given = inputs
            log_weight = chain.log_weight + (after - before) * differences(chain.points, x, rows)
            size = chain.step_size if sizes is None else given
            keys = jax.random.split(key, (chains, x.shape[0]))
            points, taken = transitions(keys, chain.points, x, rows, size, after)
            share = jnp.mean(taken.astype(x.dtype), 0)
            grown = jnp.clip(size * jnp.exp(0.1 * (share - TARGET)), 1e-4, 2.0)
            return _Chain(points, log_weight, grown), (size, share)

        chain = _Chain(
            start(first), jnp.zeros((chains, x.shape[0]), x.dtype), jnp.full(x.shape[:1], 0.1, dtype=x.dtype)
        )
        given = jnp.zeros((steps, x.shape[0]), x.dtype) if sizes is None else sizes
        return jax.lax.scan(one, chain, (jax.random.split(rest, steps), schedule[:-1], schedule[1:], given))

    search, final = jax.random.split(key)
    sizes = run(search, rising, begin, None)[1][0]
    if exact is None:
        chain, (_, shares) = run(final, rising, begin, sizes)
    else:
        known = {n: jnp.broadcast_to(v[None], (chains, *v.shape)) for n, v in exact.items()}
        # A move's size is that of its temperature; the last one, at b = 0, comes after all that is weighed.
        falling = jnp.concatenate([sizes[:-1][::-1], sizes[:1]])
        chain, (_, shares) = run(final, rising[::-1], lambda _: known, falling)
    weights = chain.log_weight
    mean = logsumexp(weights, 0) - jnp.log(jnp.asarray(chains, x.dtype))
    effective = effective_samples(weights)
    return Annealed(mean if exact is None else -mean, jnp.mean(shares, 0), effective)
