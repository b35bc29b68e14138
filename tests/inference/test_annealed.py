"""Annealed importance sampling against a model whose likelihood is exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian
from support.models import dlgm, summary

from sbvi.inference.annealed import annealed, temperatures
from sbvi.posteriors import POSTERIORS

W = np.random.default_rng(0).normal(size=(6, 2))


def dreams(oracle, count, seed=2):
    """Data of the model with the latents it was drawn with."""
    generator = np.random.default_rng(seed)
    xi = generator.normal(size=(count, oracle.K))
    x = xi @ oracle.W.T + oracle.b + oracle.sigma * generator.normal(size=(count, oracle.D))
    return jnp.asarray(x), {"layer_1": jnp.asarray(xi)}


@pytest.mark.parametrize("base", ["prior", "posterior"])
def test_weights_are_unbiased_and_tight(base, x64):
    oracle = LinearGaussian(W, sigma=0.5)
    oracle.set_recognition(np.full(oracle.K, -0.5))  # too wide, and without correlation
    x, _ = dreams(oracle, 4)
    found = jax.jit(lambda key: annealed(oracle.model, oracle.params, key, x, 400, 60, 5, base))(jax.random.key(0))
    truth = oracle.log_likelihood(x)
    # The mean of weights relative to the truth is one.
    stderr = np.sqrt(1 / np.asarray(found.effective))
    assert (np.abs(np.exp(np.asarray(found.log_likelihood) - truth) - 1) < 5 * stderr).all()
    assert (np.abs(np.asarray(found.log_likelihood) - truth) < 0.2).all()
    assert (np.asarray(found.accepted) > 0.4).all()


def test_forward_and_backward_bracket_the_truth(x64):
    oracle = LinearGaussian(W, sigma=0.2)
    x, xi = dreams(oracle, 60)

    @jax.jit
    def both(key):
        few = (oracle.model, oracle.params, key, x, 1, 25, 4, "prior")
        return annealed(*few).log_likelihood, annealed(*few, xi).log_likelihood

    lower, upper = (np.asarray(v) for v in both(jax.random.key(1)))
    truth = oracle.log_likelihood(x)
    for values, sign in ((truth - lower, 1), (upper - truth, 1)):
        mean, stderr = sign * values.mean(), values.std() / np.sqrt(len(values))
        assert mean > -3 * stderr
        assert mean > 0.01  # so few temperatures leave a gap to see
    assert (upper - lower).mean() > 0


def test_more_temperatures_close_the_gap(x64):
    oracle = LinearGaussian(W, sigma=0.3)
    x, xi = dreams(oracle, 40)
    gaps = []
    for steps in (10, 160):
        parts = (oracle.model, oracle.params, jax.random.key(2), x, 1, steps, 5, "prior")
        lower, upper = jax.jit(lambda p=parts: (annealed(*p).log_likelihood, annealed(*p, xi).log_likelihood))()
        gaps.append(float((upper - lower).mean()))
    assert gaps[1] < 0.3 * gaps[0]


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_every_posterior_can_be_the_base(posterior):
    """By shapes alone, with two nodes of unlike sizes."""
    model = dlgm((5,), posterior=posterior, latents=(3, 2), hidden=(4,), recognition_hidden=(4,))
    params = jax.eval_shape(lambda: model.init(0, summary(np.full(5, 0.5), np.ones(5))))
    x = jnp.zeros((6, 5))
    words = params, jax.random.key(0)
    found = jax.eval_shape(lambda params, key: annealed(model, params, key, x, 4, 3, 2, "posterior"), *words)
    assert [part.shape for part in found] == [(6,)] * 3


def test_temperatures_rise_from_zero_to_one():
    found = np.asarray(temperatures(50))
    assert found[0] == 0
    assert found[-1] == 1
    assert (np.diff(found) > 0).all()
