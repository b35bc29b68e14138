"""Missing values by a Markov chain through the latents (PAPER 4.5 and App. F).

pseudo_gibbs: xi ~ q(xi | v), then v_m ~ p(v_m | xi), from random fills: the paper's chain, whose stationary law is
p(v_m | v_o) only where q is the posterior.
metropolis: global moves by q and local ones along gradients, from an importance-weighted draw, which make p(v_m | v_o)
stationary for any q (`sbvi.inference.observed_chain`).
gibbs, gibbs_drop_qx: of models of two opposite chains of layers, Gibbs steps whose stationary law is p*(v_m | v_o), or
near it at less cost (`sbvi.inference.gibbs`).
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.core import UserError
from sbvi.inference import gibbs, observed_chain
from sbvi.models import require_any
from sbvi.models.capabilities import Imputing, LatentVariable, Marginals, PosteriorDensity, offers

Array = jax.Array
Method = Literal["pseudo_gibbs", "metropolis", "gibbs", "gibbs_drop_qx"]

#: What a model must have to fill in missing values: one of these sets of capabilities.
WAYS = ((Marginals,), (Imputing,), (LatentVariable, PosteriorDensity))

#: Directions in data space along which chains are compared.
DIRECTIONS = 5


class Imputation(NamedTuple):
    """What a chain of T iterations left for B examples of D values.

    last: the state, observed values as given (B, D).  means: E[v | xi] at every iteration, (T, B, D); of gibbs the
      average of the candidates, since E[v | xi] of p is not that of p*.
    draws: v at every iteration, (T, B, D).  accepted: 1 where the proposal was taken, (T, B).
    local: probability of taking the local move, (T, B); None where there are none.
    """

    last: Array
    means: Array
    draws: Array
    accepted: Array
    local: Array | None = None


def exact(model: Any) -> bool:
    """Whether the model draws missing values from their law, one draw apart from the other, so that one chain is
    enough."""
    return offers(model, Marginals)


def without_chain(model: Any) -> bool:
    """Whether the model draws missing values itself, exactly or by a population of its own; of such populations several
    are compared as chains are."""
    return exact(model) or offers(model, Imputing)


def impute(
    model: Any,
    params: Any,
    key: Array,
    x: Array,
    missing: Array,
    iterations: int,
    warmup: int,
    method: Method = "metropolis",
    leapfrogs: int = 5,
) -> Imputation:
    """Draw missing values: by the model's own conditionals where it has them, else by a chain.

    Args:
      model: one with Marginals or Imputing, or a LatentVariable with a PosteriorDensity.
      x: (B, D); what stands at missing places is not looked at.
      missing: (B, D) bool.
      warmup: first iterations, in which `metropolis` finds the size of its local moves; they count among `iterations`.
      leapfrogs: steps of a local move; 0 for global moves alone.

    Raises:
      UserError: the model offers none of these, or the method is of another kind.
    """
    if method in ("gibbs", "gibbs_drop_qx"):
        settings = gibbs.Gibbs(x_step="exact" if method == "gibbs" else "drop_qx")
        return _gibbs(model, params, key, x, missing, iterations, settings)
    if without_chain(model):
        if method == "pseudo_gibbs":
            raise UserError(
                "method=pseudo_gibbs is a chain of latents, and this model draws missing values by its own "
                "conditionals; leave the method out."
            )
        return _direct(model, params, key, x, missing, iterations)
    require_any(model, WAYS, "Imputation")
    if not model.factorises():
        raise UserError(
            "Imputation draws missing values given the latents alone, and this model's values depend on one another; "
            "allowed: values that are independent given the latents, such as likelihood=bernoulli and "
            "model.data_units=bernoulli."
        )
    if method == "pseudo_gibbs":
        return _pseudo_gibbs(model, params, key, x, missing, iterations)

    def one(state: Any, inputs: tuple[Array, Array]) -> tuple[Any, Any]:
        key, gain = inputs
        return observed_chain.step(model, params, key, state, missing, leapfrogs, gain)

    begin, chain = jax.random.split(key)
    state = observed_chain.start(model, params, begin, x, missing)
    steps = jnp.arange(iterations, dtype=x.dtype)
    gains = jnp.where(steps < warmup, (steps + 1) ** -0.5, 0)
    state, moved = jax.lax.scan(one, state, (jax.random.split(chain, iterations), gains))
    return Imputation(state.v, moved.means, moved.value, moved.accepted, moved.local)


def by_chain(values: Array, chains: int) -> Array:
    """(T, C B, ...) of tiled rows as (C, T, B, ...)."""
    split = values.reshape(values.shape[0], chains, -1, *values.shape[2:])
    return jnp.swapaxes(split, 0, 1)


def directions(model: Any, imputation: Imputation, missing: Array, chains: int, warmup: int) -> Array:
    """By what chains of the same B examples are compared: their means along random directions of the missing values,
    (chains, T - warmup, B, DIRECTIONS); of populations, which have one mean each, their draws.

    imputation: of C B rows, all examples of the first chain first.  missing: (B, D).
    """
    values = imputation.draws if without_chain(model) else imputation.means
    values = by_chain(values, chains)[:, warmup:]
    ways = jax.random.rademacher(jax.random.key(0), (missing.shape[1], DIRECTIONS), values.dtype)
    return jnp.where(missing[None, None], values, jnp.zeros_like(values)) @ ways


def _all_taken(x: Array, iterations: int) -> Array:
    return jnp.ones((iterations, x.shape[0]), x.dtype)


def _pseudo_gibbs(model: Any, params: Any, key: Array, x: Array, missing: Array, iterations: int) -> Imputation:
    def one(v: Array, key: Array) -> tuple[Array, tuple[Array, Array]]:
        propose, fill = jax.random.split(key)
        latents = {n: points[0] for n, points in model.posterior(params, v).draw(propose, 1).items()}
        mean, drawn = model.observe(params, fill, latents)
        v = jnp.where(missing, drawn.astype(v.dtype), v)
        return v, (mean, v)

    begin, chain = jax.random.split(key)
    fills = model.sample_joint(params, begin, x.shape[0], x.dtype)[1].value
    v = jnp.where(missing, fills.astype(x.dtype), x)
    last, (means, draws) = jax.lax.scan(one, v, jax.random.split(chain, iterations))
    return Imputation(last, means, draws, _all_taken(x, iterations))


def _gibbs(
    model: Any, params: Any, key: Array, x: Array, missing: Array, iterations: int, settings: gibbs.Gibbs
) -> Imputation:
    """From random fills and a draw of q; every move is one of the chain's own, so that all are accepted."""
    name = "gibbs" if settings.x_step == "exact" else "gibbs_drop_qx"
    gibbs.check(model, settings, f"task.method={name}", clamped=True)
    first, second, third, last = jax.random.split(key, 4)
    fills = model.sample_joint(params, first, x.shape[0], x.dtype)[1].value
    v = jnp.where(missing, fills.astype(x.dtype), x)
    latents = {node: points[0] for node, points in model.posterior(params, v).draw(second, 1).items()}
    state = gibbs.start(model, params, third, v, latents, settings)
    state, (draws, means) = gibbs.chain(model, params, last, state, iterations, settings, ~missing)
    return Imputation(state.x, means, draws, _all_taken(x, iterations))


def _direct(model: Any, params: Any, key: Array, x: Array, missing: Array, iterations: int) -> Imputation:
    """Draws that do not follow one another: every iteration counts, and all are accepted."""
    observed = ~missing
    if offers(model, Marginals):
        keys = jax.random.split(key, iterations)
        drawn = jax.lax.map(lambda one: model.conditional(params, one, x, observed), keys)
    else:
        drawn = model.impute(params, key, x, observed, iterations)
    draws = jnp.where(missing, drawn.value.astype(x.dtype), x)
    means = jnp.where(missing, drawn.mean.astype(x.dtype), x)
    return Imputation(draws[-1], means, draws, _all_taken(x, iterations))
