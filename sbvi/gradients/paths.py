"""How gradients pass through samples of a recognition model."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.gradients.reparameterised import Reparameterised
from sbvi.gradients.rule import Array, Nodes, Rule


class Paths(NamedTuple):
    """How gradients pass through a rollout.

    rule: the gradient rule for the expected log-likelihood; an option of factorised Gaussians.
    detach_posterior: stop the gradient of log q with respect to q's *parameters*, keeping the path
      through the sample (sticking the landing).
    gated: give the rollout a `Gate` on the gradient that flows back through each sample; the samples are then
      reparameterised, whatever the rule.
    temperature: that of a relaxation through which gradients pass values of 0 and 1, which stay what they are; None
      where none passes.
    """

    rule: Rule = Reparameterised()
    detach_posterior: bool = False
    gated: bool = False
    temperature: float | None = None


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
def gated(points: Nodes) -> tuple[Nodes, Gate]:
    """The points (S, B, K) as they are, and the gate on the gradient that flows back through them."""
    first = next(iter(points.values()))
    return points, Gate(jnp.zeros(first.shape[:2], first.dtype), jnp.zeros((), first.dtype))


def _forward(points: Nodes) -> tuple[Any, None]:
    return gated(points), None


def _backward(_: None, cotangents: tuple[Nodes, Gate]) -> tuple[Nodes]:
    towards, gate = cotangents
    unit = jnp.where(gate.unit == 0, jnp.ones_like(gate.unit), gate.unit)
    return ({node: value * (gate.factor / unit)[..., None] for node, value in towards.items()},)


gated.defvjp(_forward, _backward)
