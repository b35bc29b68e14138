"""Columns of a frame as Parquet can hold them, where pandas would refuse them, or have them read back as others."""

from typing import Any


def holdable(column: Any) -> Any:
    """The column (a pandas.Series) with categories that are intervals, as `pandas.cut` makes them, periods or lengths
    of time by their texts, which these are anyway; a sparse one whole; any other as it is."""
    import pandas as pd

    if isinstance(column.dtype, pd.SparseDtype):
        return column.sparse.to_dense()
    if isinstance(column.dtype, pd.CategoricalDtype):
        held = column.cat.categories.dtype
        if held.kind == "m" or isinstance(held, pd.IntervalDtype | pd.PeriodDtype):
            return column.cat.rename_categories(list(map(str, column.cat.categories)))
    return column


def of_one_type(column: Any) -> Any:
    """The column with texts for its numbers and truth values where it has texts beside them, since Parquet holds one
    type: as a text file has them, whole numbers without a point."""
    if column.dtype == object and any(isinstance(value, str) for value in column):
        return column.map(_text, na_action="ignore")
    return column


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
