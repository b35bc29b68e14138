"""Samples of the recognition model that are held fixed while both halves of the parameters learn from them."""

from typing import Any

import jax

from sbvi.models.capabilities import NoisyPosterior, offers
from sbvi.models.noise import corrupt
from sbvi.models.rollout import Noise, Rollout
from sbvi.models.values import LatentParams

Array = jax.Array


def held_samples(
    model: Any, params: LatentParams, key: Array, x: Array, num_samples: int, noise: Noise
) -> tuple[Rollout, Array]:
    """K samples of q(h | x) for x (B, D), scored, and their log q(h | x), (K, B), nats.

    The rollout has gradients by the generative parameters and the prior's alone, log q by the recognition model's
    alone, at the samples as they are. The rollout's own log_posterior is the same density, held fixed: made once,
    where two that differ in what may be differentiated would be two to the compiler.
    """
    fixed = params._replace(recognition=jax.lax.stop_gradient(params.recognition))
    rollout = model.rollout(fixed, key, x, num_samples, noise=noise)
    if offers(model, NoisyPosterior):
        q = model.noisy_posterior(params, key, x, noise)
    else:
        q = model.posterior(params, corrupt(jax.random.fold_in(key, 1), x, noise))  # as the rollout corrupts its input
    log_q = q.log_prob(jax.lax.stop_gradient(rollout.latents))
    return rollout._replace(log_posterior=jax.lax.stop_gradient(log_q)), sum(log_q.values())
