"""The user's own arrays: read for a task, and written where asked."""

import contextlib
import hashlib
import itertools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sbvi.core import UserError
from sbvi.core.atomic import new_files, try_folder
from sbvi.data.checks import finite
from sbvi.data.formats.own_files import Archive, read_own

log = logging.getLogger(__name__)


def read_array(path: str, key: str = "task.input", *, allow_nan: bool = False) -> np.ndarray:
    """The numbers of the file that a key names; see `read_values`."""
    return read_values(path, key=key, allow_nan=allow_nan)[0]


def read_values(
    path: str, columns: tuple[str, ...] | None = None, *, key: str = "task.input", allow_nan: bool = False
) -> tuple[np.ndarray, tuple[str, ...] | None, str]:
    """Numbers (N, ...) of .npz (its only array, or `x`), .npy, .csv, .tsv or .parquet; a table's columns where they
    were found by name; and what sentences call the file.

    key: which names the file, for sentences.
    columns: names to find in a table that names its columns, in this order; others are left out, and it is said.

    Raises:
      UserError: the file is not there, of another kind, holds objects, lacks a column, or has values that are not
        finite.
    """
    where = f"{key}={path}"
    content = read_own(path, where)
    named = None
    if isinstance(content, Archive):
        name = "x" if "x" in content else next(iter(content)) if len(content) == 1 else None
        if name is None:
            raise UserError(f"{where} holds {', '.join(content) or 'nothing'}; one of them must be named x.")
        x = content[name]
    elif isinstance(content, np.ndarray):
        x = content
    else:
        if columns is not None and content.named:
            held = list(content.names() or ())
            absent = [name for name in columns if name not in held]
            if absent:
                raise UserError(f"{where} has no column {absent[0]}, which the run was trained on.")
            if len(held) > len(columns):
                log.info("Columns left out: %s.", ", ".join(name for name in held if name not in columns))
            named = columns
        x, where = content.values(named), content.where
    if x.dtype.kind not in "buif" or x.ndim < 2 or not len(x):
        raise UserError(f"{where} has shape {x.shape} and dtype {x.dtype}; it must be numbers (N, ...).")
    if x.dtype.kind == "f" and not allow_nan:
        finite(x, where, named)
    return np.asarray(x), named, where


def check_output(path: str) -> None:
    """Refuse a bad output before any work is done.

    Raises:
      UserError: the file exists, does not end in .npz, or its folder is not there.
    """
    place = Path(path)
    if place.name == ".npz":
        raise UserError(
            f"task.output={path} is an ending without a name; name a file, such as {place.with_name('x')}.npz."
        )
    if place.suffix != ".npz":
        raise UserError(f"task.output={path} must end in .npz.")
    if place.exists():
        raise UserError(f"task.output={path} is there already; name another file.")
    if not place.parent.is_dir():
        raise UserError(f"task.output={path} is in a folder that is not there.")


def taken(output: Path, place: Path) -> UserError:
    """That a file which an output would write is there already: the user's own, or one beside it."""
    what = "is there already" if place == output else f"would also write {place}, which is there already"
    return UserError(f"task.output={output} {what}; name another file.")


def write_arrays(path: str, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays as .npz; an existing file is left alone.

    Raises:
      UserError: the file exists, or cannot be written.
    """
    with new_output(Path(path)) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


@contextlib.contextmanager
def new_output(path: Path) -> Iterator[BinaryIO]:
    """A file of the user's name to write into, which is there once it is whole and never in part.

    Raises:
      UserError: the file exists, which is left alone, or cannot be written.
    """
    with new_outputs([path]) as (file,):
        yield file


@contextlib.contextmanager
def new_outputs(paths: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """The same of the user's file, the first, and those beside it: they are there once all are whole, and the user's
    last.

    Raises:
      UserError: one of them exists, which is left alone, or cannot be written.
    """
    try:
        with new_files(paths) as files:
            yield files
    except FileExistsError as error:
        raise taken(paths[0], Path(error.filename or paths[0])) from None
    except OSError as error:
        raise UserError(f"task.output={paths[0]} cannot be written ({error.strerror or error}).") from None


@contextlib.contextmanager
def own_name(folder: Path, title: str, settings: Mapping[str, Any], decoder: str | None = None) -> Iterator[str]:
    """Within, a name for what an evaluation writes that no other one takes: the title and a digest of the task's
    settings and of the content of the files that it reads; with a number where that was evaluated before, so that
    nothing is overwritten. It is taken for good once NAME.json is written; a killed process leaves .NAME.taken behind,
    which costs a number.

    decoder: a network of the user's own that was read too.

    Raises:
      UserError: a file that was read is gone, or nothing can be written in the folder.
    """
    hasher = hashlib.sha256(json.dumps({k: v for k, v in settings.items() if k != "output"}, sort_keys=True).encode())
    for key, path in (("task.input", settings.get("input")), ("decoder", decoder)):
        if isinstance(path, str):
            hasher.update(_digest(path, key))
    name = f"{title}-{hasher.hexdigest()[:8]}"
    for number in itertools.count(1):
        own = name if number == 1 else f"{name}-{number}"
        held = folder / f".{own}.taken"
        try:
            held.touch(exist_ok=False)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"{folder} cannot be written ({error.strerror}); name another, as folder=DIR.") from None
        try:
            if not (folder / f"{own}.json").exists():
                yield own
                return
        finally:
            held.unlink(missing_ok=True)


def _digest(path: str, key: str) -> bytes:
    try:
        with open(Path(path).expanduser(), "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise UserError(f"{key}={path} cannot be read ({error.strerror}).") from None


def writable(folder: Path) -> Path:
    """The folder, made where absent, before any work is done for it.

    Raises:
      UserError: nothing can be written there.
    """
    try:
        try_folder(folder)
        return folder
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}); name another folder for what is found, as folder=DIR."
        ) from None
