"""One Gaussian of rows with gaps, against least squares, its own likelihood and dense conditionals."""

import numpy as np
import pytest
from scipy import stats

from sbvi.inference.joint_gaussian import JointGaussian, expectation_maximisation

P = 4


def rows(count, gaps, seed=0):
    generator = np.random.default_rng(seed)
    root = np.eye(P) + 0.5 * generator.normal(size=(P, P))
    x = generator.normal(size=(count, P)) @ root.T * [1, 3, 0.2, 1] + [0, 5, -1, 2]
    return np.where(generator.random(x.shape) < gaps, np.nan, x)


def log_likelihood(found, y):
    """Of what rows have, by SciPy: all that have the same entries at once."""
    total, there = 0.0, ~np.isnan(y)
    for o in np.unique(there, axis=0):
        if o.any():
            alike = y[(there == o).all(1)][:, o]
            total += stats.multivariate_normal(found.location[o], found.covariance[np.ix_(o, o)]).logpdf(alike).sum()
    return total


def test_complete_rows_have_their_own_moments():
    y = rows(200, 0.0)
    found = expectation_maximisation(y, prior_rows=0.0)
    np.testing.assert_allclose(found.location, y.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found.covariance, np.cov(y.T, ddof=0), rtol=1e-4)
    shrunk = expectation_maximisation(y, prior_rows=100.0)
    wanted = (200 * np.cov(y.T, ddof=0) + 100 * np.diag(y.var(0))) / 300
    np.testing.assert_allclose(shrunk.covariance, wanted, rtol=1e-4)


def test_rows_with_gaps_are_at_the_greatest_likelihood():
    y = rows(150, 0.4)
    found = expectation_maximisation(y, 0.0, iterations=2000, tolerance=1e-9)
    best = log_likelihood(found, y)
    generator = np.random.default_rng(1)
    for _ in range(8):
        b = found.location + 0.02 * generator.normal(size=P) * np.sqrt(np.diag(found.covariance))
        noise = 0.02 * generator.normal(size=(P, P))
        C = (np.eye(P) + noise) @ found.covariance @ (np.eye(P) + noise).T
        assert log_likelihood(JointGaussian(b, C), y) < best
    for factors in 1 + 0.03 * np.concatenate([np.eye(P), -np.eye(P)]):  # a column's deviation, either way
        assert log_likelihood(JointGaussian(found.location, found.covariance * np.outer(factors, factors)), y) < best
    again = expectation_maximisation(y, 0.0, found, iterations=1, tolerance=1e-9)
    np.testing.assert_allclose(again.covariance, found.covariance, rtol=1e-5, atol=1e-7)


def test_more_columns_than_rows():
    generator = np.random.default_rng(0)
    y = np.where(generator.random((6, 15)) < 0.3, np.nan, generator.normal(size=(6, 15)))
    y[0] = generator.normal(size=15)
    found = expectation_maximisation(y, prior_rows=3.0)
    assert np.linalg.eigvalsh(found.covariance).min() > 0
    assert not np.isnan(found.given(y)[0]).any()


def test_conditionals_are_those_of_dense_algebra():
    y = rows(5, 0.5, seed=3)
    y[4] = np.nan
    b, root = np.array([0.5, -1.0, 2.0, 0.0]), np.random.default_rng(5).normal(size=(P, P))
    C = root @ root.T + 0.3 * np.eye(P)
    found = JointGaussian(b, C)
    mean, variance, _ = found.given(y)
    drawn = found.draws(y, 20_000, np.random.default_rng(0))
    for n, row in enumerate(y):
        o = ~np.isnan(row)
        m = ~o
        inside = np.linalg.inv(C[np.ix_(o, o)])
        wanted = b[m] + C[np.ix_(m, o)] @ inside @ (row - b)[o]
        left = C[np.ix_(m, m)] - C[np.ix_(m, o)] @ inside @ C[np.ix_(o, m)]
        np.testing.assert_allclose(mean[n, m], wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(variance[n, m], np.diag(left), rtol=1e-3)
        np.testing.assert_array_equal(mean[n, o], row[o])
        np.testing.assert_array_equal(drawn[:, n][:, o], np.broadcast_to(row[o], (20_000, o.sum())))
        if m.sum() > 1:
            spread = np.sqrt(np.outer(np.diag(left), np.diag(left)))
            assert np.abs((np.cov(drawn[:, n][:, m].T) - left) / spread).max() < 0.05
        assert np.abs((drawn[:, n].mean(0) - mean[n])[m] / np.sqrt(np.diag(left))).max() < 0.035


@pytest.mark.parametrize("constant", [0.0, 1e5])
def test_columns_that_are_functions_of_one_another(constant):
    y = rows(100, 0.3)
    y = np.concatenate([y, 2 * y[:, :1], np.full((100, 1), constant)], 1)
    found = expectation_maximisation(y, prior_rows=1.0)
    mean, variance, _ = found.given(y)
    assert np.isfinite(mean).all()
    assert (variance >= 0).all()
