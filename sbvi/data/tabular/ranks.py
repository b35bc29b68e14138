"""The order of a column's categories: ranks that a user lists, and what a frame's own dtype declares."""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sbvi.core import UserError
from sbvi.data.tabular.cells import as_text, listed, plain, spelled

if TYPE_CHECKING:
    import pandas

#: A rank as a user writes it.
Rank = str | float | bool
#: Codes of a column at most.
MOST_CODES = 1000


def declared_ranks(column: "pandas.Series") -> tuple[Rank, ...] | None:
    """The ranks of a column whose dtype has an order of its own, unless they are two, too many, words beside numbers,
    of which no file keeps both, or whole numbers so great that a float has one for two of them."""
    import pandas as pd

    dtype = column.dtype
    if not (isinstance(dtype, pd.CategoricalDtype) and dtype.ordered and 2 < len(dtype.categories) <= MOST_CODES):
        return None
    ranks = tuple(plain(category) for category in dtype.categories)
    alike = len({isinstance(rank, str) for rank in ranks}) == 1 and len(set(ranks)) == len(ranks)
    return ranks if alike else None


def names_by_dtype(column: "pandas.Series") -> bool:
    """Whether a column's dtype says that its numbers are names: categories without an order."""
    import pandas as pd

    dtype = column.dtype
    return isinstance(dtype, pd.CategoricalDtype) and not dtype.ordered and _numbers(dtype)


def of_categories(column: "pandas.Series") -> bool:
    """Whether the dtype of a column says more of it than its cells do: the order of ranks, or that numbers are
    names."""
    import pandas as pd

    ordered = declared_ranks(column) is not None
    return ordered or (isinstance(column.dtype, pd.CategoricalDtype) and _numbers(column.dtype))


def _numbers(dtype: Any) -> bool:
    """Whether all categories of a dtype are numbers, none of them a truth value."""
    return bool(len(dtype.categories)) and all(isinstance(plain(value), float) for value in dtype.categories)


def ranks_told(told: Sequence[Rank], values: Sequence[Any], name: str, where: str) -> tuple[Rank, ...]:
    """A user's ranks of a column with these values, the lowest first: numbers where all of both are.

    Raises:
      UserError: two of them are the same, or a value is none of them.
    """
    ranks = tuple(_written(rank) for rank in told)
    known: dict[str, str] = {}
    for rank in ranks:
        if (other := known.get(spelled(rank))) is not None:
            how = f"{listed(rank)} twice" if rank == other else f"{listed(other)} and {listed(rank)}, which are one"
            raise UserError(f"dataset.columns.{name} has {how}; each rank is given once.")
        known[spelled(rank)] = rank
    if unknown := [v for v in values if str(v) not in ranks and spelled(v) not in known]:
        allowed = ", ".join(map(listed, ranks))
        raise UserError(f"{where}: column {name} holds {unknown[0]!r}, which is not among its ranks {allowed}.")
    if all(isinstance(v, float) for v in values):
        with contextlib.suppress(ValueError):
            return tuple(map(float, ranks))
    return ranks  # texts, among which a number is found by its spelling


def _written(rank: Any) -> str:
    """A rank as a text, a whole number without a point."""
    if isinstance(rank, float | np.floating):
        return as_text(float(rank))
    return str(rank)
