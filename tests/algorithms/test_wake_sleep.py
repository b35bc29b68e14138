"""Wake-sleep: each phase against its definition, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian
from support.models import batch

from sbvi.algorithms import ALGORITHMS, Optimizer
from sbvi.distributions.gaussian import log_prob


@pytest.fixture
def oracle(x64):
    found = LinearGaussian(np.random.default_rng(1).normal(size=(6, 3)))
    found.set_recognition(np.full(3, -0.4))
    return found


def built(oracle, rate=1.0, name="sgd"):
    optimizer = Optimizer(name=name, learning_rate=rate)
    return ALGORITHMS["wake_sleep"](num_samples=2, optimizer=optimizer).build(oracle.model, 100)


def test_a_step_is_the_two_gradients(oracle):
    """Plain gradient descent with rate 1 moves each half of the parameters by its own phase's gradient."""
    algorithm, x = built(oracle), oracle.data(8)
    state = algorithm.fresh(oracle.params)
    key = jax.random.key(3)
    hyper = {"learning_rate": jnp.asarray(1.0), "kl_weight": jnp.asarray(1.0)}
    after, info = jax.jit(algorithm.step)(state, batch(x), key, hyper)
    wake_key, sleep_key = jax.random.split(key)

    @jax.jit
    def by_definition(start):
        points = oracle.model.rollout(start, wake_key, x, 2).latents
        latents, dreams = oracle.model.sample_joint(start, sleep_key, len(x), jnp.float64)

        def wake(generative):
            f = oracle.model.expected(start._replace(generative=generative), x)
            return -jnp.mean(f(jax.lax.stop_gradient(points)))

        def sleep(recognition):
            found = oracle.model.gaussians(start._replace(recognition=recognition), dreams.value)
            return -jnp.mean(log_prob(found["layer_1"], latents["layer_1"][None]))

        loss, slope = jax.value_and_grad(wake)(start.generative)
        elbo = jnp.mean(-loss - oracle.model.gaussians(start, x)["layer_1"].kl())
        return (slope, jax.grad(sleep)(start.recognition)), elbo

    expected, elbo = by_definition(oracle.params)
    moved = jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), tuple(state.params[:2]), tuple(after.params[:2]))
    for found, wanted in zip(jax.tree.leaves(moved), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    assert info.scalars["elbo"] == pytest.approx(float(elbo))


def test_the_sleep_phase_finds_the_posterior(oracle):
    """With exact generative parameters, dreams are data: the recognition mean becomes the exact one."""
    algorithm = built(oracle, 0.02, "adam")
    state = algorithm.fresh(oracle.params)
    x = oracle.data(64)
    generative = oracle.params.generative

    def step(state, inputs):
        key, rate = inputs
        hyper = {"learning_rate": rate, "kl_weight": jnp.asarray(1.0)}
        state = algorithm.step(state, batch(x), key, hyper)[0]
        return state._replace(params=state.params._replace(generative=generative)), None

    steps = 3000
    rates = jnp.asarray(0.02 * 0.5 * (1 + np.cos(np.pi * np.arange(steps) / steps)))
    start = state._replace(params=state.params._replace(recognition=jax.tree.map(lambda a: 0.3 * a, state.params[1])))
    end = jax.jit(lambda s, k: jax.lax.scan(step, s, (k, rates))[0])(start, jax.random.split(jax.random.key(0), steps))
    q = oracle.model.gaussians(end.params, x)["layer_1"]
    exact = np.linalg.solve(oracle.precision, oracle.W.T @ (np.asarray(x) - oracle.b).T / oracle.sigma**2).T
    assert np.abs(np.asarray(q.mean) - exact).max() < 0.08
    # log q climbs E_p[log q(xi | v)], so variances are those of the exact marginal posterior.
    variance = np.diag(np.linalg.inv(oracle.precision))
    np.testing.assert_allclose(np.asarray(q.variance()).mean(0), variance, rtol=0.06)
