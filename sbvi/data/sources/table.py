"""The user's own table: columns of numbers on their own scales, or columns of every kind, with gaps."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from sbvi.core import UserError, spec
from sbvi.data.binarization import Binarization
from sbvi.data.checks import finite, inside, line
from sbvi.data.dataset import Dataset, Split
from sbvi.data.formats.own_files import Archive, read_own
from sbvi.data.formats.own_files import Table as File
from sbvi.data.own import OwnData, called, checked_labels, coded, few
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.tabular import kinds
from sbvi.data.tabular.cells import as_text, listed, plain
from sbvi.data.tabular.columns import Column
from sbvi.data.tabular.frame_numbers import numbers_of
from sbvi.data.tabular.merged_numbers import HELD, merged
from sbvi.data.tabular.missing_values import said_missing, tell, without
from sbvi.data.tabular.ranks import of_categories
from sbvi.data.tabular.removal import Removal
from sbvi.data.tabular.sentinels import warn_of_sentinels
from sbvi.data.tabular.split_column import parts, told_splits

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

#: How the user of a command says another kind.
CORRECT = "'dataset.columns={NAME: KIND}'; sbvi-train --help dataset=table lists the kinds"


@spec
class Table(OwnData):
    """Columns of a table (.csv, .tsv, .parquet, .npy), (N, D).

    Of a likelihood by column (`likelihood=mixed`): columns of every kind, found by looking and told in the log, with
    gaps. Of any other: complete columns of numbers, each held as (x - location) / scale; a table of 0 and 1 alone is
    binary. Location and scale are of the training rows alone.
    """

    types: Literal["auto", "found", "numbers"] = "auto"
    """What columns are taken for: kinds that are found, or numbers all of them; auto: as the likelihood needs."""
    columns: dict[str, str | tuple[float | str, ...]] | None = None
    """Column name -> its kind, where that is not to be found: continuous, positive, count, binary, categorical,
    ordinal, ignored; or a list of an ordinal column's ranks, the lowest first."""
    missing_values: tuple[float | str, ...] | None = None
    """Values that stand for a missing one in any column that a model sees, numbers or words, beside what files have for
    it."""
    missing: Removal = Removal()
    """Entries to remove on purpose, for experiments."""
    labels: str | None = None
    """Name of a column of labels, whole numbers or words, which a model does not see."""
    split: str | None = None
    """Name of a column that says of each row train, validation or test, and which a model does not see; a split that no
    row is of is split off from the training rows."""
    scale: Literal["deviation", "range", "none"] = "deviation"
    """Each column's location and scale: mean and standard deviation, least value and range, or 0 and 1."""
    binarization: Binarization = "auto"
    """Has no effect: a table of 0 and 1 is binary already, and other columns have no common range to draw from."""

    recorded: ClassVar[frozenset[str]] = frozenset()
    """Names in `columns` that are a run's own record, not the user's word; see `sbvi.data.recorded.by_record`."""

    @property
    def likelihood(self) -> str:
        return "mixed"

    def load(self) -> Dataset:
        usual = f"dataset.path={self.path}"
        content, where = read_own(self.path, usual), called(self.path, usual)
        if isinstance(content, File):
            where = content.where if where == usual else where
            content = replace(content, where=where)
        if self.types == "found":
            return mixed(self, as_frame(content, where), where)
        if self.columns or self.missing.fraction or self.missing_values:
            raise UserError(
                "dataset.columns, dataset.missing and dataset.missing_values are for tables by column; use "
                "dataset.types=found with model=dlgm likelihood=mixed."
            )
        return _numbers(self, content, where)


def as_frame(content: "Archive | np.ndarray | File", where: str) -> "pandas.DataFrame":
    """What a file holds as a frame.

    Raises:
      UserError: it is no table.
    """
    import pandas as pd

    if isinstance(content, Archive):
        raise UserError(f"{where} is not a table with named columns; use dataset=npz.")
    if isinstance(content, File):
        return content.frame
    if content.ndim != 2 or content.dtype.kind not in "buif":
        raise UserError(f"{where} has shape {content.shape} and dtype {content.dtype}; it must be numbers (N, D).")
    return pd.DataFrame(content)


