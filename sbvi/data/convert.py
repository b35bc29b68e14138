"""Making directories of shards: any data set written as one, and shards of your own described in place."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sbvi.core import UserError
from sbvi.core.atomic import write_atomically
from sbvi.core.places import is_folder
from sbvi.data.checks import DARK
from sbvi.data.dataset import Dataset, Split
from sbvi.data.formats.shard_files import DTYPES, FORMAT, INFO, blocks, mapped, of_labels, refuse_unfinished, stamp
from sbvi.data.own import of_32_bits
from sbvi.data.shard_folder import written

log = logging.getLogger(__name__)


def convert(dataset: Dataset, folder: Path, rows: int) -> dict[str, Any]:
    """Write a data set as a directory of shards of `rows` training examples; returns what info.json holds.

    Raises:
      UserError: the directory holds something but what another call left unfinished, which is taken away, or cannot be
        made or written in.
    """
    if dataset.dequantized or dataset.dynamic:
        raise UserError("Noise and fresh draws are made in training; convert the values themselves.")
    with written(folder):
        return _all_of(dataset, folder, rows)


def _all_of(dataset: Dataset, folder: Path, rows: int) -> dict[str, Any]:
    count = len(dataset.train)
    train = [
        _write(folder, f"train-{start // rows:05d}", _part(dataset.train, slice(start, start + rows)))
        for start in range(0, count, rows)
    ]
    info = {
        "format": FORMAT,
        "name": dataset.name,
        "levels": dataset.levels,
        "binary": dataset.binary,
        "classes": None if dataset.classes is None else list(dataset.classes),
        "preprocessing": dataset.preprocessing.to_config(),
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
        **_save(folder / f"{name}.npy", split.x),
    }
    if split.label is not None:
        entry["label"] = f"{name}.label.npy"
        entry |= of_labels(_save(folder / entry["label"], split.label))
    return entry


def _save(path: Path, array: np.ndarray) -> dict[str, Any]:
    """Write a file; its digest, size and time."""
    try:
        # To be read too: into a file to be written alone NumPy writes by C's ways, which make a TypeError of a signal's
        # exception, and of a full disk an error without its reason.
        with open(path, "w+b") as file:
            np.save(file, array, allow_pickle=False)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).") from None
    return {"sha256": hashlib.sha256(np.ascontiguousarray(array).data).hexdigest(), **stamp(path)}


def describe(folder: Path, name: str, maximum: int | None = None) -> dict[str, Any]:
    """Check shards of the user's own and write info.json beside them; returns what it holds.

    Files named train*, validation* and test* are the splits, in the order of their names: .npy files with labels
    in NAME.label.npy where there are any, or .npz files with `x` and perhaps `label`. Values are uint8, read as
    0..maximum, or float32 in [0, 1]. Every value is looked at once.

    maximum: the greatest whole number there can be; by default 255, or 1 where none exceeds it, which is binary.

    Raises:
      UserError: a split is missing, a file cannot be used or holds more than the maximum, or the directory is described
        already.
    """
    if not is_folder(folder, f"input={folder}"):
        raise UserError(f"input={folder} is not a directory.")
    refuse_unfinished(folder, f"input={folder}")
    if (folder / INFO).exists():
        raise UserError(f"{folder / INFO} is there already; delete it to have the shards described anew.")
    files = sorted(f for f in folder.iterdir() if f.suffix in (".npy", ".npz") and not f.name.endswith(".label.npy"))
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "validation": [], "test": []}
    kinds, most = set(), 0.0
    for file in files:
        for split, entries in splits.items():
            if file.name.startswith(split):
                x, entry = _described(file)
                kinds.add((x.dtype, x.shape[1:]))
                most = max(most, entry.pop("most"))
                entries.append(entry)
                log.info("%s: %s, %d rows%s.", split, file.name, len(x), ", labelled" if "label" in entry else "")
    for split, entries in splits.items():
        if not entries or (split != "train" and len(entries) > 1):
            names = ", ".join(f.name for f in files[:5]) or "nothing"
            raise UserError(
                f"input={folder} needs files train*, validation* and test* (.npy or .npz; one each of the last two); "
                f"{'none is' if not entries else f'{len(entries)} are'} named {split}* among: {names}."
            )
    if len(kinds) > 1:
        listed = "; ".join(sorted(f"{dtype} {shape}" for dtype, shape in kinds))
        raise UserError(f"{folder}: the shards differ in dtype or in the shape of an example: {listed}.")
    _tell_labels(folder, splits)
    levels = _levels(folder, next(iter(kinds))[0] == np.uint8, int(most), maximum)
    info = {
        "format": FORMAT,
        "name": name,
        "levels": levels,
        "binary": levels == 1,
        "train": splits["train"],
        "validation": splits["validation"][0],
        "test": splits["test"][0],
    }
    write_atomically(folder / INFO, (json.dumps(info, indent=1) + "\n").encode())
    return info


def _levels(folder: Path, whole: bool, most: int, maximum: int | None) -> int | None:
    """The greatest whole number that values can be, of which the greatest there is is `most`; None of others.

    Raises:
      UserError: the one that is given cannot be that.
    """
    if maximum is None:
        if whole and 1 < most <= DARK:
            log.warning(
                "%s holds whole numbers that never exceed %d, and the greatest there can be is 255 by default: if it "
                "is %d, delete %s and give maximum=%d, or the values count as nearly black.",
                *(folder, most, most, INFO, most),
            )
        return (1 if most <= 1 else 255) if whole else None
    if not whole:
        raise UserError(f"maximum={maximum} is for whole numbers (uint8), and {folder} holds float32 values of [0, 1].")
    if not most <= maximum <= 255:
        raise UserError(f"maximum={maximum} must be from {max(most, 1)}, the greatest value in {folder}, to 255.")
    return maximum


def _tell_labels(folder: Path, splits: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Say which files lack labels that others have: of the training split those of all files are left out then."""
    without = [str(entry["file"]) for entries in splits.values() for entry in entries if "label" not in entry]
    if without and any("label" in entry for entries in splits.values() for entry in entries):
        log.warning("%s: %s without labels, which other files have.", folder, ", ".join(without[:5]))


