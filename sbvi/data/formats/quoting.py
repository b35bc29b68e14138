"""Which texts of a frame need quotes in a file, so that they are read back as they are."""

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas


def texts_of(column: "pandas.Series") -> list[str]:
    """The different texts that a column of a frame holds."""
    if column.dtype.kind in "buifmM":
        return []
    return [value for value in column.dropna().unique() if isinstance(value, str)]


def quoting(frame: "pandas.DataFrame", header: bool = True) -> int:
    """How `csv` is to quote a frame's fields: all texts where one begins with a space, which an unquoted field loses,
    or holds an old line end, which `csv` does not see; or where the first row, of names if `header`, holds
    that or what would pass for the separator; else those alone that could not be read."""
    first = frame.columns if header else frame.iloc[:1].to_numpy(object).ravel()
    marks = ";\t\r|" if frame.shape[1] == 1 else ";\t\r"  # beside commas a bar separates nothing
    marked = any(mark in str(field) for field in first for mark in marks)
    odd = any(text[:1].isspace() or "\r" in text for _, column in frame.items() for text in texts_of(column))
    return csv.QUOTE_NONNUMERIC if marked or odd else csv.QUOTE_MINIMAL
