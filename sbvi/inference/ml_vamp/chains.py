"""Chains over the latent, one an example, by BlackJAX's kernels: Langevin (MALA) and Hamiltonian Monte Carlo.

Each example's step size is set in a warm-up by stochastic approximation of the acceptance rate; every example then
has a chain of its own whose draws are averaged.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import Positive, PositiveInt, spec
from sbvi.inference.ml_vamp.energy import Position, differentiable, energy, signal, start
from sbvi.inference.ml_vamp.precision import in_float64
from sbvi.inference.ml_vamp.problem import Problem

Estimates = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]


@spec
class Chain:
    """Length of a chain and of its warm-up."""

    samples: PositiveInt = 5000
    """Draws that are averaged."""
    warmup: PositiveInt = 2000
    """Draws before them, in which the step size is set."""
    step_size: Positive = 0.05
    """The first step size."""
    leaps: PositiveInt = 20
    """Leapfrog steps of a Hamiltonian proposal; Langevin's has one."""


@in_float64
def langevin(problem: Problem, options: Chain, seed: int) -> Estimates:
    """Means and variances of draws by the Metropolis-adjusted Langevin algorithm, accepting 57 % (its optimum)."""
    from blackjax.mcmc import mala  # its import takes a second and starts JAX, which other commands need not wait for

    kernel = mala.build_kernel()

    def step(key: jax.Array, state: Any, log_density: Callable[[Any], jax.Array], size: jax.Array) -> Any:
        return kernel(key, state, log_density, size)

    return _run(problem, options, seed, mala.init, step, 0.57, "langevin")


@in_float64
def hamiltonian(problem: Problem, options: Chain, seed: int) -> Estimates:
    """Means and variances of draws by Hamiltonian Monte Carlo, accepting 80 %.

    Every proposal's step size is the chain's times a uniform number of (0.7, 1.3): paths of one length come back to
    where they began in directions whose period it is.
    """
    from blackjax.mcmc import hmc  # see `langevin`

    kernel = hmc.build_kernel()

    def step(key: jax.Array, state: Any, log_density: Callable[[Any], jax.Array], size: jax.Array) -> Any:
        count = sum(part.shape[0] for part in state.position)
        first, second = jax.random.split(key)
        size = size * jax.random.uniform(first, (), size.dtype, 0.7, 1.3)
        return kernel(second, state, log_density, size, jnp.ones(count), options.leaps)

    return _run(problem, options, seed, hmc.init, step, 0.8, "hamiltonian")


def _run(problem: Problem, options: Chain, seed: int, init: Any, step: Any, accepting: float, method: str) -> Estimates:
    differentiable(problem, method)
    cost = energy(problem)

    def chain(key: jax.Array, position: Position, y: jax.Array) -> tuple[Any, ...]:
        def log_density(position: Position) -> jax.Array:
            return -cost([part[None] for part in position], y[None])[0]

        def move(key: jax.Array, state: Any, size: jax.Array) -> tuple[Any, jax.Array]:
            # BlackJAX mixes its counters with floats, and scalars with vectors.
            with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
                state, info = step(key, state, log_density, size)
            rate = jnp.nan_to_num(info.acceptance_rate, nan=0.0)
            return state, rate

        def warm(carry: tuple[Any, jax.Array, jax.Array], place: jax.Array) -> tuple[Any, None]:
            state, log_size, mean = carry
            state, rate = move(jax.random.fold_in(key, place), state, jnp.exp(log_size))
            pace = (place + 1).astype(log_size.dtype) ** -0.6
            log_size = log_size + pace * (rate - accepting)
            return (state, log_size, mean + pace * (log_size - mean)), None

        def draw(carry: tuple[Any, Any], place: jax.Array) -> tuple[Any, jax.Array]:
            state, sums = carry
            state, rate = move(jax.random.fold_in(key, options.warmup + place), state, size)
            x = signal(problem, [part[None] for part in state.position])[0]
            values = (state.position[0], state.position[0] ** 2, x, x**2)
            return (state, jax.tree.map(jnp.add, sums, values)), rate

        first = jnp.log(jnp.asarray(options.step_size))
        state = init(position, log_density)
        places = jnp.arange(options.warmup)
        (state, _, mean), _ = jax.lax.scan(warm, (state, first, first), places)
        size = jnp.exp(mean)
        x = signal(problem, [part[None] for part in position])[0]
        zeros = jax.tree.map(jnp.zeros_like, (position[0], position[0], x, x))
        (_, sums), rates = jax.lax.scan(draw, (state, zeros), jnp.arange(options.samples))
        return *(total / options.samples for total in sums), jnp.mean(rates), size

    keys = jax.random.split(jax.random.key(seed), len(problem.y))
    position = start(problem, np.random.default_rng(seed), 0.1)
    z, zz, x, xx, rate, size = jax.jit(jax.vmap(chain))(keys, position, jnp.asarray(problem.y))
    spread = np.asarray(zz - z**2), np.asarray(x * (1 - x) if problem.of_bits else xx - x**2)
    about = {"accepted": np.asarray(rate), "step_size": np.asarray(size)}
    return np.asarray(z), spread[0], np.asarray(x), spread[1], about
