"""The likelihood of independent dimensions: what any model must beat."""

import numpy as np

from sbvi.data import Dataset
from sbvi.data.tabular.columns import Column
from sbvi.evaluation.table_baseline import columns_nll, constant_deviation

#: Training examples that the dimensions' own distributions are fitted to.
ROWS = 10_000
#: The least variance of a pixel, as a share of the mean one: a constant pixel has a density without bound.
LEAST = 0.01
#: A dimension of counts without bound.
COUNT = Column("count", "count")


def independent_nll(dataset: Dataset, discrete: bool) -> float | None:
    """Mean -log p of the test split, nats, where every dimension has a distribution of its own and no other part in it.

    Bernoullis for binary data, histograms for whole levels, negative binomials for counts without bound, else
    Gaussians; fitted to at most ROWS training examples.
    Values of one range, such as pixels, in rows or as images, have a unit in common, and the variances of their
    Gaussians are at least LEAST of the mean one: else a pixel that few training images ink would decide the sum.
    Columns of a table have units of their own: each Gaussian has its column's variance, and of a column that is
    constant in training `constant_deviation`, so that a column in another unit changes the sum by the Jacobian and by
    nothing else, whether the source is so or the preprocessing.
    Of dequantised values it is the expectation over their noise, which adds to variances and mean squares what
    uniform values of width 1 / (L + 1) have.
    Of tables by column see `columns_nll`. None for values of one scale with gaps (NaN), and for counts that are held as
    other than whole numbers.

    Args:
      discrete: whether the model gives probabilities of whole levels, not a density.
    """
    table = dataset.preprocessing.table
    train, test = (dataset.seen(name, count) for name, count in (("train", ROWS), ("test", None)))
    if table is not None:
        return columns_nll(table, train, test)
    if np.isnan(train).any() or np.isnan(test).any():
        return None
    if discrete and dataset.levels is None:
        whole = all((x >= 0).all() and (np.rint(x) == x).all() for x in (train, test))
        return columns_nll([COUNT] * train.shape[1], train, test) if whole else None
    if dataset.binary:
        p = (train.sum(0, dtype=np.float64) + 1) / (len(train) + 2)
        return float(-np.mean(test @ np.log(p) + (1 - test) @ np.log(1 - p)))
    if discrete:
        assert dataset.levels is not None
        return _histograms(_levels(train, dataset.levels), _levels(test, dataset.levels), dataset.levels)
    mean: np.ndarray = train.mean(0, dtype=np.float64)
    # Of (k + u) / (L + 1): a split is seen at E[u] = 1/2, and u is independent of it.
    noise = 1 / (12 * (dataset.levels + 1) ** 2) if dataset.dequantized and dataset.levels is not None else 0.0
    variance: np.ndarray = train.var(0, dtype=np.float64) + noise
    if dataset.preprocessing.location is None:
        variance = np.maximum(variance, LEAST * float(variance.mean()) + 1e-30)
    else:
        own = constant_deviation(train[0], *dataset.preprocessing.way_back)
        variance = np.where(variance > 0, variance, own**2)
    squares = np.mean(np.square(test - mean), 0, dtype=np.float64) + noise
    return float(0.5 * np.sum(squares / variance + np.log(2 * np.pi * variance)))


def _levels(values: np.ndarray, levels: int) -> np.ndarray:
    """Model input of dimensions of whole levels, as those levels."""
    return np.clip(np.rint(values * levels), 0, levels).astype(np.int64)


def _histograms(train: np.ndarray, test: np.ndarray, levels: int) -> float:
    """Each dimension's own counts, one added to each."""
    size = train.shape[1]
    place = np.arange(size) * (levels + 1)
    counts = np.bincount((train + place).ravel(), minlength=size * (levels + 1)).reshape(size, -1) + 1.0
    log_p = np.log(counts / counts.sum(1, keepdims=True)).ravel()
    return float(-np.mean(log_p[test + place].sum(1)))
