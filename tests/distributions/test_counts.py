"""Laws of counts in float32, from a few to millions, against scipy in float64; with their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from sbvi.distributions.likelihoods.counts import excess, log_negative_binomial, log_poisson, log_rising

MEANS = np.array([3e-6, 0.02, 0.7, 9.3, 15.9, 300.0, 2e4, 1e6])
SHAPES = np.array([3e-6, 0.03, 0.8, 15.0, 17.0, 1e3, 1e5, 2e6])


def counts(mean, spread):
    """Counts around a mean, and small ones: as many for every law, which is then compiled once."""
    around = np.rint(mean + spread * np.linspace(-3, 3, 13))
    return np.clip(np.r_[around, 0, 1, 2, 15, 16, 17], 0, None)


def negative_binomial(k, log_mean, log_shape):
    return log_negative_binomial(k, log_mean[None], log_shape[None])


POISSON = jax.jit(log_poisson)
NEGATIVE_BINOMIAL = jax.jit(lambda *given: (negative_binomial(*given), jax.jacfwd(negative_binomial, (1, 2))(*given)))


@pytest.mark.parametrize("mean", MEANS)
def test_poisson(mean):
    k = counts(mean, np.sqrt(mean))
    rate = np.float32(np.log(mean))
    found = POISSON(jnp.asarray(k, jnp.float32), jnp.asarray(rate)[None])
    exact = stats.poisson(np.exp(np.float64(rate))).logpmf(k)
    # What is left is the rounding of the rate's exponential: relative, times how far it moves log p.
    slack = 3e-7 * np.abs(k - mean) + 1e-6 * np.abs(exact) + 3e-5
    assert (np.abs(np.asarray(found, np.float64) - exact) < slack).all()


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("shape", SHAPES)
def test_negative_binomial(mean, shape):
    k = counts(mean, np.sqrt(mean + mean**2 / shape))
    log_mean, log_shape = np.float32(np.log(mean)), np.float32(np.log(shape))
    given = jnp.asarray(k, jnp.float32), jnp.asarray(log_mean), jnp.asarray(log_shape)
    found, (slope, in_shape) = jax.tree.map(lambda v: np.asarray(v, np.float64), NEGATIVE_BINOMIAL(*given))
    m, r = np.exp(np.float64(log_mean)), np.exp(np.float64(log_shape))
    exact = stats.nbinom(r, r / (r + m)).logpmf(k)
    assert (np.abs(found - exact) < 3e-7 * np.abs(k - m) + 2e-6 * np.abs(exact) + 1e-4).all()
    expected = r * (k - m) / (r + m)
    assert (np.abs(slope - expected) < 2e-5 * np.maximum(np.abs(expected), np.sqrt(m) + 1)).all()
    wanted = r * (special.digamma(k + r) - special.digamma(r) - np.log1p(m / r) + (m - k) / (r + m))
    assert (np.abs(in_shape - wanted) < 1e-6 * np.abs(k - m) + 2e-6 * (np.abs(exact) + np.abs(wanted)) + 2e-5).all()


def test_parts(x64):
    u = np.array([-0.999, -0.3, -0.1999, -1e-3, 0.0, 1e-9, 0.05, 0.1999, 0.2001, 3.0])
    found = jax.jit(excess)(jnp.asarray(u), jnp.asarray(1 + u))
    np.testing.assert_allclose(found, special.xlog1py(1 + u, u) - u, rtol=1e-9, atol=1e-16)
    for r, k in ((3e-6, 5.0), (0.3, 5.0), (7.9, 0.2), (20.0, 0.0), (20.0, 7.0), (500.0, 3.0)):
        exact = special.gammaln(r + k) - special.gammaln(r) - k * np.log(r)
        assert float(jax.jit(log_rising)(jnp.asarray(r), jnp.asarray(k))) == pytest.approx(exact, rel=1e-8, abs=1e-9)
