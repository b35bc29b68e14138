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
    gate: what lets an objective weigh the gradients of the samples' paths; on request of `Paths`, else None.
    """

    latents: Any
    log_likelihood: Array
    log_prior: dict[str, Array]
    log_posterior: dict[str, Array]
    kl: dict[str, Array] | None
    gate: "Gate | None" = None

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
    gated: give the rollout a `Gate` on the gradient that flows back through each sample; the samples are then
      reparameterised, whatever the rule.
    """

    rule: Rule = Reparameterised()
    detach_posterior: bool = False
    gated: bool = False


STANDARD = Paths()


class Gate(NamedTuple):
    """Zeros, whose cotangents weigh the gradients that pass through `gated` samples.

    The weights of an estimator are functions of the samples' scores, which exist only after the samples:
    so they are told on the way back, and one rollout serves where the weights would need a first one.

    factor: (S, B). unit: (), the scale of the loss, so that any multiple of it has its multiple of the gradient.
    """

    factor: Array
    unit: Array

    def weigh(self, weights: Array) -> Array:
        """Zero, to be added to a loss: multiplies the gradient through sample s of example b by weights (S, B)."""
        return jnp.sum(jax.lax.stop_gradient(weights) * self.factor) + self.unit


@jax.custom_vjp
def gated(points: dict[str, Array]) -> tuple[dict[str, Array], Gate]:
    """The points (S, B, K) as they are, and the gate on the gradient that flows back through them."""
    first = next(iter(points.values()))
    return points, Gate(jnp.zeros(first.shape[:2], first.dtype), jnp.zeros((), first.dtype))


def _forward(points: dict[str, Array]) -> tuple[Any, None]:
    return gated(points), None


def _backward(_: None, cotangents: tuple[dict[str, Array], Gate]) -> tuple[dict[str, Array]]:
    towards, gate = cotangents
    unit = jnp.where(gate.unit == 0, jnp.ones_like(gate.unit), gate.unit)
    return ({node: value * (gate.factor / unit)[..., None] for node, value in towards.items()},)


gated.defvjp(_forward, _backward)


def detached(q: Mapping[str, Gaussian]) -> dict[str, Any]:
    """q with its parameters cut from the gradient."""
    return {name: jax.lax.stop_gradient(node) for name, node in q.items()}
