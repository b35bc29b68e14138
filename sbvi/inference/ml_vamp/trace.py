"""The algorithm's errors half-iteration by half-iteration, where the truth is known."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.inference.ml_vamp.evolution import Evolution
from sbvi.inference.ml_vamp.network import Network
from sbvi.inference.ml_vamp.passing import Limits, init, step
from sbvi.inference.ml_vamp.precision import in_float64
from sbvi.inference.ml_vamp.problem import GaussianOutput, Problem, sizes

_step = jax.jit(step, static_argnums=(4, 5))


@in_float64
def drawn(problem: Problem, examples: int, seed: int = 0) -> tuple[Problem, list[np.ndarray]]:
    """The same network and output with y of latents from N(0, I), and the true values (B, n) of every variable, the
    latent first; entries that no example of `problem` has are missing."""
    generator, kept = np.random.default_rng(seed), problem.entries
    network = Network(problem.measured_layers)
    z = jnp.asarray(generator.standard_normal((examples, network.inputs)))
    noises = [jnp.asarray(generator.standard_normal((examples, n))) for n in network.noisy]
    values = [np.asarray(variable) for variable in network.activations(z, noises)]
    y = np.full((examples, problem.measured), np.nan)
    if isinstance(problem.output, GaussianOutput):
        y[:, kept] = values[-1] + np.sqrt(problem.output.noise) * generator.standard_normal(values[-1].shape)
    else:
        chances = problem.output.probability(jnp.asarray(values[-1]), jnp.zeros(values[-1].shape))
        y[:, kept] = generator.random(values[-1].shape) < np.asarray(chances)
    return Problem(problem.network, problem.output, y), values


@in_float64
def trace(problem: Problem, truth: Sequence[np.ndarray], iterations: int, damping: float = 1.0) -> Evolution:
    """Mean squared errors of both estimates of every variable, averaged over examples, as `evolve` predicts them.

    truth: true values (B, n) by variable, the latent first. All examples have the same entries of y.
    """
    examples = np.arange(len(problem.y))
    factors = problem.factors(np.ones(len(problem.entries), bool))
    evidence = problem.evidence(examples)
    state = init(sizes(factors, problem.network.inputs), len(examples), Limits())
    share = jnp.full((len(examples), 1), damping)
    records = []
    for _ in range(iterations):
        state, beliefs = _step(factors, evidence, state, share, "mmse", Limits())
        errors = [
            [float(np.mean((np.asarray(m.mean) - true) ** 2)) for m, true in zip(side, truth, strict=False)]
            for side in beliefs
        ]
        claimed = [[float(jnp.mean(m.variance)) for m in side] for side in beliefs]
        records.append([*errors, *claimed])
    power = np.array([np.mean(np.asarray(true) ** 2) for true in truth[: len(records[0][0])]])
    forward, backward, forward_claimed, backward_claimed = np.moveaxis(np.asarray(records), 0, -1)
    return Evolution(forward, backward, forward_claimed, backward_claimed, power)
