"""-log p(y, z) as a function to differentiate: what descent minimises and chains draw from.

A position is a list of standard normal arrays: the latent z (B, n) and the noise of every layer that has any, so that
the prior is the same for all. Everything is float64 when 64-bit types are on.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.inference.ml_vamp.problem import BinaryOutput, Problem, energy_of_output
from sbvi.inference.ml_vamp.threshold import ThresholdUnit

Position = list[jax.Array]


def differentiable(problem: Problem, method: str) -> None:
    """Refuse a network whose energy has no gradient.

    Raises:
      UserError: a unit is a threshold, or the output is the sign.
    """
    for number, layer in enumerate(problem.network.layers, 1):
        if isinstance(layer, ThresholdUnit):
            raise UserError(f"layer {number} is a threshold, which method={method} cannot differentiate; use ml_vamp.")
    if isinstance(problem.output, BinaryOutput) and problem.output.link == "probit" and problem.output.noise == 0:
        raise UserError(f"a sign output has no gradient for method={method}; use ml_vamp.")


def start(problem: Problem, generator: np.random.Generator, scale: float) -> Position:
    """Normal numbers of a standard deviation, for every example."""
    sizes = (problem.network.inputs, *problem.network.noisy)
    return [jnp.asarray(scale * generator.standard_normal((len(problem.y), n))) for n in sizes]


def energy(problem: Problem) -> Callable[[Position, jax.Array], jax.Array]:
    """(position, y (B, m)) -> -log p(y, position), (B,), nats."""

    def function(position: Position, y: jax.Array) -> jax.Array:
        prior = sum(jnp.sum(0.5 * part**2 + 0.5 * float(np.log(2 * np.pi)), axis=1) for part in position)
        return prior + energy_of_output(problem.output, output(problem, position), y)

    return function


def output(problem: Problem, position: Position) -> jax.Array:
    """The network's output x, (B, m), before any operator."""
    return problem.network.activations(position[0], position[1:])[-1]


def signal(problem: Problem, position: Position) -> jax.Array:
    """The output, or the probability of a 1 where y is its bits."""
    x = output(problem, position)
    if problem.of_bits:
        assert isinstance(problem.output, BinaryOutput)
        return problem.output.probability(x, jnp.zeros_like(x))
    return x
