"""Intervals of a table's numbers that cover as often as they say, by entries held out of training.

    u = share of draws of p(x_h | x_o) below the true x_h,   t = min(u, 1 - u)

An interval from the a-quantile of the draws to the (1 - a)-quantile misses the entries whose t is below a. Where the
draws are right u is uniform, and a = (1 - p) / 2 covers p. Here a is the (1 - p)-quantile of t over held-out entries
(split conformal prediction; Vovk, Gammerman and Shafer 2005), of each column, which leans on all columns' where it has
few.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sbvi.data.tabular import columns as tables
from sbvi.data.tabular.columns import Column
from sbvi.evaluation.filling import Draw, batches
from sbvi.evaluation.hidden_entries import Places

#: How many entries of its own all columns together are worth to each.
PRIOR = 50.0


@dataclass(frozen=True)
class CalibratedTails:
    """t of the held-out entries of each column, ascending; none of columns whose values are counts or codes."""

    held_out: tuple[np.ndarray, ...]

    def __call__(self, interval: float) -> np.ndarray:
        """Probability that the draws give to each side of an interval, (D,), so that it covers `interval`."""
        pooled = np.concatenate(self.held_out)
        tails = np.full(len(self.held_out), (1 - interval) / 2)
        for d, own in enumerate(self.held_out):
            if len(own):
                tails[d] = _quantile(own, pooled, 1 - interval)
        return tails


def _quantile(own: np.ndarray, pooled: np.ndarray, share: float) -> float:
    """Of values in [0, 1/2]: pooled ones, which weigh PRIOR together, and own ones among them, which weigh 1 each more.

    Between n values and the two ends are n + 1 spaces of equal mean probability, so that the ends stand beside the
    values as half a value each would; else few values would give tails that are too heavy, and intervals too short.
    """
    each = PRIOR / len(pooled)
    values, counts = np.unique(pooled, return_counts=True)
    weights = each * counts + np.bincount(np.searchsorted(values, own), minlength=len(values))
    total = len(own) + PRIOR
    space = (len(own) * (1 + each) ** 2 + (len(pooled) - len(own)) * each**2) / total  # what an entry weighs
    reached = np.cumsum(weights) - weights / 2
    reached = np.concatenate([[-space / 2], reached, [total + space / 2]])
    return float(np.interp(share * (total + space) - space / 2, reached, np.concatenate([[0.0], values, [0.5]])))


def calibrate(
    columns: Sequence[Column], parts: Sequence[tuple[Draw, Any, Places]], seed: int
) -> CalibratedTails | None:
    """Of models, each with what was held out of its training; None where no number was.

    parts: of each model what draws, its parameters, and the places.
    """
    held_out: list[list[np.ndarray]] = [[np.empty(0)] for _ in columns]
    for number, (draw, params, places) in enumerate(parts):
        truth = tables.back(columns, places.truth.astype(np.float64))
        for rows, drawn in batches(draw, params, places.x, seed + number):
            draws = tables.back(columns, np.asarray(drawn.draws, np.float64))
            below = (draws < truth[rows]).mean(0) + 0.5 * (draws == truth[rows]).mean(0)
            for d, column in enumerate(columns):
                if column.standardised:
                    held_out[d].append(below[places.hidden[rows, d], d])
    sides = [np.concatenate(values) for values in held_out]
    found = CalibratedTails(tuple(np.sort(np.minimum(u, 1 - u)) for u in sides))
    return found if any(len(own) for own in found.held_out) else None
