"""A data set larger than memory: a directory of .npy shards, mapped and read where they are needed.

`sbvi-convert` writes such a directory; `info.json` in it says what the values are and holds a digest of
every file. Validation and test are taken into memory, the training shards are not.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sbvi.config import NonNegativeInt, UserError, spec
from sbvi.config.atomic import write_atomically
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset, Split
from sbvi.data.streaming import Streamed

FORMAT = 1
INFO = "info.json"


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
        found = np.empty((len(positions), *self.shape[1:]), self.dtype)
        shard = np.searchsorted(self.ends, positions, side="right")
        for number in np.unique(shard):
            here = shard == number
            first = self.ends[number] - self.shard_sizes[number]
            found[here] = self.parts[number][positions[here] - first]
        return found


@spec
class Shards(Streamed):
    """A directory that `sbvi-convert` wrote."""

    path: str
    """The directory."""
    binarization: Binarization = "auto"
    """How values become binary ones; static draws are made by sbvi-convert."""
    split_seed: NonNegativeInt = 0
    """Seed of the draws of the validation and test splits."""

    def load(self) -> Dataset:
        folder = Path(self.path)
        info = _info(folder)
        try:
            parts = [_mapped(folder, entry) for entry in info["train"]]
            train = Split(_joined(folder, parts, info["train"]), _labels(folder, info["train"]))
            validation, test = (_whole(folder, info[name]) for name in ("validation", "test"))
            levels, binary, name = info["levels"], bool(info["binary"]), str(info["name"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{folder / INFO} is not one that sbvi-convert wrote ({error!r}).") from None
        for split in (validation, test):
            if split.x.shape[1:] != train.x.shape[1:] or split.x.dtype != train.x.dtype:
                raise UserError(f"{folder}: validation and test must have the shape and dtype of the training shards.")
        return Dataset(name, train, validation, test, levels=levels, binary=binary)


def convert(dataset: Dataset, folder: Path, rows: int) -> dict[str, Any]:
    """Write a data set as a directory of shards of `rows` training examples; returns what info.json holds.

    Raises:
      UserError: the directory holds something, or cannot be written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"output={folder} is not empty; choose a new directory.")
    if dataset.dequantized:
        raise UserError("Noise that a likelihood asks for is added in training; convert the values themselves.")
    folder.mkdir(parents=True, exist_ok=True)
    count = len(dataset.train)
    train = [
        _write(folder, f"train-{start // rows:05d}", _part(dataset.train, slice(start, start + rows)))
        for start in range(0, count, rows)
    ]
    info = {
        "format": FORMAT,
        "name": dataset.name,
        "levels": dataset.levels,
        "binary": dataset.binary and not dataset.dynamic,
        "train": train,
        "validation": _write(folder, "validation", dataset.validation),
        "test": _write(folder, "test", dataset.test),
    }
    write_atomically(folder / INFO, (json.dumps(info, indent=1) + "\n").encode())  # last: it makes the rest count
    return info


def _part(split: Split, rows: slice) -> Split:
    return Split(split.x[rows], None if split.label is None else split.label[rows])


def _write(folder: Path, name: str, split: Split) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "file": f"{name}.npy",
        "rows": len(split),
        "sha256": _save(folder / f"{name}.npy", split.x),
    }
    if split.label is not None:
        entry["label"] = f"{name}.label.npy"
        _save(folder / entry["label"], split.label)
    return entry


def _save(path: Path, array: np.ndarray) -> str:
    try:
        np.save(path, array, allow_pickle=False)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).") from None
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _info(folder: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((folder / INFO).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise UserError(f"dataset.path={folder} is not a directory that sbvi-convert wrote: no {INFO}.") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UserError(f"{folder / INFO} has another format than {FORMAT}, which this version of sbvi reads.")
    return found


def _mapped(folder: Path, entry: Mapping[str, Any], key: str = "file") -> np.ndarray:
    name = str(entry[key])
    if Path(name).name != name:
        raise UserError(f"{folder / INFO} names {name}, which is not a file of its directory.")
    try:
        found = np.load(folder / name, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy raises many kinds on damaged files
        raise UserError(f"{folder / name} cannot be read ({str(error)[:100]}).") from None
    if not isinstance(found, np.ndarray) or found.ndim < 1 or len(found) != entry["rows"] or not len(found):
        raise UserError(f"{folder / name} does not hold the {entry['rows']} rows that {INFO} announces.")
    return found


def _joined(folder: Path, parts: list[np.ndarray], entries: Sequence[Mapping[str, Any]]) -> Any:
    if len({(part.shape[1:], part.dtype.str) for part in parts}) != 1:
        raise UserError(f"{folder}: the training shards differ in shape or dtype.")
    if parts[0].dtype not in (np.uint8, np.float32) or parts[0].ndim < 2:
        raise UserError(f"{folder}: training shards have dtype {parts[0].dtype}; allowed: uint8, float32.")
    return ShardedArray(parts, [str(entry["sha256"]) for entry in entries])


def _labels(folder: Path, entries: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
    if not all("label" in entry for entry in entries):
        return None
    return np.concatenate([_mapped(folder, entry, "label") for entry in entries]).astype(np.int32)


def _whole(folder: Path, entry: Mapping[str, Any]) -> Split:
    return Split(np.array(_mapped(folder, entry)), _labels(folder, [entry]))
