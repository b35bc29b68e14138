"""Rows of a split some at a time, and in the floats that a model's parameters start from, made where asked for."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from sbvi.data.dataset import Dataset

#: Bytes that are read, or of the floats that are made, at once.
BLOCK = 1 << 22


def parts(x: Any) -> Iterator[np.ndarray]:
    """Rows of held values, some at a time: shards may be more than memory holds."""
    rows = max(1, BLOCK * max(1, len(x)) // max(1, x.nbytes))
    return (np.asarray(x[start : start + rows]) for start in range(0, len(x), rows))


class ScaledRows:
    """At most `most` rows of the training split, evenly spaced, since it may be sorted by class; of shards the first
    ones, which are shuffled where they can be.

    places: of the rows in the split. Indexed by rows, it gives their means (n, D) in float32, NaN where a table has a
    gap. No floats are kept: those of bytes would be four times as large, and what starts from them reads a few.
    """

    def __init__(self, dataset: Dataset, most: int):
        x, count = dataset.train.x, len(dataset.train)
        resident = isinstance(x, np.ndarray)
        self._held = x if resident else x[:most]
        many = resident and count > most
        self.places = np.arange(most) * count // most if many else np.arange(min(count, most))
        self._preprocessing = dataset.preprocessing

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self._preprocessing.scaled(self._held[self.places[rows]])

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations (D,) over the rows, of the values that are there; a column without any has the
        mean 0."""
        flat = self._held.reshape(len(self._held), -1)
        size = flat.shape[1]
        blocks = min(size, -(-len(self) * size * 4 // BLOCK))
        ends = np.linspace(0, size, blocks + 1).astype(int)
        by_block = [self._moments(flat[self.places, a:b]) for a, b in itertools.pairwise(ends)]
        mean, spread = (np.concatenate(parts) for parts in zip(*by_block, strict=True))
        return mean, spread

    def _moments(self, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = self._preprocessing.scaled(held)
        if self._preprocessing.table is None:
            with np.errstate(over="ignore"):  # an infinite spread, of which the first step's loss tells
                return x.mean(0), x.std(0)
        gone = np.isnan(x).all(0)  # a column without a value in these rows
        seen = np.where(gone, 0, x)
        return np.nanmean(seen, 0), np.nanstd(seen, 0)
