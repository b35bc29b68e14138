"""Missing values by a Markov chain through the latents (PAPER 4.5 and App. F).

pseudo_gibbs: xi ~ q(xi | v), then v_m ~ p(v_m | xi): the paper's chain, whose stationary law is p(v_m | v_o)
only where q is the posterior.
metropolis: the draw of xi is a proposal, accepted with probability

    min(1, p(v | xi') p(xi') q(xi | v) / (p(v | xi) p(xi) q(xi' | v)))

(Mattei and Frellsen 2018), which makes p(v_m | v_o) stationary for any q.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.distributions.gaussian import log_prob
from sbvi.gradients.rule import draw
from sbvi.models import BuiltDLGM

Array = jax.Array
Method = Literal["pseudo_gibbs", "metropolis"]


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
    model: BuiltDLGM,
    params: Any,
    key: Array,
    x: Array,
    missing: Array,
    iterations: int,
    warmup: int,
    method: Method = "metropolis",
) -> Imputation:
    """Run the chain from random fills.

    Args:
      x: (B, D); what stands at missing places is not looked at.
      missing: (B, D) bool.
      warmup: iterations that take every proposal even under `metropolis`, since from random fills
        hardly any would be taken; they count among `iterations`.
    """

    def weight(latents: dict[str, Array], v: Array) -> Array:
        """log p(v, xi) - log q(xi | v), (B,)."""
        q = model.encode(params, v)
        posterior = sum(log_prob(q[node], points[None])[0] for node, points in latents.items())
        joint = model.log_joint(params, {node: points[None] for node, points in latents.items()}, v)[0]
        result: Array = joint - posterior
        return result

    def one(carry: tuple[Array, dict[str, Array]], inputs: tuple[Array, Array]) -> tuple[Any, Any]:
        v, latents = carry
        position, key = inputs
        propose, decide, fill = jax.random.split(key, 3)
        proposed = {node: points[0] for node, points in draw(propose, model.encode(params, v), 1).items()}
        taken = jnp.ones(v.shape[:1], bool)
        if method == "metropolis":
            ratio = weight(proposed, v) - weight(latents, v)
            taken = (jnp.log(jax.random.uniform(decide, ratio.shape, v.dtype)) < ratio) | (position < warmup)
        latents = {node: jnp.where(taken[:, None], proposed[node], latents[node]) for node in latents}
        outputs = model.outputs(params, latents)
        mean, drawn = model.likelihood.mean(*outputs), model.likelihood.sample(fill, *outputs)
        v = jnp.where(missing, drawn.astype(v.dtype), v)
        return (v, latents), (mean, v, jnp.mean(taken.astype(v.dtype)))

    start, first, chain = jax.random.split(key, 3)
    fills = model.sample_joint(params, start, x.shape[0], x.dtype)[2]
    v = jnp.where(missing, fills.astype(x.dtype), x)
    latents = {node: points[0] for node, points in draw(first, model.encode(params, v), 1).items()}
    steps = jnp.arange(iterations, dtype=jnp.int32), jax.random.split(chain, iterations)
    (last, _), (means, draws, accepted) = jax.lax.scan(one, (v, latents), steps)
    return Imputation(last, means, draws, accepted)