@dataclass(frozen=True)
class Known:
    """A frame's columns by kind, and its numbers: those of the columns that a model sees, (N, D), NaN where missing.

    categories: names of those whose dtype says more than their cells, see `of_categories`.
    """

    columns: dict[str, kinds.ColumnKind]
    numbers: np.ndarray
    missing_values: tuple[str, ...] = ()
    categories: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        frame: "pandas.DataFrame",
        told: Mapping[Any, kinds.Told],
        where: str,
        missing_values: Sequence[str] = (),
        recorded: Collection[str] = (),
        correct: str = CORRECT,
    ) -> "Known":
        """See `kinds.described`.

        Args:
          missing_values: see `Table`.
          recorded: names of the columns that are told as a run has recorded them, not by the user.
          correct: how the user says another kind, for the log.

        Raises:
          UserError: nothing is left to model, or a column does not hold what it is said to.
        """
        if missing_values:
            tell(frame, missing_values, where)
            _check_ranks(told, missing_values)
            frame = frame.copy()
            for place in range(frame.shape[1]):
                frame.isetitem(place, without(frame.iloc[:, place], missing_values))
        columns = kinds.described(frame, told, where)
        gaps = {str(name): float(frame[name].isna().mean()) for name in frame.columns}
        columns |= {
            name: what._replace(why="as in the run")
            for name, what in columns.items()
            if name in recorded and what.why.startswith("as told")
        }
        kinds.tell(columns, gaps, where, "" if recorded else correct)
        seen = {name: what for name, what in columns.items() if what.kind != "ignored"}
        if not seen:
            raise UserError(f"{where} has no column that could be modelled.")
        if dropped := [f"{name} ({what.why})" for name, what in columns.items() if what.kind == "ignored"]:
            log.info("Left out: %s.", ", ".join(dropped))
        named = {str(name): name for name in frame.columns}
        found = [name for name, what in seen.items() if name not in set(map(str, told)) and what.of_numbers]
        warn_of_sentinels({name: numbers_of(frame[named[name]], where) for name in found}, where, by_column=True)
        blank = [Column(name, what.kind, values=what.values) for name, what in seen.items()]  # type: ignore[arg-type]
        numbers = np.stack([column.codes(frame[named[column.name]], where) for column in blank], 1)
        for d, column in enumerate(blank):
            column.check(numbers[:, d], where)
            kinds.of_common_size(column.name, column.kind, numbers[:, d], where)
        categories = frozenset(c.name for c in blank if c.coded and of_categories(frame[named[c.name]]))
        return cls(seen, numbers, tuple(missing_values), categories)

    def preprocessing(self, train: np.ndarray, scale: str) -> Preprocessing:
        """From the training rows (N, D) of the numbers."""
        fitted = (kinds.fitted(n, w, train[:, d], scale) for d, (n, w) in enumerate(self.columns.items()))
        columns = tuple(
            replace(column, missing_values=self.missing_values, category=column.name in self.categories)
            for column in fitted
        )
        return Preprocessing((len(columns),), columns=tuple(self.columns), table=columns)


def _check_ranks(told: Mapping[Any, kinds.Told], missing_values: Sequence[str]) -> None:
    """Refuse ranks that are said to be missing.

    Raises:
      UserError: the column and the rank.
    """
    for name, kind in told.items():
        if not isinstance(kind, str) and (odd := [rank for rank in kind if said_missing(rank, missing_values)]):
            raise UserError(
                f"dataset.columns.{name} has the rank {listed(plain(odd[0]))}, which dataset.missing_values says is "
                "missing; leave it out of one of them."
            )


def _texts(values: Sequence[float | str]) -> list[str]:
    return [value if isinstance(value, str) else as_text(float(value)) for value in values]


