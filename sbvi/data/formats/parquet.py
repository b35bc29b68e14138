"""Frames as Parquet, with what pandas would refuse to write, or have read back as something else.

Of a column whose categories are numbers Parquet holds the numbers alone; the categories and their order are written
beside the frame's own description, and found again there.
"""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from sbvi.data.tabular.cells import plain

#: Where the file has them.
_KEY = b"sbvi.categories"


def written(frame: Any, index: bool | None = None) -> bytes:
    """A frame whose columns Parquet can hold, see `holdable`; index: as of `DataFrame.to_parquet`."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, engine="pyarrow", index=index)
    if not (beside := {str(name): about for name, column in frame.items() if (about := _categories(column))}):
        return buffer.getvalue()
    from pyarrow import parquet

    table, again = parquet.read_table(io.BytesIO(buffer.getvalue())), io.BytesIO()
    parquet.write_table(table.replace_schema_metadata({**table.schema.metadata, _KEY: json.dumps(beside)}), again)
    return again.getvalue()


def read(source: Path | bytes) -> Any:
    """The frame of a file, or of its content."""
    import pandas as pd
    from pyarrow import parquet

    def opened() -> Any:
        return io.BytesIO(source) if isinstance(source, bytes) else source

    frame = pd.read_parquet(opened(), engine="pyarrow")
    beside = (parquet.read_schema(opened()).metadata or {}).get(_KEY)
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):  # what others wrote there is not ours
        for name, about in (json.loads(beside) if beside else {}).items():
            dtype = pd.CategoricalDtype(pd.Index(about["values"], dtype=about["dtype"]), ordered=about["ordered"])
            for label in (label for label in frame.columns if str(label) == name):
                frame[label] = _of_dtype(frame[label], dtype)
    return frame


def _of_dtype(column: Any, dtype: Any) -> Any:
    """The column with the categories that were written, and of names with those that it has beside them: a file may
    have been joined to another since, or its column changed. As it is where an order, or all, would be another."""
    import pandas as pd

    values = column.dropna().unique()
    more = [value for value in values if value not in dtype.categories]
    if more and (dtype.ordered or len(more) == len(values)):
        return column
    return column.astype(pd.CategoricalDtype([*dtype.categories, *more]) if more else dtype)


def _categories(column: Any) -> dict[str, Any]:
    """Of a column whose categories are numbers what Parquet loses; else nothing."""
    import pandas as pd

    if not isinstance(column.dtype, pd.CategoricalDtype):
        return {}
    held = column.dtype.categories
    if (numbers := held.infer_objects()).dtype.kind not in "iuf":
        return {}
    return {"values": numbers.tolist(), "dtype": str(held.dtype), "ordered": bool(column.dtype.ordered)}


def holdable(column: Any) -> Any:
    """The column (a pandas.Series) with categories that are intervals, as `pandas.cut` makes them, periods or lengths
    of time by their texts, which these are anyway, and with those that are numbers of Python's, such as Decimal, as
    floats; a sparse one whole; any other as it is."""
    import pandas as pd

    if isinstance(column.dtype, pd.SparseDtype):
        return column.sparse.to_dense()
    if isinstance(column.dtype, pd.CategoricalDtype):
        held = column.cat.categories.dtype
        if held.kind == "m" or isinstance(held, pd.IntervalDtype | pd.PeriodDtype):
            return column.cat.rename_categories(list(map(str, column.cat.categories)))
        floats = list(map(plain, column.cat.categories))
        numbers = bool(floats) and all(isinstance(value, float) for value in floats)
        if numbers and column.cat.categories.infer_objects().dtype == object and len(set(floats)) == len(floats):
            return column.cat.rename_categories(floats)
    return column


def of_one_type(column: Any) -> Any:
    """The column with texts for its numbers and truth values where it has texts beside them, since Parquet holds one
    type: as a text file has them, whole numbers without a point."""
    if column.dtype == object and any(isinstance(value, str) for value in column):
        return column.map(_text, na_action="ignore")
    return column


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
