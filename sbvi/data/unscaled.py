"""Values whose scale does not suit a model, told or refused before a run begins."""

import logging
from typing import Any

import numpy as np

from sbvi.core import UserError
from sbvi.data.dataset import Dataset
from sbvi.data.own import few
from sbvi.data.rows import parts

log = logging.getLogger(__name__)

#: The greatest L of whole numbers 0..L that are held as levels, in uint8.
GREATEST = 255


def check_unscaled(dataset: Dataset, where: str, levels: str, noisy: bool) -> None:
    """Say where whole numbers are taken as real ones because their range is too wide, and are not moved to [0, 1].

    Args:
      where: what sentences call the data.
      levels: the likelihood that is of levels, by its name; empty of others.
      noisy: whether the model gives levels noise.

    Raises:
      UserError: the model is of levels, or gives them noise.
    """
    if not _wide(dataset):
        return
    low, high = dataset.preprocessing.minimum, dataset.preprocessing.maximum
    held = f"{where} holds whole numbers of dataset.minimum={low:.10g} to dataset.maximum={high:.10g}"
    if levels:
        raise UserError(
            f"{held}, and likelihood={levels} is of levels, which span {GREATEST} at most; likelihood=gaussian "
            f"dataset.rescale=true takes them as real numbers, moved to [0, 1]."
        )
    if noisy:
        raise UserError(
            f"{held}, and noise is of levels, which span {GREATEST} at most; dataset.rescale=true takes them as real "
            f"numbers, moved to [0, 1], and likelihood.dequantize=false, where there is a likelihood, as they are."
        )
    log.warning(
        "%s, and levels span %d at most: they are taken as real numbers, unscaled; dataset.rescale=true moves them to "
        "[0, 1].",
        *(held, GREATEST),
    )


def _wide(dataset: Dataset) -> bool:
    """Whether values are whole numbers of a declared range that levels do not have, as they are."""
    known = dataset.preprocessing
    if known.levels is not None or known.binary or known.rescale or known.minimum is None or known.maximum is None:
        return False
    if known.maximum - known.minimum <= GREATEST:
        return False
    return all(bool((np.rint(part) == part).all()) for split in dataset.splits.values() for part in parts(split.x))


def warn_of_narrow(dataset: Dataset, floor: float) -> None:
    """Name the numbers of a table by column whose deviation, as they are held, is below the least scale of their law,
    `likelihood.minimum_scale`: no law is then as narrow as they are."""
    if (table := dataset.preprocessing.table) is None:
        return
    narrow = [
        f"{column.name} ({deviation:.2g})"
        for column, deviation in zip(table, _deviations(dataset.train.x), strict=True)
        if column.standardised and 0 < deviation < floor
    ]
    if narrow:
        log.warning(
            "The deviation of %s is below likelihood.minimum_scale=%g, so that the model cannot be as narrow as the "
            "data; dataset.scale=deviation holds every column with deviation 1.",
            *(few(narrow), floor),
        )


def _deviations(x: Any) -> np.ndarray:
    """The standard deviation of every column (D,), of the values that are there; 0 of a column without any. Moments of
    rows are joined around their means, which loses no digit of a column that lies far from 0."""
    count, mean, squares = (np.zeros(x.shape[1]) for _ in range(3))
    for part in parts(x):
        there = ~np.isnan(part)
        own = there.sum(0)
        values = np.where(there, part, 0.0).astype(np.float64)
        centre = values.sum(0) / np.maximum(own, 1)
        total = np.maximum(count + own, 1)
        squares += (np.square(values - centre) * there).sum(0) + np.square(centre - mean) * count * own / total
        mean += (centre - mean) * own / total
        count += own
    deviations: np.ndarray = np.sqrt(squares / np.maximum(count, 1))
    return deviations
