"""The user's own arrays, from .npz, .npy or a table of numbers."""

import logging
import math
from collections.abc import Mapping

import numpy as np

from sbvi.core import UserError, spec
from sbvi.data.binarization import Binarization
from sbvi.data.checks import DARK, channels_last, finite, in_range, told_apart
from sbvi.data.dataset import Dataset, Split
from sbvi.data.formats.own_files import Archive, Table, read_own
from sbvi.data.own import OwnData, called, checked_labels, coded, few, split
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.unit_interval import far
from sbvi.data.unscaled import GREATEST

log = logging.getLogger(__name__)

AUTO = "auto"
#: Names that arrays usually have, by what they are.
USUAL = {"validation": ("x_validation", "x_valid", "x_val", "x_dev"), "test": ("x_test",)}
FILE = "x"  # the name of an array that has none


@spec
class Npz(OwnData):
    """Arrays (N, ...) of numbers by name; splits from the file or drawn by seed.

    Whole numbers of minimum .. maximum, 255 apart at most, are levels, whatever their dtype, and 0 and 1 alone are
    binary. Other values are real numbers of [minimum, maximum], moved to [0, 1] when `rescale` is on. Binarization
    takes a value's place in the range as its mean. A file with one array (.npy, .csv, .tsv, .parquet) is the training
    array and is split.
    """

    train: str = "x_train"
    """Name of the training array; also the source of seeded splits."""
    validation: str | None = AUTO
    """Name of the validation array; auto takes the first of x_validation, x_valid, x_val and x_dev that is there, and
    null or nothing found has `validation_size` training examples split off."""
    test: str | None = AUTO
    """Name of the test array; auto takes x_test where it is there, and else `test_size` examples are split off."""
    labels: str | None = AUTO
    """Name of the labels (N,) of the training array, or of a table's column; auto takes y_train, with y_test and so on
    for the splits taken by their usual names."""
    minimum: float = 0.0
    """Least value allowed."""
    maximum: float | None = None
    """Greatest value allowed; by default 255 for whole numbers and 1 for others. Whole numbers are levels, for noise
    and for likelihoods of levels, where it is no more than 255 above the minimum; else they are real numbers."""
    rescale: bool = False
    """Move real values from [minimum, maximum] to [0, 1]. Densities are of what was moved: -log p of the values
    themselves is greater by D log(maximum - minimum), of D values."""
    binarization: Binarization = "auto"
    """How values become binary ones."""

    def load(self) -> Dataset:
        arrays, columns = self._read()
        names = {"train": self.train} | self._splits(arrays)
        for role, name in names.items():
            x = arrays[name]
            if x.ndim < 2 or x.size == 0:
                raise UserError(
                    f"{self.path}: {name} has shape {x.shape}; it must be (N, ...) with at least one value an example."
                )
            if role != "train" and x.shape[1:] != arrays[self.train].shape[1:]:
                raise UserError(
                    f"{self.path}: {name} has events {x.shape[1:]}, {self.train} has {arrays[self.train].shape[1:]}."
                )
        channels_last(arrays[self.train].shape[1:], f"{self.path}: {self.train}")
        labels, classes = self._labels(arrays, names)
        known = self._preprocessing({name: arrays[name] for name in names.values()}, columns)
        held = {role: known.store(arrays[name], f"{self.path}: {name}") for role, name in names.items()}
        given = {role: Split(x, labels.get(role)) for role, x in held.items() if role != "train"}
        train, validation, test = split(self, held["train"], labels.get("train"), given)
        return Dataset("npz", train, validation, test, known, classes=classes)

    def _read(self) -> tuple[Mapping[str, np.ndarray], tuple[str, ...] | None]:
        """Arrays by name, and the names of a table's columns."""
        content = read_own(self.path, f"dataset.path={self.path}")
        if isinstance(content, Archive):
            if self.train not in content:
                held = ", ".join(content) or "nothing"
                raise UserError(f"{self.path} has no array {self.train}; it holds: {held}.")
            return content, None
        if not isinstance(content, Table):
            return {self.train: content}, None
        columns = list(content.frame.columns)
        label = {}
        if self.labels not in (None, AUTO):
            if self.labels not in columns:
                raise UserError(f"{self.path} has no column {self.labels}; it has: {few(columns)}.")
            columns.remove(self.labels)
            label = {self.labels: content.frame[self.labels].to_numpy()}
        return {self.train: content.values(columns)} | label, content.names(columns)

    def _splits(self, arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
        """Role -> name of the arrays given for validation and test."""
        names = {}
        for role, usual in USUAL.items():
            wanted = getattr(self, role)
            if wanted == AUTO:
                there = [name for name in usual if name in arrays and self.train == "x_train"]
                wanted = next(iter(there), None)
                if wanted is not None:
                    log.info("%s: %s is the %s split, as its name says.", self.path, wanted, role)
                if len(there) > 1:
                    others = ", ".join(there[1:])
                    log.warning(
                        "%s: %s is taken as the %s split, and %s, which may be one by name too, is not read; "
                        "dataset.%s=NAME says which is meant.",
                        *(self.path, wanted, role, others, role),
                    )
            elif wanted is not None and wanted not in arrays:
                raise UserError(f"{self.path} has no array {wanted}; it holds: {', '.join(arrays)}.")
            if wanted is not None:
                names[role] = wanted
        return names

    def _labels(
        self, arrays: Mapping[str, np.ndarray], names: dict[str, str]
    ) -> tuple[dict[str, np.ndarray], tuple[str, ...] | None]:
        """Role -> labels, and the classes' names where they have any."""
        if self.labels is None:
            return {}, None
        named = {role: f"y_{name.removeprefix('x_')}" for role, name in names.items() if name.startswith("x_")}
        if self.labels != AUTO:
            if self.labels not in arrays:
                raise UserError(f"{self.path} has no array {self.labels}; it holds: {', '.join(arrays)}.")
            named = named | {"train": self.labels}
        label_names = {role: name for role, name in named.items() if name in arrays}
        if not label_names:
            return {}, None
        lacking = [
            f"{names[role]} has none ({name} is not there)" for role, name in named.items() if name not in arrays
        ]
        log.info(
            "%s: labels from %s%s.", self.path, ", ".join(label_names.values()), "".join(f"; {s}" for s in lacking)
        )
        parts = [
            checked_labels(arrays[name], len(arrays[names[role]]), f"{self.path}: {name}")
            for role, name in label_names.items()
        ]
        values, classes = coded(parts, self.path)
        return dict(zip(label_names, values, strict=True)), classes

    def _preprocessing(self, arrays: Mapping[str, np.ndarray], columns: tuple[str, ...] | None) -> Preprocessing:
        """Whether the values are levels, binary or real, and their range."""
        for name, x in arrays.items():
            where = f"{self.path}: {name}"
            if x.dtype.kind not in "buif":
                raise UserError(f"{where} has dtype {x.dtype}; it must be numbers.")
            if x.dtype.kind == "f":
                finite(x, where, columns)
        event_shape = next(iter(arrays.values())).shape[1:]
        whole = all(x.dtype.kind != "f" or (np.rint(x) == x).all() for x in arrays.values())
        low, high = (min(x.min() for x in arrays.values()), max(x.max() for x in arrays.values()))
        if whole and low >= 0 and high <= 1 and self.minimum == 0:
            return Preprocessing.whole(event_shape, 1).but(columns=columns)
        maximum = (255.0 if whole else 1.0) if self.maximum is None else self.maximum
        if not self.minimum < maximum:
            raise UserError(f"dataset.minimum={self.minimum} must be less than dataset.maximum={maximum}.")
        allowed = f"dataset.minimum={self.minimum:.10g} to dataset.maximum={maximum:.10g}"
        if not whole:
            ends = f"dataset.minimum={math.floor(low)} dataset.maximum={math.ceil(high)}"
            allowed += f"; for real values such as these give {ends}, and train with likelihood=gaussian"
        for name, x in arrays.items():
            in_range(x, self.minimum, maximum, allowed, f"{self.path}: {name}", columns)
        steps = maximum - self.minimum
        if whole and float(self.minimum).is_integer() and float(steps).is_integer() and steps <= GREATEST:
            if self.maximum is None and high <= DARK:
                log.warning(
                    "%s holds whole numbers that never exceed %d, and dataset.maximum is 255 by default: if %d is the "
                    "greatest there can be, set dataset.maximum=%d, or its values count as nearly black.",
                    called(self.path), high, high, high,
                )  # fmt: skip
            return Preprocessing.whole(event_shape, int(steps), self.minimum).but(columns=columns)
        if self.rescale:
            told_apart(arrays.values(), self.minimum, self.path, columns)
        if not (self.rescale and far(self.minimum, maximum)):  # which is moved before it is rounded
            told_apart(arrays.values(), 0.0, self.path, columns)
        return Preprocessing.real(event_shape, self.minimum, maximum).but(rescale=self.rescale, columns=columns)
