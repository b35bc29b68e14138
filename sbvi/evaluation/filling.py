"""A table's gaps, filled: means, medians, modes, intervals and draws, in the source's numbers."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np

from sbvi.core import UserError
from sbvi.core.precision import jit_reported
from sbvi.data import Preprocessing
from sbvi.data.tabular import columns as tables
from sbvi.data.tabular.columns import Column
from sbvi.evaluation.grid_filling import GridDraw
from sbvi.evaluation.trust import filled_held
from sbvi.inference import quadrature
from sbvi.inference.resampling import How, resampled

BATCH = 200
#: Kinds whose codes have no order.
NAMED = ("categorical", "binary")
Guess = Literal["mean", "median", "mode"]
#: (params, key, x with NaN (B, D)) -> means in source units, of continuous columns less their location (B, D), draws
#: (R, B, D) and more; `Resampled`
Draw = Callable[[Any, jax.Array, jax.Array], Any]


@dataclass(frozen=True)
class Filled:
    """Of N rows, (N, D) each, observed entries as they are; source numbers, codes of categories.

    mean: of a coded column the mean code.  median, mode, lower, upper: of the draws; bounds of categories are their
      mode.  draws: (M, N, D) completed tables.
    effective: effective sample sizes, (N,).  accepted: of the chain, (N,); 1 without one.
    khat: shape of the weights' tail, (N,); NaN where it is not known, 0 of a row that is integrated.
    """

    mean: np.ndarray
    median: np.ndarray
    mode: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    draws: np.ndarray
    effective: np.ndarray
    accepted: np.ndarray
    khat: np.ndarray
    columns: tuple[Column, ...]

    def guess(self, which: Guess) -> np.ndarray:
        """One value for each gap. Of means: categories by their mode, ranks by their median."""
        if which != "mean":
            return self.named_median() if which == "median" else self.mode
        values = self.mean.copy()
        for d, column in enumerate(self.columns):
            if column.coded:
                values[:, d] = self.median[:, d] if column.kind == "ordinal" else self.mode[:, d]
        return values

    def named_median(self) -> np.ndarray:
        """Medians; of categories, which have no order, modes."""
        named = [c.kind in NAMED for c in self.columns]
        return np.where(named, self.mode, self.median)


@functools.lru_cache(maxsize=8)
def drawing(model: Any, num_samples: int, draws: int, how: How = "importance", chunk: int = 100) -> Draw:
    """Draws by sampling-importance-resampling, or by a chain over the same samples; of one or two continuous latents by
    quadrature, unless a chain is asked for."""

    def drawn(params: Any, key: jax.Array, x: jax.Array) -> Any:
        return resampled(model, params, key, x, num_samples, draws, chunk, how)

    by_samples = jit_reported(drawn)
    exact = how == "importance" and quadrature.serves(model)
    return GridDraw(model, by_samples, num_samples, draws) if exact else by_samples


def batches(draw: Draw, params: Any, held: np.ndarray, seed: int) -> Iterator[tuple[slice, Any]]:
    """Rows of held values (N, D), and what is drawn of them, on the host."""
    for start in range(0, len(held), BATCH):
        rows = held[start : start + BATCH]
        # One program for any number of rows: others without a gap, of which nothing is asked.
        padded = np.concatenate([rows, np.zeros((BATCH - len(rows), rows.shape[1]), rows.dtype)])
        key = jax.random.fold_in(jax.random.key(seed), start // BATCH)
        drawn = jax.device_get(draw(params, key, jax.device_put(padded)))
        told = (name for name in drawn._fields if name != "draws" and getattr(drawn, name) is not None)
        kept = {name: getattr(drawn, name)[: len(rows)] for name in told}
        yield slice(start, start + len(rows)), drawn._replace(draws=drawn.draws[:, : len(rows)], **kept)


def fill(
    draw: Draw,
    params: Any,
    preprocessing: Preprocessing,
    held: np.ndarray,
    seed: int,
    interval: float = 0.9,
    imputations: int = 0,
    tails: np.ndarray | None = None,
) -> Filled:
    """Fill the gaps of held values (N, D), NaN where one is missing.

    Args:
      interval: probability between lower and upper.
      tails: share of the draws on each side of it, (D,), where that is known to differ from (1 - interval) / 2.

    Raises:
      UserError: the run is not of a table by column.
    """
    table = preprocessing.table
    if table is None:
        raise UserError("Only a table by column (likelihood=mixed) is filled this way.")
    source = preprocessing.to_source(held)
    parts: list[list[np.ndarray]] = []
    sides = np.full(len(table), (1 - interval) / 2) if tails is None else tails
    for _, drawn in batches(draw, params, held, seed):
        draws = tables.back(table, np.asarray(drawn.draws, np.float64))
        modes, low, high = (np.empty(draws.shape[1:]) for _ in range(3))
        middle = np.quantile(draws, 0.5, axis=0)
        for d, column in enumerate(table):
            low[:, d], high[:, d] = np.quantile(draws[:, :, d], [sides[d], 1 - sides[d]], axis=0)
            if column.coded or column.kind == "count":  # values that there are
                low[:, d], middle[:, d], high[:, d] = np.floor(low[:, d]), np.rint(middle[:, d]), np.ceil(high[:, d])
            modes[:, d] = _mode(column, draws[:, :, d], middle[:, d])
            if column.kind in NAMED:
                low[:, d] = high[:, d] = modes[:, d]
        khat = np.full(len(drawn.effective), np.nan) if drawn.khat is None else drawn.khat
        about = drawn.effective, drawn.accepted, khat
        mean = np.asarray(drawn.mean, np.float64) + tables.centres(table)
        parts.append([mean, middle, modes, low, high, np.swapaxes(draws[:imputations], 0, 1), *about])
    joined = (np.concatenate(part) for part in zip(*parts, strict=True))
    mean, median, mode, lower, upper, kept, effective, accepted, khat = joined
    gaps = np.isnan(held)
    rows = gaps.any(1)
    filled_held(effective[rows], khat[rows])
    mean, median, mode, lower, upper = (np.where(gaps, values, source) for values in (mean, median, mode, lower, upper))
    completed = np.where(gaps[None], np.swapaxes(kept, 0, 1), source[None])
    return Filled(mean, median, mode, lower, upper, completed, effective, accepted, khat, table)


def _mode(column: Column, draws: np.ndarray, median: np.ndarray) -> np.ndarray:
    """The most frequent code of draws (R, B); of numbers the middle of the half that is densest."""
    if column.coded:
        counts = np.stack([(draws == code).sum(0) for code in range(len(column.values))])
        return counts.argmax(0).astype(np.float64)
    ordered = np.sort(draws, 0)
    half = max(len(draws) // 2, 1)
    if half == len(draws):
        return median
    widths = ordered[half:] - ordered[:-half]
    place = widths.argmin(0)
    middle = (
        np.take_along_axis(ordered, place[None], 0)[0] + np.take_along_axis(ordered, place[None] + half, 0)[0]
    ) / 2
    return np.rint(middle) if column.kind == "count" else middle
