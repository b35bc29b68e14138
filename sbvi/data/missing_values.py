"""Values that a user says stand for a missing one, beside what files have for it: `dataset.missing_values`."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sbvi.data.cells import dtype_of, plain, shortest, spelled
from sbvi.data.frame_numbers import as_numbers
from sbvi.data.marked_numbers import DECIMAL

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

_TRUTH = ("true", "false")


def without(column: "pandas.Series", values: Sequence[str]) -> "pandas.Series":
    """A column whose cells that hold one of the values, in whatever spelling, are missing; one of text that has numbers
    left alone, as texts, is of numbers then."""
    import pandas as pd

    if not values or not (gone := _holding(column, values)).any():
        return column
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.mask(gone)
    rest = column.astype(object).mask(gone)
    texts = rest.dropna()
    if not len(texts) or not all(isinstance(value, str) for value in texts):
        return rest if column.dtype == object else column.mask(gone)
    decimal = column.attrs.get(DECIMAL, ".")
    numbers = as_numbers(rest.map(lambda text: text.replace(decimal, "."), na_action="ignore"))
    if np.isnan(numbers[rest.notna().to_numpy(bool)]).any():
        return column.mask(gone)
    made = pd.Series(numbers, index=column.index, name=column.name)
    made.attrs = dict(column.attrs)
    return made


def numbers_among(values: Sequence[str]) -> list[float]:
    """Those that are numbers."""
    return [float(text) for text in map(spelled, values) if not text.startswith("text ") and text not in _TRUTH]


def tell(frame: "pandas.DataFrame", values: Sequence[str], where: str) -> None:
    """Log which columns hold the values, and warn of a value that none does."""
    for value in values:
        held = [str(name) for name, column in frame.items() if _holding(column, [value]).any()]
        if held:
            more = f" and {len(held) - 8} more" if len(held) > 8 else ""
            log.info("Taken as missing in %s: %s in %s%s.", where, value, ", ".join(held[:8]), more)
        else:
            log.warning("%s: no cell holds %s of dataset.missing_values.", where, value)


def _holding(column: "pandas.Series", values: Sequence[str]) -> np.ndarray:
    """Where cells hold one of the values, (N,)."""
    import pandas as pd

    named = {spelled(value) for value in values}
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        x = column.to_numpy()
        return np.isin(x, [each for each in pd.unique(column) if spelled(shortest(plain(each), x.dtype)) in named])
    there = column.notna().to_numpy(bool)
    held = [bool(known) and _spelling(value, column) in named for value, known in zip(column, there, strict=True)]
    return np.array(held, bool)


def _spelling(value: object, column: "pandas.Series") -> str:
    return spelled(shortest(plain(value), dtype_of(value, column.dtype)))
