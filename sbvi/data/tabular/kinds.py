"""What kind of values each column of a table holds: found by looking, told in one table, or as the user says."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sbvi.core import UserError
from sbvi.data.checks import line
from sbvi.data.tabular.cells import listed, plain
from sbvi.data.tabular.columns import CODED, MOST, NUMERIC, Column, Kind
from sbvi.data.tabular.frame_names import labels
from sbvi.data.tabular.frame_numbers import simple
from sbvi.data.tabular.leading_zeros import warn_of_zeros
from sbvi.data.tabular.merged_numbers import HELD, WHY, merged
from sbvi.data.tabular.nearly_numbers import among_numbers
from sbvi.data.tabular.ranks import MOST_CODES, Rank, declared_ranks, names_by_dtype, ranks_told

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

#: What a user may say of a column: a word, or its ranks.
Told = str | tuple[Rank, ...] | list[Rank]
#: Words for a column in a config, beside a list of its ranks.
WORDS = ("continuous", "positive", "count", "binary", "categorical", "ordinal", "ignored")
#: How the reason begins of a kind that the user gave, or that a run has recorded.
GIVEN = ("as told", "as in the run")
#: Whole numbers of at most so many values are ranks, texts of at most so many are categories.
RANKS, CATEGORIES = 10, 100
#: A column is skewed where the standardised third moment passes this and the logarithm's is less than half of it.
SKEWED = 2.0
#: The greatest size of a number, and one through the least spread of a column's and the least positive number, whose
#: means and draws float32 holds.
GREATEST = 1e30


#: How a day is written, with or without the time of day: as frames write theirs into text files, with points or strokes
#: and the year last or first.
_DAY = r"(\d{4}-\d\d-\d\d|\d{1,2}(?P<mark>[./-])\d{1,2}(?P=mark)\d{4}|\d{4}/\d{1,2}/\d{1,2})"
_DATE = re.compile(rf"\s*{_DAY}([T ]\d{{1,2}}:\d\d(:\d\d(\.\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?)?\s*")


class ColumnKind(NamedTuple):
    """A column's kind, the values that its codes stand for, and why."""

    kind: str
    values: tuple[Rank, ...]
    why: str

    @property
    def of_numbers(self) -> bool:
        """Whether its values are numbers of which more than two are known."""
        return self.kind in NUMERIC or (self.kind == "ordinal" and all(isinstance(v, float) for v in self.values))


def column_kind(column: "pandas.Series", told: Told | None, where: str) -> ColumnKind:
    """What a column of a frame holds; `told` is the user's word for it.

    Raises:
      UserError: it does not hold what the user says.
    """
    import pandas as pd

    known = column.dropna()
    name = str(column.name)
    if told == "ignored":
        return ColumnKind("ignored", (), "as told")
    if not len(known):
        return ColumnKind("ignored", (), "empty")
    simple(column, where)
    values = _different(known)
    numeric = not any(isinstance(v, str) for v in values)
    if infinite := [v for v in values if isinstance(v, float) and np.isinf(v)]:
        row = next(row for row, v in enumerate(column) if plain(v) in infinite)
        raise UserError(
            f"{where}: column {name} holds {column.iloc[row]} in {line(row, where)}; numbers must be finite, "
            "and NaN, in a file an empty cell, says that one is missing."
        )
    beyond = numeric and bool(values) and max(abs(values[0]), abs(values[-1])) > HELD
    same = beyond and merged(known.unique(), name, where)
    if isinstance(told, tuple | list):
        return ColumnKind("ordinal", ranks_told(told, values, name, where), "as told")
    ranks = declared_ranks(column)
    if told == "ordinal" and ranks is not None:
        return ColumnKind("ordinal", ranks, "as told, in the order of its categories")
    if told is not None:
        return ColumnKind(told, _checked(told, values, numeric, name, where), "as told")
    if len(values) == 1 or (same and len(values) <= RANKS):  # as two values it would be a binary column
        return ColumnKind("ignored", (), WHY if same else "constant")
    timed = pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_timedelta64_dtype(column.dtype)
    if timed or are_times(values):  # the same column in a text file
        return ColumnKind("ignored", (), "times")
    kind, why = "categorical", "text"
    if ranks is not None:
        return ColumnKind("ordinal", ranks, "ordered categories")
    if named := names_by_dtype(column):
        why = "categories"
    numeric = numeric and not named and len({isinstance(v, bool) for v in values}) == 1  # else names, as in its file
    if len(values) == 2:
        kind, why = "binary", "two values"
    elif not numeric and (len(values) > CATEGORIES or len(values) > 0.5 * len(known)):
        kind, why = "ignored", f"{'categories' if named else 'text'} with {len(values)} different values"
    if not numeric and not named:
        why += among_numbers(column, values, kind, where)
    if not numeric or kind == "binary":
        return ColumnKind(kind, () if kind == "ignored" else tuple(values), why)
    found = _number(np.asarray([float(v) for v in known], np.float64), np.asarray(values, np.float64))
    warn_of_zeros(column, found.kind, MOST_CODES, where)
    return found


