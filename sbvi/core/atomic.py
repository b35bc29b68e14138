"""Files that are written whole or not at all."""

import contextlib
import errno
import fcntl
import os
import re
import resource
import secrets
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from sbvi.core.errors import UserError
from sbvi.core.held import check_held

SUFFIX = ".tmp"


def clear_leftovers(folder: Path) -> None:
    """Remove what a killed process was writing; for whoever holds the folder's lock."""
    for path in folder.glob(f".*{SUFFIX}"):
        path.unlink(missing_ok=True)


def write_atomically(
    path: Path, content: bytes, spare: Path | None = None, *, flush: bool = True, mode: int | None = None
) -> None:
    """Replace a file with new content, or leave the old one.

    The content is written beside its place, flushed to the disk and renamed, so that a crash at any
    moment leaves either the old file or the new one, which has the old one's permissions, or `mode`. With `spare` the
    old file is renamed to that once the new one is whole, and a crash between the two renamings leaves it under that
    name alone. Without `flush` that holds where the process dies, and where the machine does once `flushed` has seen
    the file.

    Raises:
      UserError: the disk is full, or the folder cannot be written or is gone, or is no longer that of the run.
    """
    check_held(path)
    temporary, kept = path.with_name(f".{path.name}.{os.getpid()}{SUFFIX}"), "untouched"
    try:
        with open(temporary, "wb") as file:
            with contextlib.suppress(OSError):  # there is none, or the file system has no permissions
                permissions = stat.S_IMODE(path.stat().st_mode) if mode is None else mode
                os.fchmod(file.fileno(), permissions)  # who may read it stays as it was
            file.write(content)
            file.flush()
            if flush:
                os.fsync(file.fileno())
        if spare is not None and path.exists():
            os.replace(path, spare)
            kept = f"now {spare}"
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written ({error.strerror}); what was there before is {kept}.") from None


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is to be written, under a name that nothing has: it has that name once the block within has ended,
    and what fails or is killed there leaves nothing under it. An existing file is never touched.

    The content is written beside its place; what a killed process left there of the same name goes first. No lock
    guards the folder, which is the user's: a file that is being written is locked itself.

    Raises:
      FileExistsError: something stands there.
      OSError: it cannot be written.
    """
    with new_files([path]) as (file,):
        yield file


@contextlib.contextmanager
def new_files(paths: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """Files that belong together, each as `new_file`'s: they have their names once all are whole, the first one last,
    so that where it is there the others are; what fails leaves none of them.

    Raises:
      FileExistsError: something stands at the path that it names.
      OSError: one cannot be written.
    """
    _allow_open(len(paths))
    with contextlib.ExitStack() as stack:
        temporaries: list[Path] = []
        files: list[BinaryIO] = []
        for path in paths:
            _clear_abandoned(path)
            temporaries.append(path.with_name(f"{_start(path)}{secrets.token_hex(4)}{SUFFIX}"))
            files.append(stack.enter_context(open(temporaries[-1], "xb")))
            stack.callback(temporaries[-1].unlink, missing_ok=True)
            with contextlib.suppress(OSError):  # a file system without locks keeps what a killed process leaves
                _lock(files[-1])
        yield files
        for file in files:
            file.flush()
            os.fsync(file.fileno())
        named: list[Path] = []
        try:
            for temporary, path in reversed([*zip(temporaries, paths, strict=True)]):
                _take_name(temporary, path)
                named.append(path)
        except BaseException:
            for path in named:
                path.unlink(missing_ok=True)
            raise


def _allow_open(count: int) -> None:
    """Have so many files open at once where the system's own limit, and not the session's, allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + len(os.listdir("/dev/fd")) + 64
    if soft != resource.RLIM_INFINITY and needed > soft:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(needed, hard), hard)
            )


def _take_name(temporary: Path, path: Path) -> None:
    """Give a whole file its name, which no other has."""
    try:
        os.link(temporary, path)  # which replaces nothing, whoever else makes a file of that name meanwhile
    except FileExistsError as error:
        raise FileExistsError(error.errno, error.strerror, str(path)) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.rename(temporary, path)


def _clear_abandoned(path: Path) -> None:
    """Remove what killed processes were writing for this name; what another process writes, which it has locked, or
    what cannot be told, stays."""
    ours = re.compile(rf"{re.escape(_start(path))}[0-9a-f]{{8}}{re.escape(SUFFIX)}")
    for name in filter(ours.fullmatch, os.listdir(path.parent)):
        with contextlib.suppress(OSError), open(path.with_name(name), "rb") as file:
            _lock(file)
            path.with_name(name).unlink()


def _start(path: Path) -> str:
    """What names of temporary files begin with: cut, since a name may be as long as the file system allows."""
    return f".{path.name[:50]}."


def _lock(file: BinaryIO) -> None:
    """Lock a file for as long as it is open.

    Raises:
      OSError: another process has it, or the file system has no locks.
    """
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def flushed(path: Path) -> None:
    """Have a file on the disk.

    Raises:
      UserError: the disk does not take it.
    """
    try:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).") from None


def try_folder(folder: Path) -> None:
    """Make a folder where absent and write in it, before work is done for it.

    Raises:
      OSError: nothing can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
