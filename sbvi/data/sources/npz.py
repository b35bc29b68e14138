"""The user's own arrays, from a NumPy .npz file."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from sbvi.core import NonNegativeInt, PositiveInt, UserError, spec
from sbvi.core.memory import require
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset, Split
from sbvi.data.splits import seeded
from sbvi.data.streaming import Streamed


@spec
class Npz(Streamed):
    """Arrays (N, ...) of uint8 or floats by name; splits from the file or drawn by seed.

    uint8 values are whole numbers 0..maximum. Float values in [minimum, maximum] are moved to [0, 1]
    when `rescale` is on, as binarization needs.
    """

    path: str
    """The .npz file."""
    train: str = "x_train"
    """Name of the training array; also the source of seeded splits."""
    validation: str | None = None
    """Name of the validation array; without one, `validation_size` training examples are split off."""
    test: str | None = None
    """Name of the test array; without one, `test_size` training examples are split off."""
    labels: str | None = None
    """Name of the whole-number labels (N,) of the training array."""
    minimum: float = 0.0
    """Least value allowed in float arrays; with `rescale` it becomes 0."""
    maximum: float | None = None
    """Greatest value allowed; by default 255 for uint8 and 1 for floats."""
    rescale: bool = False
    """Move float values from [minimum, maximum] to [0, 1]."""
    binarization: Binarization = "auto"
    """How values become binary ones."""
    validation_size: PositiveInt | None = None
    """Examples to split off for validation; by default a tenth."""
    test_size: PositiveInt | None = None
    """Examples to split off for the test; by default a tenth."""
    split_seed: NonNegativeInt = 0
    """Seed of the split and of fixed binarization draws."""

    def load(self) -> Dataset:
        arrays = read(self.path, [n for n in (self.train, self.validation, self.test, self.labels) if n])
        x, levels = self._values(arrays[self.train], self.train)
        label = self._labels(arrays[self.labels], len(x)) if self.labels else None
        given = {n: self._values(arrays[n], n)[0] for n in (self.validation, self.test) if n}
        for name, array in given.items():
            if array.shape[1:] != x.shape[1:]:
                raise UserError(f"{self.path}: {name} has events {array.shape[1:]}, {self.train} has {x.shape[1:]}.")
            if array.dtype != x.dtype:
                raise UserError(f"{self.path}: {name} and {self.train} must be both uint8 or both floats.")
        tenth = max(1, len(x) // 10)
        train, validation, test = seeded(
            x,
            label,
            0 if self.validation else self.validation_size or tenth,
            0 if self.test else self.test_size or tenth,
            self.split_seed,
        )
        if self.validation:
            validation = Split(given[self.validation])
        if self.test:
            test = Split(given[self.test])
        # An official split keeps the file's order; only what is drawn is shuffled.
        if self.validation and self.test:
            train = Split(x, label)
        binary = all(((s.x == 0) | (s.x == 1)).all() for s in (train, validation, test))
        if binary:
            train, validation, test = (replace(s, x=s.x.astype(np.uint8)) for s in (train, validation, test))
            levels = 1
        return Dataset("npz", train, validation, test, levels=levels, binary=binary)

    def _values(self, x: np.ndarray, name: str) -> tuple[np.ndarray, int | None]:
        where = f"{self.path}: {name}"
        if x.ndim < 2 or x.size == 0:
            raise UserError(f"{where} has shape {x.shape}; it must be (N, ...) with at least one value an example.")
        if x.dtype == np.uint8 or x.dtype == np.bool_:
            levels = int(self.maximum if self.maximum is not None else 255)
            if x.max() > levels or not 1 <= levels <= 255:
                raise UserError(f"{where} holds {x.max()}; dataset.maximum={levels} allows 0..{levels}.")
            return x.astype(np.uint8), levels
        if x.dtype.kind != "f":
            raise UserError(f"{where} has dtype {x.dtype}; allowed: uint8, bool, float16, float32, float64.")
        if not np.isfinite(x).all():
            raise UserError(f"{where} holds {int((~np.isfinite(x)).sum())} values that are NaN or infinite.")
        maximum = 1.0 if self.maximum is None else self.maximum
        if not self.minimum < maximum:
            raise UserError(f"dataset.minimum={self.minimum} must be less than dataset.maximum={maximum}.")
        if x.min() < self.minimum or x.max() > maximum:
            raise UserError(
                f"{where} ranges over [{x.min():g}, {x.max():g}]; dataset.minimum and dataset.maximum allow "
                f"[{self.minimum:g}, {maximum:g}]."
            )
        x = x.astype(np.float32)
        if self.rescale:
            x = (x - np.float32(self.minimum)) / np.float32(maximum - self.minimum)
        return x, None

    def _labels(self, label: np.ndarray, count: int) -> np.ndarray:
        if label.shape != (count,) or label.dtype.kind not in "iu":
            raise UserError(
                f"{self.path}: {self.labels} has shape {label.shape} and dtype {label.dtype}; "
                f"it must be ({count},) whole numbers."
            )
        return label.astype(np.int32)


def read(path: str, names: list[str]) -> dict[str, np.ndarray]:
    """The named arrays of an .npz file; nothing pickled is ever read."""
    if not Path(path).is_file():
        raise UserError(f"dataset.path={path} is not a file.")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise UserError(f"{path} is not an .npz file.")
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise UserError(f"{path} has no array {missing[0]}; it holds: {', '.join(archive.files) or 'nothing'}.")
            # The sizes that the archive announces: a small file can unpack to more than there is.
            assert archive.zip is not None
            sizes = {info.filename: info.file_size for info in archive.zip.infolist()}
            require(sum(sizes.get(f"{name}.npy", sizes.get(name, 0)) for name in names), path)
            return {name: archive[name] for name in names}
    except UserError:
        raise
    # NotImplementedError is not of ours: zipfile raises it for a compression method that it does not know.
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError) as error:
        raise UserError(f"{path} is not a readable .npz file of plain arrays ({str(error)[:100]}).") from None
    except Exception as error:  # zlib.error, struct.error and their like: a damaged archive
        raise UserError(f"{path} is a damaged .npz file ({type(error).__name__}: {str(error)[:100]}).") from None