def are_times(values: Sequence[Any]) -> bool:
    """Whether all values are texts of days, with or without the time of day."""
    return all(isinstance(v, str) and _DATE.fullmatch(v) for v in values)


def _different(known: "pandas.Series") -> list[Any]:
    """Its different cells, numbers before texts; True and 1, which Python takes for the same, are two."""
    import pandas as pd

    cells = known if pd.api.types.infer_dtype(known).startswith("mixed") else known.unique()
    plainly = {(isinstance(value, str), value, isinstance(value, bool)) for value in map(plain, cells)}
    return [value for _, value, _ in sorted(plainly)]


def _number(x: np.ndarray, values: np.ndarray) -> ColumnKind:
    whole = bool((np.rint(values) == values).all())
    if whole and len(values) == len(x) and len(x) > 2 * RANKS and np.ptp(values) == len(x) - 1:
        return ColumnKind("ignored", (), "row numbers")
    if whole and len(values) <= RANKS:
        return ColumnKind("ordinal", tuple(map(float, values)), f"{len(values)} whole numbers")
    if whole and values[0] >= 0 and values[-1] <= MOST and x.var() >= 0.5 * x.mean():
        return ColumnKind("count", (), "whole numbers from 0")
    if values[0] > 0 and (skew := _skewness(x)) > SKEWED and abs(_skewness(np.log(x))) < skew / 2:
        return ColumnKind("positive", (), f"positive with skewness {skew:.1f}, seen as logarithms")
    return ColumnKind("continuous", (), "numbers")


def of_common_size(name: str, kind: str, x: np.ndarray, where: str) -> None:
    """Refuse source numbers (N,), NaN where missing, of a continuous or positive column that float32 cannot hold: what
    is filled in would be infinite, or the same in every row.

    Raises:
      UserError: the greatest number, or the spread or the least one, and what is allowed.
    """
    seen = x[~np.isnan(x)]
    if kind not in ("continuous", "positive") or not len(seen):
        return
    end = seen[np.abs(seen).argmax()]
    small = np.ptp(seen) if kind == "continuous" and abs(end) <= GREATEST else seen.min()
    if abs(end) > GREATEST:
        what, allowed = f"holds {end:g}", f"at most {GREATEST:g}"
    elif 0 < small < 1 / GREATEST:
        what = f"holds {small:g}" if kind == "positive" else f"differs by {small:g} at most"
        allowed = f"at least {1 / GREATEST:g}"
    else:
        return
    raise UserError(f"{where}: column {name} {what}, and it must be {allowed}; give it in another unit.")


def _skewness(x: np.ndarray) -> float:
    x = np.ldexp(x, -np.frexp(np.abs(x).max())[1])  # else the squares of 1e160 are infinite
    spread = x.std()
    return float(np.mean(((x - x.mean()) / spread) ** 3)) if spread > 0 else 0.0


