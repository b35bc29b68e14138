"""The chain against the exact conditional of a linear-Gaussian model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian

from sbvi.inference.imputation import impute

CHAINS, ITERATIONS, WARMUP = 400, 600, 100


def conditional(oracle, x, missing):
    """Mean and variance of v_m given v_o, for one row."""
    C = oracle.W @ oracle.W.T + oracle.sigma**2 * np.eye(oracle.D)
    o, m = ~missing, missing
    gain = C[np.ix_(m, o)] @ np.linalg.inv(C[np.ix_(o, o)])
    return oracle.b[m] + gain @ (x[o] - oracle.b[o]), np.diag(C[np.ix_(m, m)] - gain @ C[np.ix_(o, m)])


def chain(oracle, x, missing, method):
    rows = jnp.tile(jnp.asarray(np.where(missing, 0, x))[None], (CHAINS, 1))
    mask = jnp.tile(jnp.asarray(missing)[None], (CHAINS, 1))

    @jax.jit
    def run(params, key):
        return impute(oracle.model, params, key, rows, mask, ITERATIONS, WARMUP, method)

    found = run(oracle.params, jax.random.key(0))
    draws = np.asarray(found.draws)[WARMUP:, :, missing]
    np.testing.assert_array_equal(
        np.asarray(found.draws)[..., ~missing],
        np.broadcast_to(x[~missing], (ITERATIONS, CHAINS, int((~missing).sum()))),
    )
    return draws, np.asarray(found.accepted)


@pytest.fixture
def case(x64):
    oracle = LinearGaussian(np.random.default_rng(3).normal(size=(5, 2)), posterior="diagonal")
    # A posterior that is wrong: too wide, and blind to correlation.
    oracle.set_recognition(np.full(2, -0.5))
    x = np.asarray(oracle.data(1))[0]
    return oracle, x, np.array([True, False, True, False, False])


def test_metropolis_draws_from_the_exact_conditional(case):
    oracle, x, missing = case
    draws, accepted = chain(oracle, x, missing, "metropolis")
    mean, variance = conditional(oracle, x, missing)
    by_chain = draws.mean(0)
    stderr = by_chain.std(0) / np.sqrt(CHAINS)
    assert (np.abs(by_chain.mean(0) - mean) < 4.5 * stderr).all()
    assert stderr.max() < 0.03
    np.testing.assert_allclose(draws.var((0, 1)), variance, rtol=0.06)
    assert 0.1 < accepted[WARMUP:].mean() < 0.95
    assert (accepted[:WARMUP] == 1).all()


def test_the_papers_chain_has_another_law_unless_q_is_exact(case):
    oracle, x, missing = case
    _, variance = conditional(oracle, x, missing)
    draws, _ = chain(oracle, x, missing, "pseudo_gibbs")
    assert np.abs(draws.var((0, 1)) / variance - 1).max() > 0.1
    exact = LinearGaussian(oracle.W, posterior="full")
    exact.set_recognition(exact.exact_constants())
    draws, _ = chain(exact, x, missing, "pseudo_gibbs")
    np.testing.assert_allclose(draws.var((0, 1)), variance, rtol=0.06)
