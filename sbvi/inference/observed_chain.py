"""A Markov chain for latents and missing values given observed ones, p(z, x_m | x_o).

Each iteration makes three moves, all of which leave it unchanged:

    global: z' ~ q(z | x), x as it is completed now, taken with probability
            min(1, p(x, z') q(z | x) / (p(x, z) q(z' | x)))     (Mattei and Frellsen 2018)
    local:  Hamiltonian steps on p(z | x_o), which x_m has no part in, of models that know it
    fill:   x_m ~ p(x_m | z)

A global move goes far where q is good, and is seldom taken where much is missing; a local one goes on from wherever
the chain stands. Steps are in units of q's standard deviations, of a size that the warm-up finds and later iterations
keep, varied by a factor a move, since paths of one length can be in step with the target's own periods.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.models.capabilities import ObservedDensity, offers
from sbvi.models.values import Latents

Array = jax.Array

TARGET = 0.8  # the acceptance of local moves that the warm-up aims for
VARIED = (0.6, 1.2)
CANDIDATES, ROUNDS = 24, 5  # of the start


class State(NamedTuple):
    """v: completed data (B, D).  latents: node -> (B, K).  log_size: of a row's local moves, (B,).
    variances: of q at the start, in the order of a flattened pytree of latents, (B, sum of K)."""

    v: Array
    latents: Latents
    log_size: Array
    variances: Array


class Moved(NamedTuple):
    """means: E[v | z], (B, D).  value: v, (B, D).  accepted: 1 where the global move was taken, (B,).
    local: probability of taking the local one, (B,); None without them."""

    means: Array
    value: Array
    accepted: Array
    local: Array | None


def weigh(model: Any, params: Any, points: Latents, v: Array, observed: Array) -> Array:
    """log p(x_o, z) up to a constant of the row, or log p(v, z) of models that know this alone, (S, B)."""
    if offers(model, ObservedDensity):
        log_density: Array = model.log_observed(params, points, v, observed)
        return log_density
    whole: Array = model.log_joint(params, points, v)
    return whole


def start(model: Any, params: Any, key: Array, x: Array, missing: Array) -> State:
    """From the model's mean at missing places: rounds of importance resampling, each of draws of q given what the last
    one completed, of which one is kept by its weight."""
    first, then, last = jax.random.split(key, 3)
    guess = jnp.mean(model.sample_joint(params, first, 64, x.dtype)[1].mean, 0)
    v = jnp.where(missing, guess[None].astype(x.dtype), x)
    rows = jnp.arange(x.shape[0], dtype=jnp.int32)

    def one(carry: tuple[Array, Latents], key: Array) -> tuple[tuple[Array, Latents], None]:
        v, _ = carry
        draw, pick, fill = jax.random.split(key, 3)
        q = model.posterior(params, v)
        points = q.draw(draw, CANDIDATES)
        weights = weigh(model, params, points, v, ~missing) - sum(q.log_prob(points).values())
        chosen = jax.random.categorical(pick, weights, axis=0)
        latents = {node: values[chosen, rows] for node, values in points.items()}
        return (jnp.where(missing, model.observe(params, fill, latents).value.astype(v.dtype), v), latents), None

    blank = {node: jnp.zeros((x.shape[0], size), x.dtype) for node, size in model.latent_sizes().items()}
    (v, latents), _ = jax.lax.scan(one, (v, blank), jax.random.split(then, ROUNDS))
    spread = model.posterior(params, v).draw(last, 64)
    variances = jnp.concatenate([jnp.var(spread[node], 0) for node in sorted(spread)], 1)
    size = jnp.full(x.shape[:1], -0.25 * jnp.log(float(variances.shape[1])), dtype=x.dtype)
    return State(v, latents, size, jnp.clip(variances, 1e-6, 1e2))


def step(
    model: Any, params: Any, key: Array, state: State, missing: Array, leapfrogs: int, gain: Array
) -> tuple[State, Moved]:
    """One iteration. leapfrogs: of a local move; 0 leaves it out.  gain: how far its size is adapted; 0 keeps it."""
    globally, locally, fill = jax.random.split(key, 3)
    latents, accepted = _global(model, params, globally, state)
    size, local = state.log_size, None
    if leapfrogs and offers(model, ObservedDensity):
        latents, rate = _local(model, params, locally, state._replace(latents=latents), ~missing, leapfrogs)
        size, local = size + gain * (rate - TARGET), rate
    mean, drawn = model.observe(params, fill, latents)
    v = jnp.where(missing, drawn.astype(state.v.dtype), state.v)
    return State(v, latents, size, state.variances), Moved(mean, v, accepted, local)


def _global(model: Any, params: Any, key: Array, state: State) -> tuple[Latents, Array]:
    propose, decide = jax.random.split(key)
    v = state.v
    q = model.posterior(params, v)
    proposed = {node: points[0] for node, points in q.draw(propose, 1).items()}

    def weight(latents: Latents) -> Array:
        """log p(v, z) - log q(z | v), (B,)."""
        points = {node: values[None] for node, values in latents.items()}
        result: Array = model.log_joint(params, points, v)[0] - sum(q.log_prob(points).values())[0]
        return result

    ratio = weight(proposed) - weight(state.latents)
    taken = jnp.log(jax.random.uniform(decide, ratio.shape, v.dtype)) < ratio
    latents = {node: jnp.where(taken[:, None], proposed[node], values) for node, values in state.latents.items()}
    return latents, taken.astype(v.dtype)


def _local(model: Any, params: Any, key: Array, state: State, observed: Array, leapfrogs: int) -> tuple[Latents, Array]:
    """A Hamiltonian move of each row by itself; and its probability of being taken, (B,)."""
    from blackjax.mcmc import hmc  # takes a second, which a run that needs none should not wait

    kernel = hmc.build_kernel()

    def one(key: Array, point: Latents, v: Array, observed: Array, size: Array, variances: Array) -> Any:
        def density(point: Latents) -> Array:
            alone = {node: values[None, None] for node, values in point.items()}
            log_density: Array = model.log_observed(params, alone, v[None], observed[None])[0, 0]
            return log_density

        moved, info = kernel(key, hmc.init(point, density), density, size, variances, leapfrogs)
        return moved.position, info.acceptance_rate

    vary, move = jax.random.split(key)
    low, high = VARIED
    size = jnp.exp(state.log_size) * jax.random.uniform(vary, state.log_size.shape, state.v.dtype, low, high)
    keys = jax.random.split(move, state.v.shape[0])
    transitions: tuple[Latents, Array] = jax.vmap(one)(keys, state.latents, state.v, observed, size, state.variances)
    return transitions
