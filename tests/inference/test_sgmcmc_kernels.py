"""Kernels of stochastic gradient MCMC: stationary laws, what becomes of gradient noise, and BlackJAX's own steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from blackjax.sgmcmc import sgnht
from blackjax.util import generate_gaussian_noise
from scipy.linalg import solve_discrete_lyapunov

from sbvi.inference.sgmcmc import KERNELS
from sbvi.inference.sgmcmc.kernel import standard_normal
from sbvi.inference.sgmcmc.priors import GaussianPrior, StudentPrior
from sbvi.inference.sgmcmc.thermostat import ThermostatState, thermostat_step

# A product of Gaussians: columns of a kind, many rows of each, so that one chain is many.
ROWS, BURN, STEPS = 300, 800, 1500
MEAN = np.array([0.5, 0.5, -1.0, -1.0])
DEVIATION = np.array([1.0, 1.0, 0.5, 0.5])
#: Standard deviation of what is added to the gradient, per column.
NOISE = np.array([0.0, 6.0, 0.0, 12.0])


def moments(kernel, step_size, noise=NOISE, seed=0):
    """Mean and variance of each column's draws, and the last state."""
    mean, deviation, noise = (jnp.asarray(np.broadcast_to(v, (ROWS, 4))) for v in (MEAN, DEVIATION, noise))

    def gradient(position, key):
        x = position["x"]
        return {"x": (mean - x) / deviation**2 + noise * jax.random.normal(key, x.shape)}

    def step(carry, position):
        state, total, square = carry
        first, second = jax.random.split(jax.random.fold_in(jax.random.key(seed), position))
        state = kernel.step(first, state, gradient, second, jnp.asarray(step_size))
        x = state.position["x"]
        kept = (position >= BURN).astype(x.dtype)
        return (state, total + kept * x, square + kept * x**2), None

    @jax.jit
    def run():
        start = {"x": mean}
        state = kernel.init(jax.random.key(seed + 1), start, jnp.asarray(step_size))
        zeros = jnp.zeros((ROWS, 4))
        (state, total, square), _ = jax.lax.scan(step, (state, zeros, zeros), jnp.arange(BURN + STEPS, dtype=jnp.int32))
        return state, total / STEPS, square / STEPS

    state, first, second = run()
    first, second = np.asarray(first).mean(0), np.asarray(second).mean(0)
    return first, second - first**2, state


def test_leaves_have_noise_of_their_own():
    drawn = standard_normal(jax.random.key(0), {"a": jnp.zeros(2000), "b": jnp.zeros((1000, 2))})
    a, b = np.asarray(drawn["a"]), np.asarray(drawn["b"]).ravel()
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(2000)
    assert scipy.stats.kstest(np.concatenate([a, b]), "norm").pvalue > 1e-3


def test_a_thermostat_for_each_element_absorbs_the_noise_of_each(x64, optimised):
    """The friction a rises by half the noise's share, h^2 v / 2, and by h^2 w for the curvature w, which makes up for
    the energy that explicit Euler steps add. A stationary square momentum of one then leaves the variance at
    (1 - a / 2 + h^2 w / 2) / w whatever the noise, where Langevin's grows with it."""
    h, friction = 0.04, 0.03
    mean, variance, state = moments(KERNELS["thermostat"](friction=friction), h)
    np.testing.assert_allclose(mean, MEAN, atol=0.04)
    np.testing.assert_allclose(variance / DEVIATION**2, 1, atol=0.12)
    found = np.asarray(state.friction["x"]).mean(0)
    np.testing.assert_allclose(found, friction + h**2 * (0.5 * NOISE**2 + DEVIATION**-2), rtol=0.15)
    np.testing.assert_allclose(variance / DEVIATION**2, 1 - found / 2 + h**2 / 2 / DEVIATION**2, rtol=0.05)
    assert found[1] > 1.6 * found[0]
    assert found[3] > 3 * found[2]


def test_moved_by_the_new_momentum_a_thermostat_need_not_absorb_the_curvature(x64, optimised):
    """x' = x + h p', p' = (1 - a) p - h w x + noise of variance 2 D + h^2 v. With E[p^2] = 1 stationarity of x^2, x p
    and p^2 gives E[x^2] = (1 - a / 2) / w and 2 a - a^2 - a h^2 w / 2 = 2 D + h^2 v: no term h^2 w."""
    h, friction, noise = 0.25, 0.06, NOISE / 12
    kernel = KERNELS["thermostat"](friction=friction, pace=0.03, integrator="symplectic")
    _, variance, state = moments(kernel, h, noise)
    found, curvature = np.asarray(state.friction["x"]).mean(0), DEVIATION**-2
    expected = 2 * friction + h**2 * noise**2
    np.testing.assert_allclose(2 * found - found**2 - found * h**2 * curvature / 2, expected, rtol=0.15)
    assert (found < friction + h**2 * (0.5 * noise**2 + 0.5 * curvature)).all()  # explicit steps have the whole of it
    np.testing.assert_allclose(variance * curvature, 1 - found / 2, rtol=0.05)


