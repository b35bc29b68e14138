"""Checkpoints: one file each, written whole or not at all, every array with its digest.

A file is MessagePack: a format version, and a body with its SHA-256; the body holds plain metadata and a
list of leaves (path, dtype, shape, SHA-256, bytes). Nothing in it can run code. It is written beside its
place, flushed to the disk and renamed, so that a crash leaves the old file. Format 1, which is still read,
had no digest but those of the leaves.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import msgpack
import numpy as np

from sbvi.core import UserError
from sbvi.core.atomic import write_atomically

FORMAT = 2


class DamagedCheckpoint(UserError):
    """A checkpoint file that cannot be used, with the reason."""


def save(path: Path, tree: Any, metadata: Mapping[str, Any], spare: Path | None = None) -> None:
    """Write a tree of arrays and plain metadata; with `spare`, the file that stood there is kept as that.

    Raises:
      UserError: the file cannot be written, or the run's folder is gone.
    """
    leaves = []
    for location, leaf in jax.tree_util.tree_flatten_with_path(jax.device_get(tree))[0]:
        # ascontiguousarray alone would turn a scalar into a vector.
        array = np.ascontiguousarray(leaf).reshape(np.shape(leaf))
        data = array.tobytes()
        leaves.append(
            {
                "path": jax.tree_util.keystr(location),
                "dtype": array.dtype.name,
                "shape": list(array.shape),
                "sha256": hashlib.sha256(data).digest(),
                "data": data,
            }
        )
    body = msgpack.packb({"metadata": dict(metadata), "leaves": leaves})
    document = {"format": FORMAT, "sha256": hashlib.sha256(body).digest(), "body": body}
    try:
        # Not its parents: a run whose folder was removed must not go on in a new one.
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{path.parent} cannot be made ({error.strerror}).") from None
    write_atomically(path, msgpack.packb(document), spare)


def load(path: Path, like: Any) -> tuple[Any, dict[str, Any]]:
    """Read a tree of the same structure, dtypes and shapes as `like`, and the metadata.

    Raises:
      DamagedCheckpoint: the file is missing, cut short, altered, or of another model.
    """
    leaves, metadata = read(path)
    return arranged(leaves, like, path), metadata


def arranged(leaves: Mapping[str, np.ndarray], like: Any, path: Path) -> Any:
    """Leaves by their paths as a tree of the structure of `like`.

    Raises:
      DamagedCheckpoint: names, dtypes or shapes differ.
    """
    expected, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [jax.tree_util.keystr(location) for location, _ in expected]
    if set(names) != set(leaves):
        odd = sorted(set(names) ^ set(leaves))[0]
        raise DamagedCheckpoint(f"{path} belongs to another model: {odd} is in only one of the two.")
    found = []
    for name, (_, leaf) in zip(names, expected, strict=True):
        array = leaves[name]
        if array.shape != tuple(leaf.shape) or array.dtype != leaf.dtype:
            raise DamagedCheckpoint(
                f"{path} belongs to another model: {name} is {array.dtype}{array.shape} in the file and "
                f"{leaf.dtype}{tuple(leaf.shape)} here."
            )
        found.append(array)
    return jax.tree_util.tree_unflatten(structure, found)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Every leaf by its path, and the metadata, each leaf checked against its digest."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedCheckpoint(f"{path} cannot be read ({error.strerror}).") from None
    try:
        document = msgpack.unpackb(content, strict_map_key=True)
        version = document["format"]
        if version not in (1, FORMAT):
            raise DamagedCheckpoint(f"{path} has format {version}; this version of sbvi reads formats 1 and {FORMAT}.")
        body = document
        if version == FORMAT:
            body = msgpack.unpackb(document["body"], strict_map_key=True)
        leaves = {}
        for entry in body["leaves"]:
            if hashlib.sha256(entry["data"]).digest() != entry["sha256"]:
                raise DamagedCheckpoint(f"{path} is damaged: {entry['path']} does not match its digest.")
            array = np.frombuffer(entry["data"], np.dtype(entry["dtype"])).reshape(entry["shape"])
            leaves[entry["path"]] = array
        # After the leaves, whose own digests can name what is wrong.
        if version == FORMAT and hashlib.sha256(document["body"]).digest() != document["sha256"]:
            raise DamagedCheckpoint(f"{path} is damaged: it does not match its digest.")
        return leaves, dict(body["metadata"])
    except DamagedCheckpoint:
        raise
    except Exception as error:  # msgpack and numpy raise many kinds on damaged bytes
        raise DamagedCheckpoint(f"{path} is damaged: it is not a whole checkpoint ({type(error).__name__}).") from None
