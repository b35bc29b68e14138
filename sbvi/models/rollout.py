"""The record that joins models to everything that scores or trains them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.distributions.gaussian import Gaussian
from sbvi.gradients import Rule
from sbvi.gradients.reparameterised import Reparameterised

Array = jax.Array
Params = Any


class Rollout(NamedTuple):
    """What a model says of S samples from its recognition model for B examples; nats.

    latents: any pytree of the samples.
    log_likelihood: log p(x | latents), (S, B).
    log_prior: stochastic node -> log p(latent), (S, B).
    log_posterior: stochastic node -> log q(latent | x), (S, B).
    kl: node -> KL(q || p), (B,), where there is a closed form, else None.
    """

    latents: Any
    log_likelihood: Array
    log_prior: dict[str, Array]
    log_posterior: dict[str, Array]
    kl: dict[str, Array] | None

    def log_weights(self) -> Array:
        """log p(x, latents) - log q(latents | x), (S, B): the log importance weights."""
        prior = sum(self.log_prior.values())
        posterior = sum(self.log_posterior.values())
        result: Array = self.log_likelihood + prior - posterior
        return result


class Noise(NamedTuple):
    """Regularising noise of the recognition model in training (PAPER 3.1); None where absent.

    bit_flip: probability that a binary input is flipped. dropout: probability that an input is zeroed.
    latent: standard deviation of Gaussian noise added to the samples.
    """

    bit_flip: Array | None = None
    dropout: Array | None = None
    latent: Array | None = None


class Paths(NamedTuple):
    """How gradients pass through a rollout.

    rule: the gradient rule for the expected log-likelihood.
    detach_posterior: stop the gradient of log q with respect to q's *parameters*, keeping the path
      through the sample (sticking the landing).
    weights: (S, B) factors on the gradient that flows back through each sample, or None.
    """

    rule: Rule = Reparameterised()
    detach_posterior: bool = False
    weights: Array | None = None


STANDARD = Paths()


@jax.custom_vjp
def weigh_gradient(value: Array, weight: Array) -> Array:
    """The identity in `value`, whose gradient is multiplied by `weight` (broadcastable to it)."""
    return value


def _forward(value: Array, weight: Array) -> tuple[Array, Array]:
    return value, weight


def _backward(weight: Array, cotangent: Array) -> tuple[Array, Array]:
    return cotangent * weight, jnp.zeros_like(weight)


weigh_gradient.defvjp(_forward, _backward)


def detached(q: Mapping[str, Gaussian]) -> dict[str, Any]:
    """q with its parameters cut from the gradient."""
    return {name: jax.lax.stop_gradient(node) for name, node in q.items()}
