"""Numbers of a user's frame, whatever dtypes hold them, and cells that are none."""

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from sbvi.core import UserError
from sbvi.data.checks import line
from sbvi.data.tabular.cells import dtype_of, shortest

if TYPE_CHECKING:
    import pandas


#: The largest whole number that a float64 holds.
LARGEST = int(np.finfo(np.float64).max)


def numbers(frame: "pandas.DataFrame", where: str) -> np.ndarray:
    """A frame's cells as numbers (N, D), of pandas' own dtypes with gaps as NaN; float64 where dtypes differ.

    Raises:
      UserError: a cell is no number; see also `simple`.
    """
    whole: np.ndarray = frame.to_numpy()
    if whole.dtype.kind in "buif" or not whole.size:
        return whole
    return np.stack([numbers_of(frame.iloc[:, place], where) for place in range(frame.shape[1])], 1)


def numbers_of(column: "pandas.Series", where: str) -> np.ndarray:
    """A column's cells as numbers (N,) float64, NaN where one is missing.

    Raises:
      UserError: a cell is no number; see also `simple`.
    """
    simple(column, where)
    made = as_numbers(column)
    if (wrong := column.notna().to_numpy(bool) & np.isnan(made)).any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(
            f"{where}: column {column.name} holds {cell(column, row)} in {line(row, where)}, which is no number."
        )
    return made


def cell(column: "pandas.Series", row: int) -> str:
    """A cell as Python writes it: texts in quotes, and numbers as such, whatever type of NumPy's holds them."""
    value = column.iloc[row]
    dtype = dtype_of(value, column.dtype)
    return repr(shortest(value.item() if isinstance(value, np.generic) else value, dtype))


def as_numbers(column: "pandas.Series") -> np.ndarray:
    """A column's cells as numbers (N,) float64, NaN where one is missing or is none. Times are none: pandas would count
    them in their dtype's unit, and make a number of a missing one too."""
    import pandas as pd

    if column.dtype.kind in "mM" or isinstance(column.dtype, pd.PeriodDtype):
        return np.full(len(column), np.nan)
    if str(column.dtype).startswith("decimal"):  # Arrow's, of which pandas loses the gaps
        column = column.astype(object)
    numbers: np.ndarray = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return numbers


def simple(column: "pandas.Series", where: str) -> None:
    """Refuse cells that are no single value, such as lists; bytes, of which no text is known; complex numbers, whose
    imaginary part a float loses; and whole numbers beyond what a float holds.

    Raises:
      UserError: the first such cell and its row.
    """
    import pandas as pd

    if column.dtype.kind not in "Oc" or isinstance(column.dtype, pd.StringDtype):
        return
    if isinstance(column.dtype, pd.CategoricalDtype) and column.cat.categories.dtype.kind != "O":
        return
    for row, value in enumerate(column):
        if isinstance(value, complex | np.complexfloating | Collection) and not isinstance(value, str):
            raise UserError(
                f"{where}: column {column.name} holds {str(value)[:40]} in {line(row, where)}; a cell must be a "
                "real number, a text, a time, or true or false."
            )
        if isinstance(value, int) and abs(value) > LARGEST:
            raise UserError(
                f"{where}: column {column.name} holds a whole number of {value.bit_length()} bits in "
                f"{line(row, where)}; allowed: up to 1.797e308, or texts."
            )
