"""Missing entries of tables by importance sampling from the recognition model (Mattei and Frellsen 2019, MIWAE).

    w_s ~ p(x_o, z_s) / q(z_s | x_o),  z_s ~ q(z | x_o),  sum_s w_s = 1
    E[x_m | x_o] ~ sum_s w_s E[x_m | z_s]
    draws: z* from z_1 .. z_S with probabilities w, then x_m ~ p(x_m | z*): sampling-importance-resampling

All tend to those of p(x_m | x_o) as S grows; the draws share the samples' z, so that the effective sample size says
how many of them differ. `chain` takes z* from an independence Metropolis chain over the same samples: its law tends to
p(z | x_o) with its length, and it forgets its first quarter.
"""

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from sbvi.inference import psis
from sbvi.inference.importance import even

Array = jax.Array
How = Literal["importance", "chain"]


class Resampled(NamedTuple):
    """mean: E[x | x_o] in the columns' units, (B, D).  draws: (R, B, D), as a model sees them, of all entries.
    effective: sample size 1 / sum w^2, (B,).  accepted: share of the chain's proposals taken, (B,); 1 without one.
    log_likelihood: the same samples' estimate of log p(x_o), nats, (B,); None where nobody tells it.
    khat: shape of the weights' tail (`sbvi.inference.psis`), (B,), NaN in a row where it is not known; None where S is
      too small for one or nobody tells it."""

    mean: Array
    draws: Array
    effective: Array
    accepted: Array
    log_likelihood: Array | None = None
    khat: Array | None = None


def resampled(
    model: Any, params: Any, key: Array, x: Array, num_samples: int, draws: int, chunk: int, how: How = "importance"
) -> Resampled:
    """R draws of every entry of x (B, D) given those that are not NaN.

    Args:
      model: a LatentVariable that is Tabular.
      num_samples: S; rounded up to whole chunks, by which the decoder meets them.
      how: what chooses the draws' latents among the samples.
    """
    first, second, third = jax.random.split(key, 3)
    chunk = even(num_samples, chunk)
    rounds = -(-num_samples // chunk)

    def one(carry: tuple[Array, Array, Array], position: Array) -> tuple[tuple[Array, Array, Array], Any]:
        top, total, sums = carry
        rollout = model.rollout(params, jax.random.fold_in(first, position), x, chunk)
        weights = rollout.log_weights()
        new = jnp.maximum(top, jnp.max(weights, 0))
        scaled, before = jnp.exp(weights - new[None]), jnp.exp(top - new)
        means = model.missing_columns(params, first, rollout.latents).mean
        sums = sums * before[:, None] + jnp.einsum("sb,sbd->bd", scaled, means)
        return (new, total * before + jnp.sum(scaled, 0), sums), (weights, rollout.latents)

    none = jnp.full(x.shape[:1], -jnp.inf, x.dtype)
    start = none, jnp.zeros_like(none), jnp.zeros_like(x)
    (_, total, sums), (weights, latents) = jax.lax.scan(one, start, jnp.arange(rounds, dtype=jnp.int32))
    weights = weights.reshape(-1, weights.shape[-1])  # (S, B)
    accepted = jnp.ones_like(total)
    if how == "chain":
        chosen, accepted = independence_chain(second, weights, draws)
    else:
        chosen = systematic(second, jax.nn.softmax(weights, 0), draws)
    kept = {
        node: jnp.take_along_axis(z.reshape(-1, *z.shape[2:]), chosen[..., None], axis=0) for node, z in latents.items()
    }
    effective = 1 / jnp.sum(jnp.square(jax.nn.softmax(weights, 0)), 0)
    log_likelihood = logsumexp(weights, 0) - math.log(len(weights))
    values = model.missing_columns(params, third, kept).value
    return Resampled(sums / total[:, None], values, effective, accepted, log_likelihood, psis.of_weights(weights))


def systematic(key: Array, weights: Array, draws: int) -> Array:
    """R positions for each column of weights (S, B), (R, B), in random order: position s about R w_s times, by R
    evenly spaced points with one random shift (Carpenter et al. 1999)."""
    first, second = jax.random.split(key)
    count, batch = weights.shape
    shift = jax.random.uniform(first, (1, batch), weights.dtype)
    points = (jnp.arange(draws, dtype=weights.dtype)[:, None] + shift) / draws
    edges = jnp.cumsum(weights, 0)
    edges = edges / edges[-1:]
    positions = jax.vmap(jnp.searchsorted, in_axes=1, out_axes=1)(edges, points)
    order = jax.random.permutation(second, draws)  # the first of them are draws like any others
    return jnp.minimum(positions, count - 1)[order]


def independence_chain(key: Array, log_weights: Array, draws: int) -> tuple[Array, Array]:
    """Positions (R, B), evenly spaced along a Metropolis chain that is offered sample after sample of q and takes s in
    place of t with probability min(1, w_s / w_t), after its first quarter; and the share that it takes, (B,).

    It starts from an importance-weighted choice among that quarter. The first M positions of R lie about evenly along
    the whole chain, for every M: neighbours on it are alike, and would tell too little of its law.
    """
    first, second = jax.random.split(key)
    count, batch = log_weights.shape
    burnt = count // 4
    begin = jax.random.categorical(first, log_weights[: max(burnt, 1)], axis=0).astype(jnp.int32)
    chance = jnp.log(jax.random.uniform(second, log_weights.shape, log_weights.dtype))
    rows = jnp.arange(batch, dtype=jnp.int32)

    def one(state: Array, offered: tuple[Array, Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        position, weight, log_u = offered
        taken = log_u < weight - log_weights[state, rows]
        state = jnp.where(taken, position, state)
        return state, (state, taken)

    steps = jnp.arange(burnt, count, dtype=jnp.int32), log_weights[burnt:], chance[burnt:]
    _, (states, taken) = jax.lax.scan(one, begin, steps)
    places = jnp.round(jnp.linspace(0, count - burnt - 1, draws)).astype(jnp.int32)
    return states[places][spread_order(draws)], jnp.mean(taken.astype(log_weights.dtype), 0)


def spread_order(count: int) -> np.ndarray:
    """A permutation of 0 .. count - 1 of which the first M are about evenly spaced, for every M: the ranks of the
    multiples of the golden ratio, modulo 1 (int32)."""
    places = np.modf(np.arange(count) * (np.sqrt(5) - 1) / 2)[0]
    return np.argsort(np.argsort(places)).astype(np.int32)
