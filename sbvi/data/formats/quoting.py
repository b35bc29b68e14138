"""Which texts of a frame need quotes in a file, so that they are read back as they are."""

import csv
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas


def texts_of(column: "pandas.Series") -> list[str]:
    """The different texts that a column of a frame holds."""
    if column.dtype.kind in "buifmM":
        return []
    return [value for value in column.dropna().unique() if isinstance(value, str)]


def quoting(frame: "pandas.DataFrame", names: Iterable[object] = ()) -> int:
    """How `csv` is to quote a frame's fields: all texts where one begins with a space, which an unquoted field loses,
    or where a name holds what would pass for the separator; else those alone that could not be read."""
    marked = any(mark in str(name) for name in names for mark in ";\t")
    spaced = any(text[:1].isspace() for _, column in frame.items() for text in texts_of(column))
    return csv.QUOTE_NONNUMERIC if marked or spaced else csv.QUOTE_MINIMAL
