"""One Gaussian of whole rows with gaps, by expectation maximisation (Dempster et al. 1977; Little and Rubin 2002).

    y ~ N(b, C);   E[y_m | y_o] = b_m + C_mo C_oo^-1 (y_o - b_o),   cov[y_m | y_o] = C_mm - C_mo C_oo^-1 C_om
    b <- mean_n E[y_n],   C <- (sum_n E[(y_n - b)(y_n - b)^T] + a T) / (N + a),   T the columns' variances on a diagonal

where a is worth as many rows without correlation: a greatest posterior, which few rows with many columns have too. All
rows at once: with M_n the diagonal matrix of 1 where row n has a value, P_n = M_n (M_n C M_n + 1 - M_n)^-1 M_n gives
E[y_n] = b + C P_n (y_n - b) and cov[y_n] = C - C P_n C. Everything is float64.
"""

from typing import NamedTuple

import numpy as np

#: Rows whose matrices are held at once.
ROWS = 500
#: Added to the diagonal of C, in units of the columns' variances: columns may be functions of one another.
JITTER = 1e-6


class JointGaussian(NamedTuple):
    """b (P,) and C (P, P)."""

    location: np.ndarray
    covariance: np.ndarray

    def precisions(self, y: np.ndarray) -> np.ndarray:
        """P_n of each row of y (N, P), NaN where a value is missing: (N, P, P)."""
        there = ~np.isnan(y)
        both = there[:, :, None] & there[:, None, :]
        loaded = self.covariance + JITTER * np.diag(np.diag(self.covariance))
        inside = np.where(both, loaded, np.eye(y.shape[1]))
        return np.where(both, np.linalg.inv(inside), 0.0)

    def given(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Means (N, P), variances (N, P) and gains C P_n (N, P, P) of rows given what they have."""
        gains = self.covariance @ self.precisions(y)
        gaps = np.isnan(y)
        offset = np.where(gaps, 0.0, y - self.location)
        mean = np.where(gaps, self.location + np.einsum("npq,nq->np", gains, offset), y)
        variance = np.diag(self.covariance) - np.einsum("npq,qp->np", gains, self.covariance)
        return mean, np.where(gaps, np.maximum(variance, 0.0), 0.0), gains

    def draws(self, y: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        """Rows given what they have, (count, N, P): of a draw y* of whole rows, E[y | y_o] + (y* - b) - G (y* - b)."""
        mean, _, gains = self.given(y)
        root = np.linalg.cholesky(self.covariance + JITTER * np.diag(np.diag(self.covariance)))
        whole = generator.standard_normal((count, *y.shape)) @ root.T
        told = np.einsum("nsq,npq->nsp", np.swapaxes(whole, 0, 1), gains, optimize=True)
        return np.where(np.isnan(y), mean + whole - np.swapaxes(told, 0, 1), y)


def expectation_maximisation(
    y: np.ndarray,
    prior_rows: float = 1.0,
    start: JointGaussian | None = None,
    iterations: int = 100,
    tolerance: float = 1e-3,
) -> JointGaussian:
    """b and C of rows (N, P) with gaps, from `start` or from no correlation.

    prior_rows: a.  tolerance: it ends where no number of C moves by more of the columns' deviations.
    """
    y = np.asarray(y, np.float64)
    there = ~np.isnan(y)
    count = np.maximum(there.sum(0), 1)
    location = np.where(there, y, 0.0).sum(0) / count
    diagonal = np.maximum(np.square(np.where(there, y - location, 0.0)).sum(0) / count, JITTER)
    covariance = np.diag(diagonal)
    if start is not None:
        location, covariance = start
    scale = np.sqrt(diagonal[:, None] * diagonal[None])
    for _ in range(iterations):
        now = JointGaussian(location, covariance)
        mean, total = np.empty_like(y), np.zeros_like(covariance)
        for first in range(0, len(y), ROWS):
            rows = y[first : first + ROWS]
            gaps, precisions = np.isnan(rows), now.precisions(rows)
            offset = np.where(gaps, 0.0, rows - location)
            expected = location + np.einsum("npq,nq->np", precisions, offset) @ covariance
            mean[first : first + ROWS] = np.where(gaps, expected, rows)
            total += precisions.sum(0)
        location = mean.mean(0)
        centred = mean - location
        conditional = len(y) * covariance - covariance @ total @ covariance
        new = (centred.T @ centred + conditional + prior_rows * np.diag(diagonal)) / (len(y) + prior_rows)
        moved = np.max(np.abs(new - covariance) / scale)
        covariance = (new + new.T) / 2
        if moved < tolerance:
            break
    return JointGaussian(location, covariance)
