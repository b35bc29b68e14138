"""State evolution: the error of message passing, predicted by numbers alone (arXiv 1706.06549, state evolution).

The prediction is exact in the limit of large layers for weights whose singular vectors are uniform; for a trained
network it is what the algorithm would do were they so. What each layer does to errors: `transfer`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from sbvi.inference.ml_vamp.network import Linear
from sbvi.inference.ml_vamp.passing import Limits
from sbvi.inference.ml_vamp.precision import in_float64
from sbvi.inference.ml_vamp.problem import GaussianOutput, Problem, channel
from sbvi.inference.ml_vamp.transfer import (
    Above,
    Below,
    BitsReader,
    LinearTransfer,
    Reader,
    Transfer,
    UnitTransfer,
    normals,
    prior,
)


@dataclass(frozen=True)
class Evolution:
    """Mean squared errors by variable and iteration, (variables, iterations), and what messages claim of them.

    forward: of the estimate from below.  backward: of the one from above.  power (variables,): mean squares of the
    true values, by which errors are made relative.
    """

    forward: np.ndarray
    backward: np.ndarray
    forward_claimed: np.ndarray
    backward_claimed: np.ndarray
    power: np.ndarray


@in_float64
def evolve(
    problem: Problem,
    iterations: int,
    seed: int = 0,
    draws: int = 100_000,
    activations: Sequence[np.ndarray] | None = None,
) -> Evolution:
    """Predict the errors of message passing without damping on a problem such as this one, whose y is not looked at.

    Args:
      problem: its network and output, and which entries of y there are, the same for every example.
      iterations: passes up and down.
      seed: of the averages over a unit's entries.
      draws: of these averages, an even number.
      activations: values (B, n) of every variable of a trained network, the latent's first, whose own distribution
        then stands in for the normal one that a random network's has.
    """
    output = problem.output
    parts: list[Transfer] = []
    biases: np.ndarray | None = None  # what the biases of the linear layers since the last unit add to a variable
    for place, layer in enumerate(problem.measured_layers):
        true = None if activations is None else activations[place + isinstance(layer, Linear)]
        if isinstance(layer, Linear):
            power = 0.0 if biases is None else float(np.mean(biases**2))
            biases = layer.bias if biases is None else layer.bias + layer.weight @ biases
            square = None if true is None else float(np.mean((true - biases) ** 2))
            s = jnp.asarray(np.linalg.svd(layer.weight, compute_uv=False))
            sides = float(layer.weight.shape[1]), float(layer.weight.shape[0])
            parts.append(LinearTransfer(s, *sides, layer.noise, square, power))
        else:
            generator = np.random.default_rng((seed, place))
            assert biases is not None
            parts.append(UnitTransfer(layer, *normals(3, biases, true, draws, generator)))
            biases = None
    if isinstance(output, GaussianOutput):
        return _evolve(parts[:-1], parts[-1], output.noise, iterations)
    generator = np.random.default_rng((seed, len(parts)))
    assert biases is not None
    bias, normal = normals(2, biases, true, draws, generator)
    uniform, factor = jnp.asarray(generator.random(draws)), channel(output, np.ones(draws, bool))
    return _evolve(parts, BitsReader(output.link, output.noise, factor, bias, normal, uniform), 1.0, iterations)


def _evolve(inner: Sequence[Transfer], last: Reader, noise: float, iterations: int) -> Evolution:
    parts = (*inner, last)
    count = len(parts)
    evidence = Above(jnp.asarray(noise), jnp.asarray(noise))
    wide = jnp.asarray(Limits().variance_max)
    above = [Above(wide, wide)] * count
    below = [Below(jnp.asarray(1.0), jnp.asarray(0.0), jnp.asarray(0.0), wide)] * count
    records = np.zeros((4, count, iterations))
    for turn in range(iterations):
        for i in range(count):
            below[i], error, claimed = inner[i - 1].up(below[i - 1], above[i]) if i else prior(above[0])
            records[[0, 2], i, turn] = float(error), float(claimed)
        for i in reversed(range(count)):
            above[i], error, claimed = parts[i].down(below[i], above[i + 1] if i + 1 < count else evidence)
            records[[1, 3], i, turn] = float(error), float(claimed)
    power = np.array([float(b.true) + part.bias_power for b, part in zip(below, parts, strict=True)])
    return Evolution(records[0], records[1], records[2], records[3], power)
