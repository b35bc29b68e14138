"""Missing values by a Markov chain through the latents (PAPER 4.5 and App. F).

pseudo_gibbs: xi ~ q(xi | v), then v_m ~ p(v_m | xi): the paper's chain, whose stationary law is p(v_m | v_o)
only where q is the posterior.
metropolis: the draw of xi is a proposal, accepted with probability

    min(1, p(v | xi') p(xi') q(xi | v) / (p(v | xi) p(xi) q(xi' | v)))

(Mattei and Frellsen 2018), which makes p(v_m | v_o) stationary for any q.
gibbs, gibbs_drop_qx: of models of two opposite chains of layers, Gibbs steps whose stationary law is p*(v_m | v_o), or
near it at less cost (`sbvi.inference.gibbs`).
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.core import UserError
from sbvi.inference import gibbs
from sbvi.models import require
from sbvi.models.api import Imputing, LatentVariable, Marginals, PosteriorDensity, offers

Array = jax.Array
Method = Literal["pseudo_gibbs", "metropolis", "gibbs", "gibbs_drop_qx"]


class Imputation(NamedTuple):
    """What a chain of T iterations left for B examples of D values.

    last: the state, observed values as given (B, D).  means: E[v | xi] at every iteration, (T, B, D).
    draws: v at every iteration, (T, B, D).  accepted: share of proposals taken at each, (T,).
    """

    last: Array
    means: Array
    draws: Array
    accepted: Array


def impute(
    model: Any,
    params: Any,
    key: Array,
    x: Array,
    missing: Array,
    iterations: int,
    warmup: int,
    method: Method = "metropolis",
) -> Imputation:
    """Draw missing values: by the model's own conditionals where it has them, else by the chain from random fills.

    Args:
      model: one with Marginals or Imputing, or a LatentVariable with a PosteriorDensity.
      x: (B, D); what stands at missing places is not looked at.
      missing: (B, D) bool.
      warmup: iterations that take every proposal even under `metropolis`, since from random fills
        hardly any would be taken; they count among `iterations`.

    Raises:
      UserError: the model offers none of these.
    """
    if method in ("gibbs", "gibbs_drop_qx"):
        settings = gibbs.Gibbs(x_step="exact" if method == "gibbs" else "drop_qx")
        return _gibbs(model, params, key, x, missing, iterations, settings)
    if offers(model, Marginals) or offers(model, Imputing):
        return _direct(model, params, key, x, missing, iterations)
    for capability in (LatentVariable, PosteriorDensity):
        require(model, capability, "Imputation")
    if not getattr(model, "factorised", True):
        raise UserError(
            "Imputation draws missing values given the latents alone, and this likelihood's values depend on one "
            "another; allowed: a likelihood that factorises, such as likelihood=bernoulli."
        )

    def weight(latents: dict[str, Array], v: Array) -> Array:
        """log p(v, xi) - log q(xi | v), (B,)."""
        points = {node: values[None] for node, values in latents.items()}
        posterior = sum(values[0] for values in model.posterior(params, v).log_prob(points).values())
        result: Array = model.log_joint(params, points, v)[0] - posterior
        return result

    def one(carry: tuple[Array, dict[str, Array]], inputs: tuple[Array, Array]) -> tuple[Any, Any]:
        v, latents = carry
        position, key = inputs
        propose, decide, fill = jax.random.split(key, 3)
        proposed = {n: points[0] for n, points in model.posterior(params, v).draw(propose, 1).items()}
        taken = jnp.ones(v.shape[:1], bool)
        if method == "metropolis":
            ratio = weight(proposed, v) - weight(latents, v)
            taken = (jnp.log(jax.random.uniform(decide, ratio.shape, v.dtype)) < ratio) | (position < warmup)
        latents = {node: jnp.where(taken[:, None], proposed[node], latents[node]) for node in latents}
        mean, drawn = model.observe(params, fill, latents)
        v = jnp.where(missing, drawn.astype(v.dtype), v)
        return (v, latents), (mean, v, jnp.mean(taken.astype(v.dtype)))

    start, first, chain = jax.random.split(key, 3)
    fills = model.sample_joint(params, start, x.shape[0], x.dtype)[1].value
    v = jnp.where(missing, fills.astype(x.dtype), x)
    latents = {n: points[0] for n, points in model.posterior(params, v).draw(first, 1).items()}
    steps = jnp.arange(iterations, dtype=jnp.int32), jax.random.split(chain, iterations)
    (last, _), (means, draws, accepted) = jax.lax.scan(one, (v, latents), steps)
    return Imputation(last, means, draws, accepted)


def _gibbs(
    model: Any, params: Any, key: Array, x: Array, missing: Array, iterations: int, settings: gibbs.Gibbs
) -> Imputation:
    """From random fills and a draw of q; every move is one of the chain's own, so that all are accepted."""
    gibbs.check(model, settings, "task.method=gibbs", clamped=True)
    first, second, third, last = jax.random.split(key, 4)
    fills = model.sample_joint(params, first, x.shape[0], x.dtype)[1].value
    v = jnp.where(missing, fills.astype(x.dtype), x)
    latents = {node: points[0] for node, points in model.posterior(params, v).draw(second, 1).items()}
    state = gibbs.start(model, params, third, v, latents, settings)
    state, (draws, means) = gibbs.chain(model, params, last, state, iterations, settings, ~missing)
    return Imputation(state.x, means, draws, jnp.ones(iterations, x.dtype))


def _direct(model: Any, params: Any, key: Array, x: Array, missing: Array, iterations: int) -> Imputation:
    """Draws that are independent of one another: every iteration counts, and all are accepted."""
    observed = ~missing
    if offers(model, Marginals):
        keys = jax.random.split(key, iterations)
        found = jax.lax.map(lambda one: model.conditional(params, one, x, observed), keys)
    else:
        found = model.impute(params, key, x, observed, iterations)
    draws = jnp.where(missing, found.value.astype(x.dtype), x)
    means = jnp.where(missing, found.mean.astype(x.dtype), x)
    return Imputation(draws[-1], means, draws, jnp.ones(iterations, x.dtype))
