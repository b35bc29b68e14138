"""The gaps of linear models with Gaussian noise, whose posteriors and best approximations are in closed form, and of
flows and chains beside quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian
from support.models import dlgm, summary
from support.two_latents import LAYERED, ONE, TWO, X, built, evidence_and_bound

from sbvi.distributions.likelihoods.gaussian import GaussianLikelihood
from sbvi.evaluation.inference_gap import FAR, inference_gaps
from sbvi.posteriors import GAUSSIAN, POSTERIORS


def test_both_gaps_are_the_closed_forms(x64):
    """A diagonal q: the best has the precision's diagonal, and the network's is off by a factor in its scales."""
    oracle = LinearGaussian([[0.9, 0.4], [-0.3, 0.7], [0.5, 0.6]], sigma=0.6)
    precision = oracle.precision
    best = -0.5 * np.log(np.diag(precision))
    oracle.set_recognition(np.arctanh((best + 0.4) / 15) * 15)
    x = oracle.data(4)
    found = jax.jit(lambda params: inference_gaps(oracle.model, params, jax.random.key(0), x, 300, 8, 0.02, 8000))(
        oracle.params
    )
    exact = oracle.log_likelihood(x)
    approximation = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    amortisation = np.sum(0.5 * (np.exp(0.8) - 1) - 0.4)
    np.testing.assert_allclose(found.log_likelihood, exact, atol=0.03)
    np.testing.assert_allclose(exact - found.optimal, approximation, atol=0.05)
    np.testing.assert_allclose(found.amortisation, 2 * amortisation, atol=0.08)
    assert approximation > 0.05
    # The mean square of the weights of N(m, D^-1) for N(m, P^-1), over their mean's: |P| / sqrt(|D| |2 P - D|).
    determinants = [
        np.linalg.det(a) for a in (precision, np.diag(np.diag(precision)), 2 * precision - np.diag(np.diag(precision)))
    ]
    effective = 8000 * np.sqrt(determinants[1] * determinants[2]) / determinants[0]
    np.testing.assert_allclose(found.effective, effective, rtol=0.1)
    assert effective < 7500
    assert (np.asarray(found.khat) < 0.7).all()


def test_the_best_full_gaussian_is_the_posterior(x64):
    """Its Cholesky factor is moved as such: the entries above the diagonal have no part."""
    oracle = LinearGaussian([[0.9, 0.4], [-0.3, 0.7], [0.5, 0.6]], sigma=0.6, posterior="full")
    constants = oracle.exact_constants() + np.arctanh(np.array([0.4, -0.3, 0.2]) / 15) * 15
    oracle.set_recognition(constants)
    factor = np.diag(np.exp(15 * np.tanh(constants[:2] / 15)))
    factor[1, 0] = constants[2]
    product = oracle.precision @ factor @ factor.T
    x = oracle.data(4)
    found = jax.jit(lambda params: inference_gaps(oracle.model, params, jax.random.key(0), x, 300, 8, 0.02, 2000))(
        oracle.params
    )
    exact = oracle.log_likelihood(x)
    np.testing.assert_allclose(found.optimal, exact, atol=0.02)
    np.testing.assert_allclose(found.log_likelihood, exact, atol=0.02)
    kl = 0.5 * (np.trace(product) - 2 - np.linalg.slogdet(product)[1])
    np.testing.assert_allclose(found.amortisation, kl, atol=0.15)
    assert kl > 0.2


def test_a_q_that_the_steps_cannot_bring_home_is_seen(x64):
    """The network's scales are e^2 times the best q's: 20 steps of 0.05 go half a unit, 130 go 3.3, and 800 go 20."""
    oracle = LinearGaussian([[0.9, 0.4], [-0.3, 0.7], [0.5, 0.6]], sigma=0.6, posterior="diagonal")
    best = -0.5 * np.log(np.diag(oracle.precision))
    oracle.set_recognition(np.arctanh((best + 2.0) / 15) * 15)
    x = oracle.data(4)
    travelled = [
        jax.jit(
            lambda params, steps=steps: inference_gaps(oracle.model, params, jax.random.key(0), x, steps, 8, 0.05, 100)
        )(oracle.params).travelled
        for steps in (20, 130, 800)
    ]
    assert (np.asarray(travelled[0]) > FAR).all()
    assert (np.asarray(travelled[1]) > FAR).all()  # three quarters of a nat are missing
    assert (np.asarray(travelled[2]) < 0.3).all()


@pytest.mark.parametrize("count", [1, 7, 101])
def test_the_number_of_samples_is_the_one_asked_for(count, x64):
    """Of the exact posterior all weights are the likelihood, and each sample counts as one; 101 are three chunks of 34,
    of which one sample is too many."""
    oracle = LinearGaussian([[0.9, 0.4], [-0.3, 0.7], [0.5, 0.6]], sigma=0.6, posterior="full")
    oracle.set_recognition(oracle.exact_constants())
    x = oracle.data(4)
    found = jax.jit(lambda params: inference_gaps(oracle.model, params, jax.random.key(0), x, 1, 1, 1e-12, count))(
        oracle.params
    )
    np.testing.assert_allclose(found.effective, count, rtol=1e-6)
    np.testing.assert_allclose(found.log_likelihood, oracle.log_likelihood(x), atol=1e-6)
    np.testing.assert_allclose(found.optimal, found.log_likelihood, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("posterior", [q for q in POSTERIORS if q not in GAUSSIAN])
def test_the_gaps_of_flows_and_chains_sum_to_the_bound_s_distance_from_quadrature(posterior, x64):
    model, params = built(posterior, latents=TWO if posterior in LAYERED else ONE)
    params = params._replace(generative=jax.tree.map(lambda a: 3 * a, params.generative))
    evidence, bound = evidence_and_bound(model, params)

    @jax.jit
    def gaps(params):
        return inference_gaps(model, params, jax.random.key(0), jnp.asarray(X), 120, 10, 0.05, 6000)

    found = gaps(params)
    np.testing.assert_allclose(found.log_likelihood, evidence, atol=0.02)
    np.testing.assert_allclose(found.amortised, bound, atol=0.08)
    np.testing.assert_allclose(found.approximation + found.amortisation, evidence - bound, atol=0.08)
    assert (evidence - found.optimal > -0.005).all()
    assert (np.asarray(found.approximation) > 0).all()  # of weights of one set of draws: Jensen's inequality
    assert (np.asarray(found.amortisation) > 0.1).all()


def test_what_a_chain_s_shared_weights_cannot_say_is_the_approximation_gap(x64):
    """Messages move and weights stay: one that does not look at the layer below leaves independent layers, the best of
    which have the precision's diagonal, though the family holds the exact posterior."""
    choices = {"latents": (1, 1), "hidden": (), "recognition_hidden": (), "noise_matrix": "identity"}
    likelihood = GaussianLikelihood(scale="fixed", fixed_scale=0.6)
    model = dlgm((3,), likelihood, POSTERIORS["hierarchical"](hidden=4), **choices)
    params = model.init(0, summary(np.zeros(3), np.ones(3)))
    params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), params)

    def outputs(a, b):
        latents = {"layer_1": jnp.full((1, 1, 1), a), "layer_2": jnp.full((1, 1, 1), b)}
        return np.asarray(model.decode(params, latents))[0, 0]

    start = outputs(0.0, 0.0)
    own = np.stack([outputs(1.0, 0.0) - start, outputs(0.0, 1.0) - start], 1)  # the model is linear
    oracle = LinearGaussian(own, sigma=0.6)
    oracle.b = start
    x = 0.5 * oracle.data(3)
    weights = params.recognition["chain"]["layer_2"]
    weights["first"] = jnp.zeros_like(weights["first"])
    weights["last"] = jnp.asarray([[1.0, 0], [-1, 0], [0, 1], [0, -1]])  # from which a message reaches every Gaussian
    found = jax.jit(lambda params: inference_gaps(model, params, jax.random.key(0), x, 400, 8, 0.05, 8000))(params)
    approximation = 0.5 * (np.log(np.diag(oracle.precision)).sum() - np.linalg.slogdet(oracle.precision)[1])
    exact = oracle.log_likelihood(x)
    assert approximation > 0.5
    np.testing.assert_allclose(exact - found.optimal, approximation, atol=0.05)