def test_the_law_does_not_depend_on_the_pace_of_thermostats(x64, optimised):
    """It sets how far they sway about the same friction: sqrt(c) h."""
    h, friction, noise = 0.012, 0.08, 3 * NOISE
    _, variance, state = moments(KERNELS["thermostat"](friction=friction, pace=16.0), h, noise)
    expected = friction + h**2 * (0.5 * noise**2 + DEVIATION**-2)
    found = np.asarray(state.friction["x"])
    np.testing.assert_allclose(found.mean(0), expected, rtol=0.12)
    np.testing.assert_allclose(found.std(0), 4 * h, rtol=0.25)
    np.testing.assert_allclose(variance / DEVIATION**2, 1, atol=0.12)


def test_correlated_gaussians_with_noise_have_the_covariance_of_their_recursions(x64, optimised):
    """Langevin's and Hamiltonian steps are linear, so that the stationary covariance solves a discrete Lyapunov
    equation: both are too wide, by the noise in the gradient. A scalar thermostat rises until they would not be."""
    chains, burn, steps = 400, 300, 1000
    center, noise, friction, moves, lost = np.array([0.3, -0.8]), np.array([7.0, 7.0]), 0.05, 4, 0.4
    target = np.array([[1.0, 0.6], [0.6, 0.8]])
    precision = np.linalg.inv(target)
    sizes = {"sgld": 0.03, "sghmc": 0.1, "sgnht": 0.03}
    options = {"sghmc": {"friction": lost, "integration_steps": moves}, "sgnht": {"friction": friction}}
    kernels = {name: KERNELS[name](**options.get(name, {})) for name in sizes}

    def gradient(position, key):
        return (center[None] - position) @ precision + noise[None] * jax.random.normal(key, position.shape)

    def step(carry, number):
        states, sums = carry
        first, second = jax.random.split(jax.random.fold_in(jax.random.key(0), number))
        kept, found, after = (number >= burn).astype(jnp.float64), {}, {}
        for name, kernel in kernels.items():
            after[name] = kernel.step(first, states[name], gradient, second, jnp.asarray(sizes[name]))
            x = after[name].position
            found[name] = sums[name][0] + kept * x.mean(0), sums[name][1] + kept * x.T @ x / chains
        return (after, found), None

    @jax.jit
    def run():
        start = jnp.broadcast_to(jnp.asarray(center), (chains, 2))
        states = {n: k.init(jax.random.key(1), start, jnp.asarray(sizes[n])) for n, k in kernels.items()}
        sums = {name: (jnp.zeros(2), jnp.zeros((2, 2))) for name in kernels}
        (states, sums), _ = jax.lax.scan(step, (states, sums), jnp.arange(burn + steps, dtype=jnp.int32))
        return jax.tree.map(lambda total: total / steps, sums), states["sgnht"].xi

    found, thermostat = run()
    covariances = {}
    for name, (mean, square) in found.items():
        np.testing.assert_allclose(mean, center, atol=0.05, err_msg=name)
        covariances[name] = np.asarray(square) - np.outer(mean, mean)

    h, one, nil = sizes["sgld"], np.eye(2), np.zeros((2, 2))
    exact = solve_discrete_lyapunov(one - h * precision, 2 * h * one + h**2 * np.diag(noise**2))
    np.testing.assert_allclose(covariances["sgld"], exact, atol=0.07)
    assert (np.diag(exact) > 1.25 * np.diag(target)).all()

    h = sizes["sghmc"]
    move = np.block([[one, h * one], [-h * precision, (1 - lost) * one]])
    powers = [np.linalg.matrix_power(move, count) for count in range(moves + 1)]
    drawn = np.block([[nil, nil], [nil, 2 * lost * one]])  # anew in every move
    common = sum(powers[:moves]) @ np.concatenate(
        [nil, h * np.diag(noise)]
    )  # one mini-batch, one noise of the gradient
    spread = powers[moves][:, 2:] @ powers[moves][:, 2:].T + common @ common.T
    spread += sum(power @ drawn @ power.T for power in powers[:moves])
    exact = solve_discrete_lyapunov(powers[moves][:2, :2], spread[:2, :2])
    np.testing.assert_allclose(covariances["sghmc"], exact, rtol=0.08)
    assert (np.diag(exact) > 2 * np.diag(target)).all()

    np.testing.assert_allclose(covariances["sgnht"], target, atol=0.07)
    curvature = np.trace(precision) / 2
    expected = friction + sizes["sgnht"] ** 2 * (0.5 * 7.0**2 + curvature)
    assert float(thermostat) == pytest.approx(expected, rel=0.1)