def _checked(told: str, values: list[Any], numeric: bool, name: str, where: str) -> tuple[Rank, ...]:
    if told not in WORDS:
        raise UserError(f"dataset.columns.{name}={told} is not known; allowed: {', '.join(WORDS)}, or a list of ranks.")
    if told in CODED:
        if told == "binary" and len(values) != 2:
            raise UserError(f"{where}: column {name} has {len(values)} values; a binary one has two.")
        if len(values) < 2:
            raise UserError(f"{where}: column {name} has one value alone; leave it out.")
        if told == "ordinal" and not numeric:
            raise UserError(f"{where}: column {name} holds text; list its ranks: dataset.columns={{{name}: [..]}}.")
        if len(values) > MOST_CODES:
            raise UserError(f"{where}: column {name} has {len(values)} values; a {told} one has at most {MOST_CODES}.")
        return tuple(values)
    if not numeric:
        raise UserError(f"{where}: column {name} holds text, and dataset.columns.{name}={told} is of numbers.")
    if told == "count" and values[-1] > MOST:
        raise UserError(
            f"{where}: column {name} holds {values[-1]:g}, and dataset.columns.{name}=count reaches to {MOST:,}; use "
            "positive or continuous."
        )
    return ()


def described(frame: "pandas.DataFrame", told: Mapping[Any, Told], where: str) -> dict[str, ColumnKind]:
    """Column name -> what it holds, for all columns of a frame; told: by their names, or by what the frame calls them.

    Raises:
      UserError: the user names a column that is not there, or see `column_kind`.
    """
    told = {str(name): kind for name, kind in told.items()}
    names = list(labels(frame, where))
    if unknown := [name for name in told if name not in names]:
        raise UserError(f"{where} has no column {unknown[0]}; it has: {', '.join(names[:12])}.")
    return {str(name): column_kind(frame[name], told.get(str(name)), where) for name in frame.columns}


def fitted(name: str, what: ColumnKind, train: np.ndarray, scale: str) -> Column:
    """The column with location, scale and range of its observed training rows (source numbers; NaN is missing)."""
    kind: Kind = what.kind  # type: ignore[assignment]
    seen = train[~np.isnan(train)]
    if what.values or not len(seen):
        return Column(name, kind, maximum=float(max(len(what.values) - 1, 1)), values=what.values)
    x = {"positive": np.log, "count": np.log1p}.get(kind, np.asarray)(seen)
    if scale == "none" and kind != "count":
        location, width = 0.0, 1.0
    elif scale == "range" and kind != "count":
        location, width = float(x.min()), float(np.ptp(x))
    else:
        location, width = float(x.mean()), float(x.std())
    if x.min() == x.max():
        width = 1.0
    return Column(name, kind, location, width, float(seen.min()), float(seen.max()))


def tell(columns: Mapping[str, ColumnKind], missing: Mapping[str, float], where: str, correct: str) -> None:
    """Log the table of kinds, and where some were found how another is given; empty where none can be."""
    log.info("Columns of %s:\n%s", where, table(columns, missing))
    if correct and any(not what.why.startswith(GIVEN) for what in columns.values()):
        log.info("Where a kind is wrong, give it: %s.", correct)


def table(columns: Mapping[str, ColumnKind], missing: Mapping[str, float]) -> str:
    """Kinds, values and shares of missing entries, for the log."""
    lines = [f"{'column':<24} {'kind':<12} {'missing':>8}  why"]
    for name, what in columns.items():
        shown = ", ".join(map(listed, what.values[:6]))
        more = ", ..." if len(what.values) > 6 else ""
        why = f"{what.why}: {shown}{more}" if shown else what.why
        lines.append(f"{name[:24]:<24} {what.kind:<12} {missing[name]:>7.1%}  {why}")
    return "\n".join(lines)
