"""Neural adaptive importance sampling (Du, Zhu & Zhang 2016): gradients of log p(v), the latents integrated out.

By Fisher's identity the gradient of log p(v) is the posterior mean of grad log p(v, xi). With K samples of the
recognition model q and their normalised weights w_k it is estimated, with a bias of order 1 / K, by

    sum_k w_k grad_theta log p(v, xi_k).

The recognition model learns from the same samples: `inclusive` climbs sum_k w_k log q(xi_k | v), towards the posterior
in the sense of KL(p || q), for any latents; `pathwise` climbs sum_k w_k (log p(v, xi_k) - log q(xi_k | v)) through the
samples, for latents that are smooth functions of noise. The weights are constants in all of them. A share of dreams,
as of reweighted wake-sleep, keeps it from learning the training set by heart: of them there is no end.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.algorithms.held import held_samples
from sbvi.algorithms.wake_sleep import dream_loss
from sbvi.models.rollout import Noise
from sbvi.models.spec import ModelSpec
from sbvi.models.values import LatentParams, generative_part
from sbvi.objectives.discrete import renyi_value
from sbvi.objectives.pieces import node_kl, parts

Array = jax.Array
Proposal = Literal["inclusive", "pathwise"]


class Gradients(NamedTuple):
    """Of one mini-batch: gradients of the mean over it, to climb, in the structures of the generative parameters with
    the prior's, and of the recognition parameters; and the parts of the bound, means over the batch, nats."""

    generative: LatentParams
    recognition: Any
    report: dict[str, Array]


def proposals(model: ModelSpec) -> tuple[Proposal, ...]:
    """The ways in which a model's recognition model can learn here, the better one first."""
    return ("pathwise", "inclusive") if "standard" in model.estimators else ("inclusive",)


def gradients(
    model: Any,
    params: LatentParams,
    key: Array,
    x: Array,
    num_samples: int,
    proposal: Proposal,
    noise: Noise,
    dreams: float = 0.0,
) -> Gradients:
    """Both gradients from the same K samples; x (B, D). dreams: d of the recognition model's gradient, which is
    (1 - d) times that of the samples and d times the mean of grad log q(xi | v) over B dreams (xi, v) ~ p."""

    def surrogate(params: LatentParams) -> tuple[Array, dict[str, Array]]:
        if proposal == "pathwise":
            rollout = model.rollout(params, key, x, num_samples, noise=noise)
            climbed = rollout.log_weights()
        else:
            rollout, log_q = held_samples(model, params, key, x, num_samples, noise)
            climbed = rollout.log_likelihood + sum(rollout.log_prior.values()) + log_q
        log_weights = rollout.log_weights()
        weights = jax.lax.stop_gradient(jax.nn.softmax(log_weights, axis=0))
        bound = renyi_value(jax.lax.stop_gradient(log_weights), 0.0)
        report = parts(rollout, node_kl(rollout, "sampled")) | {"bound": bound}
        return jnp.mean(jnp.sum(weights * climbed, 0)), {name: jnp.mean(value) for name, value in report.items()}

    (_, report), grads = jax.value_and_grad(surrogate, has_aux=True)(params)
    recognition = grads.recognition
    if dreams:

        def dreamt(recognition: Any) -> Array:
            seen = params._replace(recognition=recognition)
            return -dream_loss(model, seen, jax.random.fold_in(key, 2), x.shape[0], x.dtype)

        slept = jax.grad(dreamt)(params.recognition)
        recognition = jax.tree.map(lambda w, s: (1 - dreams) * w + dreams * s, recognition, slept)
    return Gradients(generative_part(grads), recognition, report)


def generative_gradient(
    model: Any, params: LatentParams, key: Array, x: Array, num_samples: int, noise: Noise
) -> LatentParams:
    """The first of `gradients` alone."""
    sampled, fixed = generative_part(params), jax.lax.stop_gradient(params.recognition)

    def surrogate(part: LatentParams) -> Array:
        rollout = model.rollout(part._replace(recognition=fixed), key, x, num_samples, noise=noise)
        weights = jax.nn.softmax(jax.lax.stop_gradient(rollout.log_weights()), axis=0)
        joint = rollout.log_likelihood + sum(rollout.log_prior.values())
        return jnp.mean(jnp.sum(weights * joint, 0))

    gradient: LatentParams = jax.grad(surrogate)(sampled)
    return gradient
