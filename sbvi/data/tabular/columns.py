"""What a table's columns are, recorded: how each is turned into the number that a model sees, and back.

frame --encoded--> source numbers (N, D): values, and codes 0, 1, .. of categories; NaN where one is missing
source numbers --store--> held: standardised (logarithms of positive columns), counts and codes as they are
held --back--> source numbers --decoded--> a frame with the column's own names and dtypes
"""

import logging
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sbvi.core import UserError
from sbvi.data.checks import line
from sbvi.data.tabular.cells import as_elsewhere, dtype_of, fitting, listed, of_one_arithmetic, plain, shortest, spelled
from sbvi.data.tabular.frame_names import by_name
from sbvi.data.tabular.frame_numbers import cell, numbers_of, simple
from sbvi.data.tabular.missing_values import numbers_among, without

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

Kind = Literal["continuous", "positive", "count", "binary", "categorical", "ordinal"]
#: Kinds whose values are codes of names.
CODED = ("binary", "categorical", "ordinal")
#: Kinds whose values are numbers.
NUMERIC = ("continuous", "positive", "count")
#: The greatest count whose rate a likelihood of counts can say with ease: it says no logarithm beyond 15.
MOST = 1_000_000


@dataclass(frozen=True)
class Column:
    """One column that a model sees.

    location, scale: continuous columns are held as (x - location) / scale and positive ones as (log x - location) /
      scale; of counts they are those of log(1 + x), for a network that reads them.
    minimum, maximum: of the training rows, in the source's units.
    values: what the codes 0, 1, .. stand for, texts or numbers.
    missing_values: cells that hold one of these are missing.
    category: whether the frame's dtype was what said that these are names, or their order; what is drawn has one too.
    """

    name: str
    kind: Kind
    location: float = 0.0
    scale: float = 1.0
    minimum: float = 0.0
    maximum: float = 1.0
    values: tuple[str | float | bool, ...] = ()
    missing_values: tuple[str, ...] = ()
    category: bool = field(default=False, compare=False)  # runs of before have not recorded it: the data is the same

    @property
    def coded(self) -> bool:
        return self.kind in CODED

    @property
    def standardised(self) -> bool:
        return self.kind in ("continuous", "positive")

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers all of them: counts, and codes of such."""
        return self.kind == "count" or (
            self.coded and all(isinstance(v, float) and v == np.rint(v) and abs(v) < 2**53 for v in self.values)
        )

    def _otherwise(self, value: Any) -> str:
        """What takes a number that is none of an ordinal column's ranks."""
        count = self.kind == "ordinal" and self.whole and isinstance(value, numbers.Real) and float(value).is_integer()
        if not count or value < 0 or min(map(float, self.values)) < 0:
            return ""
        return f"; a run trained with 'dataset.columns={{{self.name}: count}}' takes every whole number from 0"

    def codes(self, column: "pandas.Series", where: str) -> np.ndarray:
        """The column of a frame as numbers (N,) float64, NaN where a value is missing.

        Raises:
          UserError: text where numbers are, or a category that the training rows do not have; see also `simple`.
        """
        column = without(column, self.missing_values)
        if self.coded:
            simple(column, where)
            missing = column.isna().to_numpy(bool)
            apart = len(set(self.values)) < len(self.values)  # True is no 1, unless the one stands for the other

            def key(value: str | float | bool) -> Any:
                return (value, isinstance(value, bool)) if apart else value

            own = {key(value): float(code) for code, value in enumerate(self.values)}
            other = {spelled(value): float(code) for code, value in enumerate(self.values)}
            other = other if len(other) == len(own) else {}  # else 1 may be 01, or 1.0

            def code(held: Any) -> float:
                value = plain(held)
                short = shortest(value, dtype_of(held, column.dtype))
                return own.get(key(value), own.get(key(short), other.get(spelled(value), -1.0)))

            looked_up = [np.nan if gap else code(v) for v, gap in zip(column, missing, strict=True)]
            codes = np.array(looked_up, np.float64)
            if (codes < 0).any():
                row = int(np.flatnonzero(codes < 0)[0])
                allowed = ", ".join(map(listed, self.values[:12])) + (", ..." if len(self.values) > 12 else "")
                place = f"{where}: column {self.name} holds {cell(column, row)} in {line(row, where)}"
                raise UserError(f"{place}; known: {allowed}{self._otherwise(column.iloc[row])}.")
            return codes
        return numbers_of(column, where)

    def check(self, x: np.ndarray, where: str) -> None:
        """Refuse source numbers (N,) that the column cannot hold; NaN is a missing value.

        Raises:
          UserError: the value, its row and what is allowed.
        """
        whole = np.rint(x) == x
        wrong, allowed = np.isinf(x), "finite numbers"
        if self.kind == "positive":
            wrong, allowed = wrong | (x <= 0), "numbers above 0"
        elif self.kind == "count":
            wrong, allowed = wrong | (x < 0) | ~whole & ~np.isnan(x), "whole numbers from 0"
        elif self.coded:
            last = len(self.values) - 1
            wrong, allowed = wrong | (x < 0) | (x > last) | ~whole & ~np.isnan(x), f"codes 0..{last}"
        if not self.coded and (gone := np.isin(x, numbers_among(self.missing_values))).any():
            raise UserError(
                f"{where}: column {self.name} holds {x[gone][0]:.15g} in {line(int(np.flatnonzero(gone)[0]), where)}, "
                "which dataset.missing_values says is missing; give NaN."
            )
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise UserError(
                f"{where}: column {self.name} holds {x[row]:.15g} in {line(row, where)}; as {self.kind} it must "
                f"hold {allowed}."
            )
        if self.kind == "count" and (far := x > MOST).any():
            row = int(np.flatnonzero(far)[0])
            log.warning(
                "%s: column %s holds %.15g in %s; the law of a count reaches to %s, and what it says of greater ones "
                "is not to be trusted; a run with another kind of column, such as positive, takes them.",
                where, self.name, x[row], line(row, where), f"{MOST:,}",
            )  # fmt: skip

    def store(self, x: np.ndarray) -> np.ndarray:
        """Source numbers as held."""
        if self.kind == "positive":
            x = np.log(x)
        return (x - self.location) / self.scale if self.standardised else x

    def back(self, held: np.ndarray) -> np.ndarray:
        """Held values in the source's units."""
        x = held * self.scale + self.location if self.standardised else held
        return np.exp(x) if self.kind == "positive" else x

    def decoded(self, numbers: np.ndarray) -> "pandas.Series":
        """Source numbers (N,) as a column of a frame, NaN as missing."""
        import pandas as pd

        if self.coded:
            codes = np.clip(np.rint(numbers), 0, len(self.values) - 1)
            names = [None if np.isnan(code) else self.values[int(code)] for code in codes]
            numeric = all(isinstance(v, float) for v in self.values)
            return pd.Series(names, dtype=np.float64 if numeric else None)
        return pd.Series(np.rint(numbers) if self.kind == "count" else self._shown(numbers), dtype=np.float64)

    def _shown(self, numbers: np.ndarray) -> list[float]:
        """With the digits of float32 that are true, and no more in a table for people: six, and where a column's values
        are far from 0 for their deviation, four of the deviation."""
        if self.kind == "positive":
            return [float(f"{value:.6g}") for value in numbers]
        least = 10 ** np.floor(np.log10(self.scale)) if self.scale > 0 else 1.0
        shown = []
        for value in map(float, numbers):
            above = np.log10(abs(value) / least) if value and np.isfinite(value) else 0.0
            shown.append(float(f"{value:.{int(np.clip(4 + np.floor(above), 6, 15))}g}"))
        return shown


