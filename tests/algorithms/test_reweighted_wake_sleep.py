"""Reweighted wake-sleep: its step against the definition, and what it is at the exact posterior."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from support.linear_gaussian import LinearGaussian
from support.models import batch

from sbvi.algorithms import Optimizer
from sbvi.algorithms.reweighted_wake_sleep import ReweightedWakeSleepSpec
from sbvi.distributions.gaussian import log_prob

HYPER = {"learning_rate": jnp.asarray(1.0), "kl_weight": jnp.asarray(1.0)}
SAMPLES = 4


def built(oracle, dreams):
    optimizer = Optimizer(name="sgd", learning_rate=1.0)
    spec = ReweightedWakeSleepSpec(num_samples=SAMPLES, dreams=dreams, optimizer=optimizer)
    return spec.build(oracle.model, 100)


def mover(algorithm, oracle, x):
    """What a step of plain descent with rate 1, by this key, takes off the parameters: the gradient; and its report."""
    state, step = algorithm.fresh(oracle.params), jax.jit(algorithm.step)

    def moved(key):
        after, info = step(state, batch(x), key, HYPER)
        gradient = jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), oracle.params, after.params)
        return gradient, info.scalars

    return moved


def close(found, wanted):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("dreams", [0.0, 0.3, 1.0])
def test_a_step_is_the_three_gradients(x64, dreams):
    oracle = LinearGaussian(np.random.default_rng(1).normal(size=(6, 3)))
    oracle.set_recognition(np.full(3, -0.4))
    x, key = oracle.data(8), jax.random.key(3)
    found, scalars = mover(built(oracle, dreams), oracle, x)(key)
    wake_key, sleep_key = jax.random.split(key)

    @jax.jit
    def by_definition(start):
        rollout = oracle.model.rollout(start, wake_key, x, SAMPLES)
        weights = jax.nn.softmax(rollout.log_weights(), axis=0)
        points = rollout.latents
        dreamt, images = oracle.model.sample_joint(start, sleep_key, len(x), jnp.float64)

        def generative(part):
            joint = oracle.model.log_joint(start._replace(generative=part), points, x)
            return -jnp.mean(jnp.sum(weights * joint, 0))

        def recognition(part):
            params = start._replace(recognition=part)
            on_data = log_prob(oracle.model.gaussians(params, x)["layer_1"], points["layer_1"])
            on_dreams = log_prob(oracle.model.gaussians(params, images.value)["layer_1"], dreamt["layer_1"][None])
            return -(1 - dreams) * jnp.mean(jnp.sum(weights * on_data, 0)) - dreams * jnp.mean(on_dreams)

        return jax.grad(generative)(start.generative), jax.grad(recognition)(start.recognition), rollout.log_weights()

    wanted_generative, wanted_recognition, log_weights = by_definition(oracle.params)
    close(found.generative, wanted_generative)
    close(found.recognition, wanted_recognition)
    bound = special.logsumexp(log_weights, axis=0) - np.log(SAMPLES)
    assert scalars["bound"] == pytest.approx(float(bound.mean()))
    assert scalars["loss"] == pytest.approx(-float(bound.mean()))


def test_at_the_exact_posterior_the_bound_is_the_likelihood(x64):
    """Weights are equal there, so the bound is log p(v) whatever is drawn."""
    oracle = LinearGaussian(np.random.default_rng(0).normal(size=(6, 4)), posterior="full")
    oracle.set_recognition(oracle.exact_constants())
    x = oracle.data(5)
    moved = mover(built(oracle, 0.5), oracle, x)
    for key in range(3):
        scalars = moved(jax.random.key(key))[1]
        assert scalars["bound"] == pytest.approx(float(np.mean(oracle.log_likelihood(x))), abs=1e-9)
