"""Single cells of a user's frame: how categories are spelled, and dtypes that hold what is filled in."""

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas

#: A day with its time of day: the day, hour and minute, second, its part, and the zone.
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:?\d\d)?")


def fitting(made: "pandas.Series", like: Any) -> "pandas.Series":
    """With a dtype where that holds the values, else with a wider one; whole numbers are rounded, since their column
    holds no others."""
    import pandas as pd

    if isinstance(like, pd.CategoricalDtype):
        if made.isna().any():
            return made.astype(object)
        absent = [value for value in made.unique() if value not in like.categories]
        if absent:
            like = pd.CategoricalDtype([*like.categories, *absent])  # where these stand in an order is not known
    elif pd.api.types.is_integer_dtype(like):
        made = made.round() if made.dtype.kind == "f" else made
        like = "Int64" if made.isna().any() else like
    elif pd.api.types.is_bool_dtype(like) and made.isna().any():
        return made.astype(object)
    whole = pd.api.types.is_integer_dtype(like) and made.dtype.kind == "f"
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what does not fit is looked at below
            cast = made.astype(like)
            fits = not whole or bool((cast == made).all())
    except (ValueError, TypeError, OverflowError):  # such as words in a column of numbers
        if not whole:
            return made.astype(object)
        cast, fits = made, False
    if not fits:
        return made.astype("Int64") if (made.abs() < 2**53).all() else made
    if pd.api.types.is_float_dtype(like) and (cast.abs() == np.inf).any():
        return made
    return cast


def of_one_arithmetic(made: "pandas.Series") -> "pandas.Series":
    """A column of decimal.Decimal in which floats were filled in as one of floats, which Python does not add to these;
    any other as it is."""
    import pandas as pd

    if made.dtype != object or not any(isinstance(value, Decimal) for value in made):
        return made
    if pd.api.types.infer_dtype(made, skipna=True) == "decimal" or any(isinstance(value, str) for value in made):
        return made
    return made.astype(np.float64)


def as_elsewhere(made: "pandas.Series", old: "pandas.Series") -> "pandas.Series":
    """Categories as a column of a frame spells them where they are there."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(old.dtype):
        return made
    written = old.cat.categories if isinstance(old.dtype, pd.CategoricalDtype) else old.dropna().unique()
    narrow = {spelled(shortest(plain(value), dtype_of(value, old.dtype))): value for value in written}
    own = narrow | {spelled(plain(value)): value for value in written}
    texts = bool(own) and all(isinstance(value, str) for value in own.values())

    def one(value: Any) -> Any:
        other = as_text(value) if texts and isinstance(value, float) else value
        return own.get(spelled(plain(value)), other) if pd.notna(value) else None

    return pd.Series([one(value) for value in made], dtype=object)


def spelled(value: str | float | bool) -> str:
    """One text for all spellings of a category: 01, "1" and 1.0, TRUE and True, or a day and its midnight."""
    if isinstance(value, bool) or not isinstance(value, str):
        return str(value).lower()
    try:
        return str(float(value))
    except ValueError:
        return value.lower() if value.lower() in ("true", "false") else f"text {_without_zeros(value)}"


def _without_zeros(text: str) -> str:
    """A time without the zeros at its end, with which a frame's texts and the text file of a frame differ."""
    if (time := _TIME.fullmatch(text)) is None:
        return text
    day, minute, second, part, zone = (found or "" for found in time.groups())
    clock = f" {minute}:{second or '00'}.{part.rstrip('0')}".removesuffix(".")
    return f"{day}{clock.removesuffix(' 00:00:00')}{zone}"


def plain(value: Any) -> str | float | bool:
    """A category as run.json can hold it: texts and truth values as they are, numbers as floats, others as texts."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, str):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)


def as_text(number: float) -> str:
    """A number in all of its digits, a whole one without a point."""
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else str(number)


def listed(value: str | float | bool) -> str:
    """A category in a list of several: a text that would pass there for two, or for a shorter one, in quotes."""
    if not isinstance(value, str):
        return as_text(value) if isinstance(value, float) else str(value)
    plainly = value and value.isprintable() and value == value.strip() and not set(value) & set(",'\"")
    return value if plainly else repr(value)


def shortest(value: str | float | bool, dtype: Any) -> str | float | bool:
    """A number of a narrower dtype, or of categories of one, as its shortest text has it, which is what a file of text
    keeps: of the float32 0.1, which is 0.10000000149 in all digits, 0.1. All else as it is."""
    if not isinstance(value, float):
        return value
    held = dtype.categories.dtype if dtype.name == "category" else dtype
    held = getattr(held, "numpy_dtype", held)  # of pandas' own dtypes, Arrow's among them
    return float(str(held.type(value))) if held.type in (np.float16, np.float32) else value


def dtype_of(cell: Any, column: Any) -> Any:
    """The dtype of a cell: its own where a column of objects holds one of NumPy's numbers, else the column's."""
    return cell.dtype if isinstance(cell, np.generic) else column