def store(columns: Sequence[Column], x: np.ndarray, where: str) -> np.ndarray:
    """Source numbers (N, D) as held; NaN stays.

    Raises:
      UserError: a value that its column cannot hold.
    """
    for d, column in enumerate(columns):
        column.check(x[:, d], where)
    return np.stack([column.store(x[:, d]) for d, column in enumerate(columns)], 1)


def back(columns: Sequence[Column], held: np.ndarray) -> np.ndarray:
    """Held values (..., D) in the source's units."""
    return np.stack([column.back(held[..., d]) for d, column in enumerate(columns)], -1)


def centres(columns: Sequence[Column]) -> np.ndarray:
    """What means of source values are told without, (D,) float64: the location of continuous columns, else 0."""
    return np.array([c.location if c.kind == "continuous" else 0.0 for c in columns])


def encoded(columns: Sequence[Column], frame: "pandas.DataFrame", where: str) -> np.ndarray:
    """A frame's columns, by name, as source numbers (N, D).

    Raises:
      UserError: a column is not there, or see `Column.codes`.
    """
    own = by_name([c.name for c in columns], frame, where)
    return np.stack([c.codes(frame[name], where) for c, name in zip(columns, own, strict=True)], 1)


def framed(columns: Sequence[Column], numbers: np.ndarray) -> "pandas.DataFrame":
    """Source numbers (N, D) as a frame of these columns: categories by their names, and whole numbers as int64 where
    none is missing; of dtype category where the trained frame's was what said the kind."""
    import pandas as pd

    made = {c.name: c.decoded(numbers[:, d]) for d, c in enumerate(columns)}
    for c in columns:
        if c.category:
            each = np.array(c.values, np.int64) if c.whole else list(c.values)
            made[c.name] = made[c.name].astype(pd.CategoricalDtype(each, ordered=c.kind == "ordinal"))
        elif c.whole and made[c.name].notna().all():
            made[c.name] = made[c.name].astype(np.int64)
    return pd.DataFrame(made)


def decoded(
    columns: Sequence[Column], numbers: np.ndarray, frame: "pandas.DataFrame", missing: np.ndarray | None = None
) -> "pandas.DataFrame":
    """A copy of a frame with source numbers (N, D) in these columns; with `missing` (N, D) there alone.

    Columns, their order, the index and dtypes stay; a column of whole numbers gets whole numbers.
    """
    import pandas as pd

    made = frame.copy()
    named = {str(name): name for name in frame.columns}
    for d, column in enumerate(columns):
        name = named[column.name]
        old = made[name]
        if missing is not None and not missing[:, d].any():
            continue
        new = column.decoded(numbers[:, d])
        new = fitting(as_elsewhere(new, old) if column.coded else new, old.dtype)
        new.index = old.index
        if missing is not None:
            gaps = pd.Series(missing[:, d], index=old.index)
            if new.dtype != old.dtype:
                old = old.astype(new.dtype)
            new = old.where(~gaps, new)
        made[name] = of_one_arithmetic(new)
    return made


def to_config(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Plain data for run.json; see `from_config`."""
    records = [{f.name: getattr(c, f.name) for f in fields(Column)} for c in columns]
    return [one | {name: list(one[name]) for name in ("values", "missing_values")} for one in records]


def from_config(config: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """What `to_config` wrote."""
    return tuple(
        Column(**{**one, "values": tuple(one["values"]), "missing_values": tuple(one.get("missing_values", ()))})
        for one in config
    )