def _described(file: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """A shard, mapped, and its entry, with the greatest value as `most`."""
    packed = file.suffix == ".npz"
    x = mapped(file, "x" if packed else "")
    before = stamp(file)  # what is written from here on is seen by it
    if x.dtype not in DTYPES or x.ndim < 2 or x.size == 0:
        raise UserError(
            f"{file} holds {x.dtype} of shape {x.shape}; it must be uint8 or float32 of shape (N, ...), with at least "
            f"one value an example."
        )
    entry: dict[str, Any] = {"file": f"{file.name}:x" if packed else file.name, "rows": len(x)}
    beside = file.with_name(f"{file.stem}.label.npy")
    label = _packed_label(file) if packed else mapped(beside) if beside.exists() else None
    if label is not None:
        if label.shape != (len(x),) or label.dtype.kind not in "iu":
            raise UserError(f"{file}: labels are {label.dtype} of shape {label.shape}, not {len(x)} whole numbers.")
        entry["label"] = f"{file.name}:label" if packed else beside.name
        of_32_bits(label, str(file.with_name(entry["label"])))
        facts, hashed = stamp(file if packed else beside), hashlib.sha256()
        for block in blocks(label):
            hashed.update(block.data)
        entry |= of_labels({"sha256": hashed.hexdigest(), **facts})
    digest, most = hashlib.sha256(), 0.0
    for block in blocks(x):
        low, high = block.min(), block.max()  # NaN where there is one
        if not (low >= 0 and (x.dtype == np.uint8 or high <= 1)):
            raise UserError(f"{file} ranges over [{low:g}, {high:g}]; float32 values must be in [0, 1].")
        most = max(most, float(high))
        digest.update(block.data)
    return x, entry | {"sha256": digest.hexdigest(), **before, "most": most}


def _packed_label(file: Path) -> np.ndarray | None:
    with np.load(file, allow_pickle=False) as archive:
        return mapped(file, "label") if "label" in archive.files else None
