"""The oracle: factor analysis by expectation maximisation on rows with gaps, NumPy in float64.

x_o = W_o z + b_o + e_o, z ~ N(0, I), e_d ~ N(0, sigma_d^2). Of each row the posterior of z given x_o is exact; the
least squares of each column d are over the rows that have it.
"""

from typing import NamedTuple

import numpy as np


class Factors(NamedTuple):
    """W (D, K), b (D,) and sigma (D,)."""

    W: np.ndarray
    b: np.ndarray
    sigma: np.ndarray

    def posterior(self, rows):
        """Means (N, K) and covariances (N, K, K) of z given what rows have."""
        there = ~np.isnan(rows)
        weights = there / self.sigma**2
        precision = np.eye(self.W.shape[1]) + np.einsum("nd,dk,dl->nkl", weights, self.W, self.W)
        covariance = np.linalg.inv(precision)
        pulled = (weights * np.where(there, rows - self.b, 0)) @ self.W
        return np.einsum("nkl,nl->nk", covariance, pulled), covariance

    def log_prob(self, rows):
        """The sum of log p of rows' observed entries."""
        total = 0.0
        covariance = self.W @ self.W.T + np.diag(self.sigma**2)
        for row in rows:
            o = ~np.isnan(row)
            inside, offset = covariance[np.ix_(o, o)], row[o] - self.b[o]
            total -= 0.5 * (offset @ np.linalg.solve(inside, offset) + np.linalg.slogdet(2 * np.pi * inside)[1])
        return total

    def conditional(self, row):
        """Means and variances of a row's entries given the observed ones."""
        covariance = self.W @ self.W.T + np.diag(self.sigma**2)
        o = ~np.isnan(row)
        gain = np.linalg.solve(covariance[np.ix_(o, o)], covariance[o]).T
        mean = np.where(o, row, self.b + gain @ (row - self.b)[o])
        return mean, np.where(o, 0, np.diag(covariance) - np.sum(gain * covariance[:, o], 1))


def fitted(rows, K, iterations=2000, seed=0):
    """The most likely factors of rows (N, D) with gaps."""
    there = ~np.isnan(rows)
    seen = np.where(there, rows, 0)
    generator = np.random.default_rng(seed)
    now = Factors(0.5 * generator.normal(size=(rows.shape[1], K)), np.nanmean(rows, 0), np.nanstd(rows, 0))
    for _ in range(iterations):
        mean, covariance = now.posterior(rows)
        one = np.concatenate([mean, np.ones((len(rows), 1))], 1)
        second = one[:, :, None] * one[:, None]
        second[:, :K, :K] += covariance
        inside = np.einsum("nd,nkl->dkl", there.astype(float), second)
        pulled = np.einsum("nd,nk->dk", seen, one)
        loadings = np.linalg.solve(inside, pulled[..., None])[..., 0]
        left = np.sum(seen**2, 0) - np.sum(loadings * pulled, 1)
        now = Factors(loadings[:, :K], loadings[:, K], np.sqrt(left / there.sum(0)))
    return now
