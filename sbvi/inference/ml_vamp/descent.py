"""The mode by gradient descent on the latent, from several starts: min over z of -log p(y, z)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sbvi.core import Positive, PositiveInt, spec
from sbvi.core.watch import counted
from sbvi.inference.ml_vamp.energy import Position, differentiable, energy, signal, start
from sbvi.inference.ml_vamp.precision import in_float64
from sbvi.inference.ml_vamp.problem import Problem


@spec
class Descent:
    """Adam from several starts, the best of which is kept for each example."""

    restarts: PositiveInt = 10
    """Starts, the first one near 0."""
    steps: PositiveInt = 1000
    """Steps from each."""
    learning_rate: Positive = 0.05
    """Adam's, falling to 0 along a cosine."""


@in_float64
def descend(
    problem: Problem, options: Descent, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Latents, variances (NaN), signal, its variances (NaN), and `energy` by restart, (B, restarts)."""
    differentiable(problem, "gradient")
    generator = np.random.default_rng(seed)
    cost = energy(problem)
    y = jnp.asarray(problem.y)
    adam = optax.adam(optax.cosine_decay_schedule(options.learning_rate, options.steps))

    @jax.jit
    def run(position: Position, y: jax.Array) -> tuple[Position, jax.Array]:
        def step(carry: tuple[Position, optax.OptState], _: None) -> tuple[tuple[Position, optax.OptState], None]:
            position, state = carry
            gradient = jax.grad(lambda p: jnp.sum(cost(p, y)))(position)
            with jax.numpy_dtype_promotion("standard"):  # Optax mixes its counters with floats
                updates, state = adam.update(gradient, state, position)
            return (optax.apply_updates(position, updates), state), None

        (position, _), _ = jax.lax.scan(step, (position, adam.init(position)), length=options.steps)
        return position, cost(position, y)

    runs = [
        jax.block_until_ready(run(start(problem, generator, 0.01 if r == 0 else 1.0), y))
        for r in counted("descent", range(options.restarts))
    ]
    energies = np.stack([np.asarray(e) for _, e in runs], axis=1)
    best, rows = np.nanargmin(energies, axis=1), np.arange(len(problem.y))
    stacked = [np.stack([np.asarray(p[i]) for p, _ in runs])[best, rows] for i in range(len(runs[0][0]))]
    at = np.asarray(signal(problem, [jnp.asarray(part) for part in stacked]))
    blank = np.full(stacked[0].shape, np.nan), np.full(at.shape, np.nan)
    return stacked[0], blank[0], at, blank[1], {"energy": energies}
