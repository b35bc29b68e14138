"""Removing entries of a table on purpose, for experiments whose truth is known."""

from typing import Literal

import numpy as np

from sbvi.core import NumPySeed, Probability, spec


@spec
class Removal:
    """How entries go missing, beside those that are missing already."""

    mechanism: Literal["random", "block", "values"] = "random"
    """random: each entry by itself; block: neighbouring columns of a row; values: the greater a value among its column,
    the likelier (not missing at random)."""
    fraction: Probability = 0.0
    """Share of entries to remove; 0 for none."""
    seed: NumPySeed = 0
    """Seed of the places."""

    def idle(self) -> dict[str, str]:
        return {} if self.fraction else {"mechanism": "fraction above 0"}

    def places(self, x: np.ndarray) -> np.ndarray:
        """Where entries of x (N, D), NaN where missing already, are removed: (N, D) of bool."""
        generator = np.random.default_rng(self.seed)
        if not self.fraction:
            return np.zeros(x.shape, bool)
        if self.mechanism == "random":
            return generator.random(x.shape) < self.fraction
        if self.mechanism == "block":
            size = x.shape[1]
            start = generator.integers(0, size, (len(x), 1))
            width = self.fraction * size
            count = np.floor(width) + (generator.random((len(x), 1)) < width - np.floor(width))
            return (np.arange(size) - start) % size < count
        # With ranks r uniform in [0, 1], the mean of r^(1/f - 1) is f. Ranks are among what a column holds.
        shuffled = generator.permuted(np.tile(np.arange(len(x))[:, None], x.shape[1]), axis=0)  # decides over ties
        rank = np.zeros(x.shape)
        for column, order in enumerate(shuffled.T):
            held = order[~np.isnan(x[order, column])]
            rising = held[np.argsort(x[held, column], kind="stable")]
            rank[rising, column] = (np.arange(len(held)) + 0.5) / max(1, len(held))
        return generator.random(x.shape) < rank ** (1 / self.fraction - 1)
