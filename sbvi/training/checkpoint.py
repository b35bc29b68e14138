"""Checkpoints: one safetensors file each, written whole or not at all, every array with its digest.

Arrays are tensors under readable names (`sbvi.training.tensor_names`), so that one call of any safetensors loader
opens them in NumPy, JAX or PyTorch. The file's metadata, texts all, hold:

  format    the version of this format
  metadata  what the caller noted, as JSON
  digests   name -> SHA-256 of each array's bytes, as JSON
  sha256    SHA-256 of the file's header with zeros in this place: with the digests within it, that of the whole

Nothing in a file can run code. It is written beside its place, flushed to the disk and renamed, so that a crash
leaves the old file. `sbvi.training.legacy_checkpoint` reads earlier formats.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors.numpy

from sbvi.core import UserError
from sbvi.core.atomic import write_atomically
from sbvi.core.held import check_held
from sbvi.training.tensor_names import named_leaves, tree_of

FORMAT = 3
SUFFIX = ".safetensors"

# Of what safetensors writes, what its NumPy loader reads.
_READABLE = {"bool", "complex64", "float16", "float32", "float64"}
_READABLE |= {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_ZEROS = "0" * 64


class DamagedCheckpoint(UserError):
    """A checkpoint file that cannot be used, with the reason."""


class OtherRun(DamagedCheckpoint):
    """One that is whole, and names another run."""


class OtherModel(DamagedCheckpoint):
    """One that is whole, and holds other arrays than are asked for."""


def save(path: Path, tree: Any, metadata: Mapping[str, Any], spare: Path | None = None, *, flush: bool = True) -> None:
    """Write a tree of arrays and plain metadata; with `spare`, the file that stood there is kept as that.

    flush: whether it is on the disk when this returns (`sbvi.core.atomic`).

    Raises:
      UserError: the file cannot be written, or the run's folder is gone or another's.
      TypeError: an array has a dtype that could not be read back.
    """
    # ascontiguousarray alone would turn a scalar into a vector.
    arrays = {
        name: np.ascontiguousarray(leaf).reshape(np.shape(leaf))
        for name, leaf in named_leaves(jax.device_get(tree)).items()
    }
    for name, array in arrays.items():
        if array.dtype.name not in _READABLE:
            raise TypeError(f"{name} is {array.dtype}, which a checkpoint cannot hold")
    notes = {
        "format": str(FORMAT),
        "metadata": json.dumps(dict(metadata)),
        "digests": json.dumps({name: _sha256(array) for name, array in arrays.items()}),
        "sha256": _ZEROS,
    }
    content = safetensors.numpy.save(arrays, notes)
    end = _header_end(content)
    header = content[:end]
    sealed = _with_digest(header, _ZEROS, hashlib.sha256(header).hexdigest())
    check_held(path)
    try:
        # Not its parents: a run whose folder was removed must not go on in a new one.
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{path.parent} cannot be made ({error.strerror}).") from None
    write_atomically(path, sealed + content[end:], spare, flush=flush)


def load(path: Path, like: Any) -> tuple[Any, dict[str, Any]]:
    """Read a tree of the same structure, dtypes and shapes as `like`, and the metadata.

    Raises:
      DamagedCheckpoint: the file is missing, cut short, altered, or of another model.
    """
    arrays, metadata = read(path)
    return arranged(arrays, like, path), metadata


def arranged(arrays: Mapping[str, np.ndarray], like: Any, path: Path) -> Any:
    """Arrays by their names as a tree of the structure of `like`.

    Raises:
      OtherModel: names, dtypes or shapes differ.
    """
    expected = named_leaves(like)
    if expected.keys() != arrays.keys():
        odd = sorted(expected.keys() ^ arrays.keys())[0]
        raise OtherModel(f"{path} belongs to another model: {odd} is in only one of the two.")
    for name, leaf in expected.items():
        array = arrays[name]
        if array.shape != tuple(leaf.shape) or array.dtype != leaf.dtype:
            raise OtherModel(
                f"{path} belongs to another model: {name} is {array.dtype}{array.shape} in the file and "
                f"{leaf.dtype}{tuple(leaf.shape)} here."
            )
    return tree_of(arrays, like)


def content_of(path: Path) -> bytes:
    """A file's bytes.

    Raises:
      DamagedCheckpoint: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedCheckpoint(f"{path} cannot be read ({error.strerror}).") from None


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Every array by its name, and the metadata, all checked against their digests.

    Raises:
      DamagedCheckpoint: the file is missing, cut short, altered, or of another format.
    """
    content = content_of(path)
    with _damage_told(path):
        notes = _notes(content[: _header_end(content)], path)
        digests = json.loads(notes["digests"])
        arrays = safetensors.numpy.load(content)
        for name, array in arrays.items():
            if _sha256(array) != digests[name]:
                raise DamagedCheckpoint(f"{path} is damaged: {name} does not match its digest.")
        return arrays, dict(json.loads(notes["metadata"]))


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata alone, checked against the header's digest; no array is read.

    Raises:
      DamagedCheckpoint: the file is missing, its header is cut short or altered, or it is of another format.
    """
    with _damage_told(path), open(path, "rb") as file:
        size = file.read(8)
        return dict(json.loads(_notes(size + file.read(_header_end(size) - 8), path)["metadata"]))


def check_run(path: Path, metadata: Mapping[str, Any], run: str | None) -> None:
    """Refuse a file that names another run; `run` is the identity of its own, None of runs of earlier versions, and a
    file of an earlier version names none.

    Raises:
      OtherRun: it does.
    """
    if run is not None and metadata.get("run", run) != run:
        raise OtherRun(f"{path} is of another run, with other settings, seed or data; put this run's own in its place.")


def _notes(header: bytes, path: Path) -> dict[str, str]:
    """The texts of a file's header, which is checked against its digest."""
    notes: dict[str, str] = json.loads(header[8:])["__metadata__"]
    if notes["format"] != str(FORMAT):
        raise DamagedCheckpoint(f"{path} has format {notes['format']}; this version of sbvi reads format {FORMAT}.")
    if hashlib.sha256(_with_digest(header, notes["sha256"], _ZEROS)).hexdigest() != notes["sha256"]:
        raise DamagedCheckpoint(f"{path} is damaged: its header does not match its digest.")
    return notes


@contextlib.contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except DamagedCheckpoint:
        raise
    except OSError as error:
        raise DamagedCheckpoint(f"{path} cannot be read ({error.strerror}).") from None
    except Exception as error:  # what JSON, safetensors and our look-ups raise on damaged bytes
        raise DamagedCheckpoint(f"{path} is damaged: it is not a whole checkpoint ({type(error).__name__}).") from None


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()


def _header_end(content: bytes) -> int:
    """A safetensors file is the header's length in eight bytes, the header as JSON, and the arrays."""
    return 8 + int.from_bytes(content[:8], "little")


def _with_digest(header: bytes, old: str, new: str) -> bytes:
    """Only the key itself is found: within the texts quotation marks are escaped."""
    return header.replace(f'"sha256":"{old}"'.encode(), f'"sha256":"{new}"'.encode(), 1)