def test_the_preconditioner_keeps_the_law_where_it_changes_slowly(x64, optimised):
    kernel = KERNELS["psgld"](smoothing=0.997, floor=0.1, terms=3.0)
    mean, variance, state = moments(kernel, 0.02, np.zeros(4))
    np.testing.assert_allclose(mean, MEAN, atol=0.05)
    np.testing.assert_allclose(variance / DEVIATION**2, 1, atol=0.12)
    # The mean square of a Gaussian's gradient is its precision; it is counted in terms.
    np.testing.assert_allclose(np.asarray(state.square["x"]).mean(0), DEVIATION**-2 / 9, rtol=0.15)


def test_preconditioned_steps_are_the_papers(x64):
    """Two of them, with the noise of their keys: the running mean square scales the step that follows its gradient."""
    h, smoothing, floor, terms = 0.02, 0.9, 0.05, 3.0
    kernel = KERNELS["psgld"](smoothing=smoothing, floor=floor, terms=terms)
    start, target = np.array([0.4, -1.3]), np.array([2.0, 5.0])
    keys = [jax.random.key(seed) for seed in range(2)]

    @jax.jit
    def twice(position):
        state = kernel.init(keys[0], position, jnp.asarray(h))
        for key in keys:
            state = kernel.step(key, state, lambda x, given: 3 * (given - x), jnp.asarray(target), jnp.asarray(h))
        return state.position, [standard_normal(key, position) for key in keys]

    found, noise = twice(jnp.asarray(start))
    x, square = start, np.ones(2)
    for n in noise:
        g = 3 * (target - x)
        square = smoothing * square + (1 - smoothing) * (g / terms) ** 2
        scaled = h / (floor + np.sqrt(square))
        x = x + scaled * g + np.sqrt(2 * scaled) * n
    np.testing.assert_allclose(found, x, rtol=1e-10)


def test_one_element_has_blackjax_scalar_thermostat_step_for_step(x64):
    h, friction = 0.07, 0.2
    position = {"w": jnp.asarray([[0.4]])}
    kernel = sgnht.build_kernel(alpha=friction / h)

    def gradient(position, target):
        return jax.tree.map(lambda x: 3 * (target - x), position)

    theirs = sgnht.init(position, jax.random.key(1), jnp.asarray(friction / h))
    ours = ThermostatState(position, theirs.momentum, {"w": jnp.full((1, 1), friction)})

    @jax.jit
    def both(key, theirs, ours, target):
        with jax.numpy_dtype_promotion("standard"):
            theirs = kernel(key, theirs, gradient, target, jnp.asarray(h))
        grads = gradient(ours.position, target)
        return theirs, thermostat_step(key, ours, grads, jnp.asarray(h), friction, generate_gaussian_noise)

    for step in range(30):
        theirs, ours = both(jax.random.key(step), theirs, ours, jnp.asarray(0.1 * step))
        for one, other in ((theirs.position, ours.position), (theirs.momentum, ours.momentum)):
            np.testing.assert_allclose(one["w"], other["w"], rtol=1e-12)
        np.testing.assert_allclose(theirs.xi * h, ours.friction["w"][0, 0], rtol=1e-12)


@pytest.mark.parametrize("prior", [GaussianPrior(scale=0.7), StudentPrior(scale=0.3, degrees=3.5), StudentPrior()])
def test_priors_are_scipys(x64, prior):
    generator = np.random.default_rng(0)
    tree = {"a": jnp.asarray(generator.normal(size=(3, 2))), "b": jnp.asarray(generator.normal(size=4))}
    values = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])
    if isinstance(prior, GaussianPrior):
        expected = scipy.stats.norm.logpdf(values, scale=prior.scale).sum()
    else:
        expected = scipy.stats.t.logpdf(values, prior.degrees, scale=prior.scale).sum()
    found, grads = jax.jit(jax.value_and_grad(prior.log_prob))(tree)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    for one, other in zip(jax.tree.leaves(grads), jax.tree.leaves(prior.gradient(tree)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_a_smaller_step_loses_as_much_momentum():
    """Friction and its noise are of one step whatever its size: a schedule leaves the temperature where it is."""
    position = {"w": jnp.full((2, 3), 0.1)}
    for name in ("thermostat", "sgnht"):
        kernel = KERNELS[name](friction=0.2)

        @jax.jit
        def begun_large_moved_small(kernel=kernel):
            state = kernel.init(jax.random.key(0), position, jnp.float32(1e-2))
            small = jnp.float32(1e-3)
            still = jax.tree.map(jnp.zeros_like, position)
            return kernel.monitors(kernel.step(jax.random.key(1), state, lambda _, g: g, still, small), small)

        assert float(begun_large_moved_small()["thermostat"]) == pytest.approx(0.2, abs=1e-4)