def mixed(settings: Table, frame: "pandas.DataFrame", where: str) -> Dataset:
    """The data set of a frame with columns of every kind.

    Raises:
      UserError: see `Known.of`; or labels that are not there.
    """
    label: np.ndarray | None = None
    classes = None
    if settings.labels is not None:
        if settings.labels not in frame.columns:
            raise UserError(f"{where} has no column {settings.labels}; it has: {few(list(frame.columns))}.")
        label = checked_labels(frame[settings.labels].to_numpy(), len(frame), inside(where, settings.labels))
        (label,), classes = coded([label], where)
        frame = frame.drop(columns=settings.labels)
    told = None
    if settings.split is not None:
        told = told_splits(frame, settings.split, settings.labels, where)
        frame = frame.drop(columns=settings.split)
    words = _texts(settings.missing_values or ())
    known = Known.of(frame, settings.columns or {}, where, words, settings.recorded)
    x = np.where(settings.missing.places(known.numbers), np.nan, known.numbers)
    train, validation, test = parts(settings, x, label, told)
    made = known.preprocessing(train.x, settings.scale)
    for name, empty in zip(known.columns, np.isnan(train.x).all(0), strict=True):
        if empty:
            log.warning("%s: column %s has no value among the training rows: nothing is learned of it.", where, name)
    train, validation, test = (Split(made.store(s.x, where), s.label) for s in (train, validation, test))
    return Dataset("table", train, validation, test, made, classes=classes)


def _numbers(settings: Table, content: "Archive | np.ndarray | File", where: str) -> Dataset:
    """The data set of complete columns of numbers."""
    label: np.ndarray | None = None
    classes = names = told = None
    if isinstance(content, File):
        columns = list(content.frame.columns)
        if settings.labels is not None:
            if settings.labels not in columns:
                raise UserError(f"{where} has no column {settings.labels}; it has: {few(columns)}.")
            columns.remove(settings.labels)
            words = content.frame[settings.labels].to_numpy()
            label = checked_labels(words, len(words), inside(where, settings.labels))
            (label,), classes = coded([label], where)
        if settings.split is not None:
            told = told_splits(content.frame, settings.split, settings.labels, where)
            columns.remove(settings.split)
        x, names = content.values(columns), content.names(columns)
    else:
        if isinstance(content, Archive) or settings.labels is not None or settings.split is not None:
            raise UserError(f"{where} is not a table with named columns; use dataset=npz.")
        x = content
    if x.ndim != 2 or x.dtype.kind not in "buif":
        raise UserError(f"{where} has shape {x.shape} and dtype {x.dtype}; it must be numbers (N, D).")
    if x.dtype.kind == "f":
        _complete(x, where, names)
    each = names or tuple(map(str, range(x.shape[1])))
    if x.dtype.kind in "iu" and max(abs(int(x.min(initial=0))), int(x.max(initial=0))) > HELD:
        for d, name in enumerate(each):
            merged(np.unique(x[:, d]), name, where)
    warn_of_sentinels({name: x[:, d].astype(np.float64) for d, name in enumerate(each)}, where, by_column=False)
    train, validation, test = parts(settings, x, label, told)
    known = _scaled(settings.scale, train.x, x, names)
    train, validation, test = (Split(known.store(s.x, where), s.label) for s in (train, validation, test))
    return Dataset("table", train, validation, test, known, classes=classes)


def _scaled(scale: str, train: np.ndarray, x: np.ndarray, names: tuple[str, ...] | None) -> Preprocessing:
    shape = (x.shape[1],)
    if ((x == 0) | (x == 1)).all():
        return Preprocessing.whole(shape, 1).but(columns=names)
    values = train.astype(np.float64)
    if scale == "none":
        location, width = np.zeros(shape), np.ones(shape)
    elif scale == "deviation":
        location, width = values.mean(0), values.std(0)
    else:
        location, width = values.min(0), np.ptp(values, 0)
    width = np.where(width > 1e-12 * np.maximum(np.abs(location), 1e-300), width, 1.0)  # of a constant column
    return Preprocessing(shape, columns=names, location=tuple(map(float, location)), scale=tuple(map(float, width)))


def _complete(x: np.ndarray, where: str, names: tuple[str, ...] | None) -> None:
    """Refuse gaps, by the name of the column.

    Raises:
      UserError: a value is missing or infinite.
    """
    gaps = np.isnan(x)
    if gaps.any():
        column = int(np.flatnonzero(gaps.any(0))[0])
        name = names[column] if names else column
        raise UserError(
            f"{where}: column {name} lacks {int(gaps[:, column].sum())} of {len(x)} values, the first in "
            f"{line(int(np.flatnonzero(gaps[:, column])[0]), where)}; every row must be complete, or use "
            f"dataset.types=found with model=dlgm likelihood=mixed."
        )
    finite(x, where, names)
