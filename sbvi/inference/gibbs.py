"""Gibbs chains on p*(x, h) = sqrt(p(x, h) q(h | x) q(x)) / Z, q(x) := p*(x), for two opposite chains of layers.

The conditional of a layer does not factorise over its values:

    p*(h_l | rest) ~ sqrt( p(h_l | h_{l+1}) p(h_{l-1} | h_l) q(h_l | h_{l-1}) q(h_{l+1} | h_l) )
    p*(x | h_1)    ~ sqrt( p(x | h_1) q(h_1 | x) q(x) )

so a layer moves to one of M candidates, itself and M - 1 draws from the mixture of p(h_l | h_{l+1}) and
q(h_l | h_{l-1}), or for x from p(x | h_1), chosen with weights target / proposal: this leaves the conditional
unchanged for any M. Odd layers move first, then even ones, x among these.

For x, sqrt(q(x)) is known by its unbiased estimate sqrt(p~(x)) / Z with `inner` samples. The estimate of the present x
is kept with it (pseudo-marginal; Andrieu and Roberts 2009), so that `exact` leaves p* unchanged for any `inner`.
`drop_qx` leaves sqrt(q(x)) out: cheaper, and biased.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.core import UserError
from sbvi.inference.geometric_mean import log_half
from sbvi.models import require
from sbvi.models.capabilities import Bidirectional

Array = jax.Array
Latents = dict[str, Array]
XStep = Literal["exact", "drop_qx"]


class Gibbs(NamedTuple):
    """What of a chain does not change. candidates: M.  inner: samples of p~ for each candidate x."""

    candidates: int = 8
    inner: int = 10
    x_step: XStep = "exact"


class State(NamedTuple):
    """B chains: x (B, D), latents node -> (B, K), and the kept log of sqrt(p~(x)), (B,).

    mean: E[x | h_1] of p, (B, D), which is not that of p*.
    average: of the candidates that the last x was chosen from, by their weights, (B, D): E[x | candidates], whose mean
      over a chain is that of x (Rao-Blackwell).
    """

    x: Array
    mean: Array
    average: Array
    latents: Latents
    log_half: Array


def target(model: Any, params: Any, level: int, value: Array, below: Array, above: Array | None) -> Array:
    """log p*(h_level | neighbours) without its constant, (..., B) for values (..., B, K); level of 1..L."""
    total = model.down(params, level).log_prob(above, value) + model.down(params, level - 1).log_prob(value, below)
    total = total + model.up(params, level).log_prob(below, value)
    if above is not None:
        total = total + model.up(params, level + 1).log_prob(value, above)
    log_density: Array = 0.5 * total
    return log_density


def _chosen(key: Array, weights: Array, *candidates: Array) -> list[Array]:
    """One of M candidates (M, B, ...) for each of B chains, with log weights (M, B)."""
    which = jax.random.categorical(key, weights, axis=0)
    return [c[which, jnp.arange(c.shape[1])] for c in candidates]


def step_layer(model: Any, params: Any, key: Array, level: int, state: State, settings: Gibbs) -> State:
    """Move layer `level` of 1..L."""
    nodes = list(model.latent_sizes())  # those of the state come out of a loop in the order of the alphabet
    now = state.latents[nodes[level - 1]]
    below = state.x if level == 1 else state.latents[nodes[level - 2]]
    above = state.latents[nodes[level]] if level < len(nodes) else None
    down, up = model.down(params, level), model.up(params, level)
    keys = jax.random.split(key, 4)
    shape = (settings.candidates - 1, now.shape[0])
    from_p, from_q = down.draw(keys[0], above, shape).value, up.draw(keys[1], below, shape).value
    fresh = jnp.where(jax.random.bernoulli(keys[2], 0.5, shape)[..., None], from_p, from_q)
    values = jnp.concatenate([now[None], fresh.astype(now.dtype)])
    proposal = jnp.logaddexp(down.log_prob(above, values), up.log_prob(below, values))
    (moved,) = _chosen(keys[3], target(model, params, level, values, below, above) - proposal, values)
    return state._replace(latents=state.latents | {nodes[level - 1]: moved})


def step_x(model: Any, params: Any, key: Array, state: State, settings: Gibbs, observed: Array | None) -> State:
    """Move x, or where `observed` (B, D) says so only the rest of it."""
    first = next(iter(state.latents.values()))
    down = model.down(params, 0)
    draw, score, choose = jax.random.split(key, 3)
    shape = (settings.candidates - 1, first.shape[0])
    drawn = down.draw(draw, first, shape)
    fresh = drawn.value.astype(state.x.dtype)
    if observed is not None:  # what is observed adds the same to every candidate's proposal density
        fresh = jnp.where(observed[None], state.x[None], fresh)
    values = jnp.concatenate([state.x[None], fresh])
    halves = jnp.broadcast_to(state.log_half[None], values.shape[:2])
    if settings.x_step == "exact":
        flat = fresh.reshape(-1, fresh.shape[-1])
        estimated = log_half(model, params, score, flat, settings.inner).reshape(shape)
        halves = jnp.concatenate([state.log_half[None], estimated])
    places = jnp.broadcast_to(first[None], (settings.candidates, *first.shape))
    weights = 0.5 * (model.up(params, 1).log_prob(values, places) - down.log_prob(places, values)) + halves
    x, half = _chosen(choose, weights, values, halves)
    average = jnp.sum(jax.nn.softmax(weights, 0)[..., None] * values, 0)
    return State(x, drawn.mean[0], average, state.latents, half)


def sweep(model: Any, params: Any, key: Array, state: State, settings: Gibbs, observed: Array | None = None) -> State:
    """Every odd layer, then every even one and x."""
    depth = len(state.latents)
    for level in [*range(1, depth + 1, 2), *range(2, depth + 1, 2)]:
        state = step_layer(model, params, jax.random.fold_in(key, level), level, state, settings)
    return step_x(model, params, jax.random.fold_in(key, 0), state, settings, observed)


def start(model: Any, params: Any, key: Array, x: Array, latents: Latents, settings: Gibbs) -> State:
    """Chains at given values."""
    half = log_half(model, params, key, x, settings.inner) if settings.x_step == "exact" else jnp.zeros_like(x[:, 0])
    return State(x, x, x, latents, half)


def check(model: Any, settings: Gibbs, who: str, *, clamped: bool = False) -> None:
    """Refuse what cannot be sampled.

    Raises:
      UserError: the model has no two chains of layers; or values are to be clamped of which the others are not
        independent given h_1.
    """
    require(model, Bidirectional, who)
    if settings.candidates < 2:
        raise UserError(f"{who} needs at least two candidates, not {settings.candidates}.")
    if clamped and not model.data_unit.factorised:
        raise UserError(
            f"{who} needs values that are independent given the lowest layer; use model.data_units=bernoulli."
        )


def chain(
    model: Any,
    params: Any,
    key: Array,
    state: State,
    iterations: int,
    settings: Gibbs,
    observed: Array | None = None,
) -> tuple[State, tuple[Array, Array]]:
    """T = iterations sweeps: the last state, and after each x and the average of its candidates, (T, B, D)."""

    def one(state: State, key: Array) -> tuple[State, tuple[Array, Array]]:
        state = sweep(model, params, key, state, settings, observed)
        return state, (state.x, state.average)

    return jax.lax.scan(one, state, jax.random.split(key, iterations))
