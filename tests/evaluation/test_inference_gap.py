"""The gaps of a linear model with Gaussian noise, whose posterior and best approximations are in closed form."""

import jax
import numpy as np
from support.linear_gaussian import LinearGaussian

from sbvi.evaluation.inference_gap import inference_gaps


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
