"""A data set larger than memory: a directory of shards, mapped and read where they are needed.

`sbvi-convert` writes such a directory, or describes one of your own; `info.json` in it says what the values are
and holds a digest of every shard and of its labels, with size and time of the file: what was written later is hashed
again.
Validation and test are taken into memory, the training shards are not.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sbvi.core import NumPySeed, UserError, spec
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset, Split
from sbvi.data.formats.shard_files import DTYPES, INFO, read_info, unchanged
from sbvi.data.own import absolute, of_32_bits
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.streaming import Streamed


class ShardedArray:
    """Rows over several mapped arrays, read as one: `len`, `shape`, `dtype`, and rows by slice or positions."""

    def __init__(self, parts: Sequence[np.ndarray], digests: Sequence[str]):
        self.parts = list(parts)
        self.shard_sizes = [len(part) for part in parts]
        self.ends = np.cumsum(self.shard_sizes)
        self.shape = (int(self.ends[-1]), *parts[0].shape[1:])
        self.dtype = parts[0].dtype
        self.digest = hashlib.sha256("".join(digests).encode()).hexdigest()

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        positions = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows)
        gathered = np.empty((len(positions), *self.shape[1:]), self.dtype)
        shard = np.searchsorted(self.ends, positions, side="right")
        for number in np.unique(shard):
            here = shard == number
            first = self.ends[number] - self.shard_sizes[number]
            gathered[here] = self.parts[number][positions[here] - first]
        return gathered


@spec
class Shards(Streamed):
    """A directory that `sbvi-convert` wrote or described."""

    binarizations: ClassVar[str] = "dynamic, or auto where the shards hold 0 and 1 alone"  # see `binarize`

    path: str
    """The directory; recorded absolute."""
    binarization: Binarization = "auto"
    """How values become binary ones; static draws are made by sbvi-convert."""
    split_seed: NumPySeed = 0
    """Seed of the draws of the validation and test splits."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", absolute(self.path))

    def load(self) -> Dataset:
        folder = Path(self.path)
        info = read_info(folder)
        try:
            parts = [unchanged(folder, entry) for entry in info["train"]]
            train = Split(_joined(folder, parts, info["train"]), _labels(folder, info["train"]))
            validation, test = (_whole(folder, info[name]) for name in ("validation", "test"))
            known, name = _preprocessing(info, train.x.shape[1:]), str(info["name"])
            classes = _classes(info)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{folder / INFO} is not one that sbvi-convert wrote ({error!r}).") from None
        for split in (validation, test):
            if split.x.shape[1:] != train.x.shape[1:] or split.x.dtype != train.x.dtype:
                raise UserError(f"{folder}: validation and test must have the shape and dtype of the training shards.")
        return Dataset(name, train, validation, test, known, classes=classes)


def _preprocessing(info: Mapping[str, Any], event_shape: tuple[int, ...]) -> Preprocessing:
    """As it was recorded, or by the facts that earlier versions wrote: levels of whole numbers, or floats in [0, 1]."""
    if (recorded := info.get("preprocessing")) is not None:
        preprocessing = Preprocessing.from_config(recorded)
        if preprocessing.event_shape != tuple(event_shape) or preprocessing.dynamic or preprocessing.dequantize:
            raise ValueError("preprocessing")
        return preprocessing
    if info["levels"] is None:
        return Preprocessing.real(event_shape, 0.0, 1.0)
    return Preprocessing.whole(event_shape, int(info["levels"]))


def _classes(info: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Names of the labels, which earlier versions did not record."""
    names = info.get("classes")
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ValueError("classes")
    return None if names is None else tuple(names)


def _joined(folder: Path, parts: list[np.ndarray], entries: Sequence[Mapping[str, Any]]) -> Any:
    if len({(part.shape[1:], part.dtype.str) for part in parts}) != 1:
        raise UserError(f"{folder}: the training shards differ in shape or dtype.")
    if parts[0].dtype not in DTYPES or parts[0].ndim < 2:
        raise UserError(f"{folder}: training shards have dtype {parts[0].dtype}; allowed: uint8, float32.")
    return ShardedArray(parts, [str(entry["sha256"]) for entry in entries])


def _labels(folder: Path, entries: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
    if not all("label" in entry for entry in entries):
        return None
    parts = [of_32_bits(unchanged(folder, entry, "label"), str(folder / str(entry["label"]))) for entry in entries]
    return np.concatenate(parts)


def _whole(folder: Path, entry: Mapping[str, Any]) -> Split:
    return Split(np.array(unchanged(folder, entry)), _labels(folder, [entry]))
