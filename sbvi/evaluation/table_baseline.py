"""The likelihood of a table's columns, each by itself: what any model of the table must beat."""

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy

from sbvi.data.tabular.columns import Column


def columns_nll(columns: Sequence[Column], train: np.ndarray, test: np.ndarray) -> float | None:
    """Mean over test rows of -sum over observed d of log p_d(x_d), nats of the columns' own units.

    Continuous columns have a Gaussian, positive ones a log-normal law, counts a negative binomial of their mean and
    variance (Poisson where the variance is no more than the mean), the others their shares of the training rows; each
    is of the entries that are there. Of those of a column of numbers that are all one value the density would have no
    bound: the deviation is `constant_deviation`, of a positive column's logarithm 1.
    None where a column of numbers has test entries and no training entry.

    Args:
      train: (N, D) as held, NaN where an entry is missing.
      test: the same of the test split.
    """
    total = 0.0
    for d, column in enumerate(columns):
        fitted, scored = (x[:, d][~np.isnan(x[:, d])].astype(np.float64) for x in (train, test))
        if not len(scored):
            continue
        if column.coded:
            total += float(_shares(fitted, len(column.values))[scored.astype(np.int64)].sum())
        elif not len(fitted):
            return None
        elif column.kind == "count":
            total += float(_counts(fitted, scored).sum())
        else:
            positive = column.kind == "positive"
            variance = fitted.var()
            if not variance:
                way = (column.location, column.scale)
                variance = (1 / column.scale if positive else float(constant_deviation(fitted[:1], *way)[0])) ** 2
            units = np.log(column.scale) + (column.location + column.scale * scored if positive else 0.0)
            squares = np.square(scored - fitted.mean()) / variance
            total += float(np.sum(-0.5 * (squares + np.log(2 * np.pi * variance)) - units))
    return -total / len(test)


def constant_deviation(held: np.ndarray, location: np.ndarray | float, scale: np.ndarray | float) -> np.ndarray:
    """The deviation, in held units, of columns whose value (D,) is location + scale * held everywhere: the value's own
    size, which changes with the column's unit as the data does; of 0, which has none, one unit of the source."""
    value = location + scale * held.astype(np.float64)
    # What float32 leaves of a 0 that was held at a distance is no size.
    rounding = 1e-6 * np.maximum(np.abs(location), np.abs(scale * held))
    size: np.ndarray = np.where(np.abs(value) > rounding, np.abs(value), 1.0) / scale
    return size


def _shares(codes: np.ndarray, size: int) -> np.ndarray:
    """log p of the codes 0..size - 1, one added to the counts of each."""
    counts = np.bincount(codes.astype(np.int64), minlength=size) + 1.0
    log_p: np.ndarray = np.log(counts / counts.sum())
    return log_p


def _counts(fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """log p of whole numbers from 0. The mean is that of the fitted and half a count more, since none is impossible."""
    mean = (fitted.sum() + 0.5) / len(fitted)
    excess = fitted.var() - mean
    if excess <= 1e-6 * mean:
        poisson: np.ndarray = xlogy(scored, mean) - mean - gammaln(scored + 1)
        return poisson
    shape = mean**2 / excess
    share = mean / (mean + shape)
    ways = gammaln(scored + shape) - gammaln(shape) - gammaln(scored + 1)
    found: np.ndarray = ways + xlog1py(shape, -share) + xlogy(scored, share)
    return found
