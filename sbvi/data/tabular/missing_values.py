"""Values that a user says stand for a missing one, beside what files have for it: `dataset.missing_values`."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sbvi.data.tabular.cells import dtype_of, plain, shortest, spelled
from sbvi.data.tabular.marked_numbers import DECIMAL, plain_number

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

_TRUTH = ("true", "false")


def without(column: "pandas.Series", values: Sequence[str]) -> "pandas.Series":
    """A column whose cells that hold one of the values, in whatever spelling, are missing, and whose dtype has no
    category of them; one of texts that are plain numbers all of them then, as its file writes these, is of numbers."""
    import pandas as pd

    if not values:
        return column
    if isinstance(column.dtype, pd.CategoricalDtype):
        named = _named(values)
        gone = [each for each in column.cat.categories if _spelling(each, column) in named]
        return column.cat.remove_categories(gone) if gone else column
    gaps = _holding(column, values)
    if not gaps.any():
        return column
    rest = column.mask(gaps)
    texts = rest.dropna()
    decimal = column.attrs.get(DECIMAL, ".")
    if not len(texts) or not all(isinstance(text, str) and plain_number(text, decimal) for text in texts):
        return rest
    numbers = [float(text.replace(decimal, ".")) if isinstance(text, str) else np.nan for text in rest]
    made = pd.Series(numbers, index=column.index, name=column.name)
    made.attrs = dict(column.attrs)
    return made


def numbers_among(values: Sequence[str]) -> list[float]:
    """Those that are numbers."""
    return [float(text) for text in map(spelled, values) if not text.startswith("text ") and text not in _TRUTH]


def said_missing(value: object, values: Sequence[str]) -> bool:
    """Whether a category, as a user writes it, is one of the values."""
    return spelled(plain(value)) in _named(values)


def tell(frame: "pandas.DataFrame", values: Sequence[str], where: str) -> None:
    """Log which columns hold the values, and warn of a value that none does."""
    for value in values:
        held = [str(name) for name, column in frame.items() if _holding(column, [value]).any()]
        if held:
            more = f" and {len(held) - 8} more" if len(held) > 8 else ""
            log.info("Taken as missing in %s: %s in %s%s.", where, value, ", ".join(held[:8]), more)
        else:
            log.warning("%s: no column of values holds %s of dataset.missing_values.", where, value)


def _named(values: Sequence[str]) -> set[str]:
    return {spelled(value) for value in values}


def _holding(column: "pandas.Series", values: Sequence[str]) -> np.ndarray:
    """Where cells hold one of the values, (N,)."""
    import pandas as pd

    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        numbers = np.array(numbers_among(values))
        return np.isin(column.to_numpy(), numbers.astype(column.dtype) if column.dtype.kind == "f" else numbers)
    named = _named(values)
    if pd.api.types.infer_dtype(column, skipna=True) in ("string", "categorical"):  # few different ones, often
        codes, each = pd.factorize(column)
        held = np.array([*(_spelling(value, column) in named for value in each), False], bool)
        return held[codes]  # -1, of missing ones, is the last
    there = column.notna().to_numpy(bool)
    found = [bool(known) and _spelling(value, column) in named for value, known in zip(column, there, strict=True)]
    return np.array(found, bool)


def _spelling(value: object, column: "pandas.Series") -> str:
    return spelled(shortest(plain(value), dtype_of(value, column.dtype)))
