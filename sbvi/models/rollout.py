"""The record that joins models to everything that scores or trains them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.core import UserError
from sbvi.gradients import Gate

Array = jax.Array
Params = Any


class Rollout(NamedTuple):
    """What a model says of S samples from its recognition model for B examples; nats.

    latents: any pytree of the samples.
    log_likelihood: log p(x | latents), (S, B).
    log_prior: stochastic node -> log p(latent), (S, B).
    log_posterior: stochastic node -> log q(latent | x), (S, B).
    kl: node -> KL(q || p), (B,), where there is a closed form, else None.
    gate: what lets an objective weigh the gradients of the samples' paths; on request of `Paths`, else None.
    score: log q of those nodes through whose samples no gradient passes, (S, B); None where it passes through all.
    """

    latents: Any
    log_likelihood: Array
    log_prior: dict[str, Array]
    log_posterior: dict[str, Array]
    kl: dict[str, Array] | None
    gate: Gate | None = None
    score: Array | None = None

    def log_weights(self) -> Array:
        """log p(x, latents) - log q(latents | x), (S, B): the log importance weights."""
        prior = sum(self.log_prior.values())
        posterior = sum(self.log_posterior.values())
        result: Array = self.log_likelihood + prior - posterior
        return result


def each_scored(rollout: Rollout, samples: int, examples: int) -> Rollout:
    """The rollout of latents by node, each of whose densities is one number for each sample and example. Others would
    be spread over one another, and give a bound of nothing.

    Raises:
      UserError: the density, its shape and the one that it must have.
    """
    known = set(rollout.latents)
    terms: dict[str, Any] = {"log p(x | latents) of the likelihood": rollout.log_likelihood}
    for what, each in (("log p of the prior", rollout.log_prior), ("log q of the posterior", rollout.log_posterior)):
        if not isinstance(each, Mapping) or set(each) != known:
            found = ", ".join(map(str, each)) if isinstance(each, Mapping) else f"a {type(each).__name__}"
            raise UserError(f"{what} is {found}; it must be a dict of {', '.join(known)}.")
        terms |= {f"{what} at {node}": value for node, value in each.items()}
    for what, value in terms.items():
        if (shape := jnp.shape(value)) != (samples, examples):
            raise UserError(
                f"{what} has the shape {shape} for {samples} samples of {examples} examples; it must be "
                f"{(samples, examples)}: one number for each, summed over its own values alone."
            )
    return rollout


class Noise(NamedTuple):
    """Regularising noise in training (PAPER 3.1 has that of the recognition model's inputs); None where absent.

    bit_flip: probability that a binary input of the recognition model is flipped. dropout: that an input is zeroed.
    latent: standard deviation of Gaussian noise added to the samples. missing: probability that a table's entry is
    taken for a missing one, by recognition model and likelihood alike. units: probability that a unit of the
    generative model's deterministic layers is zeroed.
    """

    bit_flip: Array | None = None
    dropout: Array | None = None
    latent: Array | None = None
    missing: Array | None = None
    units: Array | None = None
