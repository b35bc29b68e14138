"""Tails of a table task's intervals, calibrated on entries that are hidden from the run's validation rows.

No step of training saw these rows, so that what is hidden of them is as new to the model as what a user's rows miss.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from sbvi.core import UserError
from sbvi.data import Dataset
from sbvi.data.tabular.columns import Column
from sbvi.evaluation.calibrated_tails import calibrate
from sbvi.evaluation.filling import Draw
from sbvi.evaluation.hidden_entries import ROWS, Places
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import run_dataset

log = logging.getLogger(__name__)

#: Share of entries that are hidden where a task does not say, and the fewest numbers that intervals rest on.
SHARE, FEWEST = 0.1, 50


@dataclass(frozen=True)
class Tails:
    """What an interval leaves to each side, (D,), None for (1 - interval) / 2; and what is recorded of it."""

    sides: np.ndarray | None
    about: dict[str, Any]


def calibrated(
    run: LoadedRun,
    dataset: Dataset | None,
    columns: tuple[Column, ...],
    draw: Draw,
    interval: float,
    share: float | None,
    seed: int,
) -> Tails:
    """By validation rows, of which each entry is hidden with a probability; again and again where they are few.

    Args:
      dataset: the run's; None where it is not read yet.
      share: that probability; None for SHARE.
    """
    if not run.model.at_random():
        return _as_drawn("what is missing is no random part of these columns")
    try:
        rows = (dataset or run_dataset(run)).evaluated("validation").x[:]
    except UserError as error:
        return _as_drawn(str(error).rstrip("."))
    share = share or SHARE
    copies = max(1, min(round(1 / share), ROWS // len(rows)))
    places = Places.of(np.tile(rows, (copies, 1)), share, seed)
    found = calibrate(columns, [(draw, run.params, places)], seed)
    entries = 0 if found is None else sum(map(len, found.held_out))
    if found is None or entries < FEWEST:
        why = f"{entries} numbers of validation rows could be hidden, fewer than {FEWEST}"
        numbers = any(column.standardised for column in columns)
        cure = "; a run with more rows, or with a greater dataset.validation_size, has more" if numbers else ""
        return _as_drawn(why, cure)
    used = min(len(rows), ROWS)
    log.info("Intervals are calibrated on %d hidden entries of %d validation rows.", entries, used)
    own = {c.name: len(t) for c, t in zip(columns, found.held_out, strict=True) if c.standardised}
    about = {"calibrated": True, "entries": entries, "rows": used, "hidden": share, "by_column": own}
    return Tails(found(interval), about)


def scored_themselves() -> Tails:
    """Where the validation rows are what is scored."""
    return _as_drawn("task.split=validation scores the rows that intervals are calibrated on")


def _as_drawn(why: str, cure: str = "") -> Tails:
    log.info("Intervals are those of the draws, not calibrated: %s; they may be too narrow or too wide%s.", why, cure)
    return Tails(None, {"calibrated": False, "why": why})
