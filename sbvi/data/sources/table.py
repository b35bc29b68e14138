"""The user's own table of numbers, each column with its own scale."""

from typing import Literal

import numpy as np

from sbvi.core import UserError, spec
from sbvi.data.binarization import Binarization
from sbvi.data.checks import finite
from sbvi.data.dataset import Dataset, Split
from sbvi.data.formats.own_files import Archive, read_own
from sbvi.data.formats.own_files import Table as File
from sbvi.data.own import OwnData, checked_labels, coded, few, split
from sbvi.data.preprocessing import Preprocessing


@spec
class Table(OwnData):
    """Complete columns of numbers (.csv, .tsv, .parquet, .npy), (N, D).

    Every column is held as (x - location) / scale, by the training rows alone; densities are of these values. A table
    of 0 and 1 alone is binary.
    """

    labels: str | None = None
    """Name of a column of labels, whole numbers or words, which a model does not see."""
    scale: Literal["deviation", "range", "none"] = "deviation"
    """Each column's location and scale: mean and standard deviation, least value and range, or 0 and 1."""
    binarization: Binarization = "auto"
    """Has no effect: a table of 0 and 1 is binary already, and other columns have no common range to draw from."""

    @property
    def likelihood(self) -> str:
        return "gaussian"

    def load(self) -> Dataset:
        where = f"dataset.path={self.path}"
        found = read_own(self.path, where)
        label: np.ndarray | None = None
        classes = names = None
        if isinstance(found, File):
            columns = list(found.frame.columns)
            if self.labels is not None:
                if self.labels not in columns:
                    raise UserError(f"{where} has no column {self.labels}; it has: {few(columns)}.")
                columns.remove(self.labels)
                label = checked_labels(found.frame[self.labels].to_numpy(), len(found.frame), f"{where}: {self.labels}")
                (label,), classes = coded([label], where)
            x, names = found.values(columns), found.names(columns)
        else:
            if isinstance(found, Archive) or self.labels is not None:
                raise UserError(f"{where} is not a table with named columns; use dataset=npz.")
            x = found
        if x.ndim != 2 or x.dtype.kind not in "buif":
            raise UserError(f"{where} has shape {x.shape} and dtype {x.dtype}; it must be numbers (N, D).")
        if x.dtype.kind == "f":
            _complete(x, where, names)
        train, validation, test = split(self, x, label, {})
        known = self._preprocessing(train.x, x, names)
        train, validation, test = (Split(known.store(s.x, where), s.label) for s in (train, validation, test))
        return Dataset("table", train, validation, test, known, classes=classes)

    def _preprocessing(self, train: np.ndarray, x: np.ndarray, names: tuple[str, ...] | None) -> Preprocessing:
        shape = (x.shape[1],)
        if ((x == 0) | (x == 1)).all():
            return Preprocessing.whole(shape, 1).but(columns=names)
        values = train.astype(np.float64)
        if self.scale == "none":
            location, scale = np.zeros(shape), np.ones(shape)
        elif self.scale == "deviation":
            location, scale = values.mean(0), values.std(0)
        else:
            location, scale = values.min(0), np.ptp(values, 0)
        scale = np.where(scale > 1e-12 * np.maximum(np.abs(location), 1e-300), scale, 1.0)  # of a constant column
        return Preprocessing(shape, columns=names, location=tuple(map(float, location)), scale=tuple(map(float, scale)))


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
            f"{where}: column {name} lacks {int(gaps[:, column].sum())} of {len(x)} values, the first in row "
            f"{int(np.flatnonzero(gaps[:, column])[0])}; every row must be complete."
        )
    finite(x, where, names)
