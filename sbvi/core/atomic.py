"""Files that are written whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path

from sbvi.core.errors import UserError

SUFFIX = ".tmp"


def clear_leftovers(folder: Path) -> None:
    """Remove what a killed process was writing; for whoever holds the folder's lock."""
    for path in folder.glob(f".*{SUFFIX}"):
        path.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes, spare: Path | None = None, *, flush: bool = True) -> None:
    """Replace a file with new content, or leave the old one.

    The content is written beside its place, flushed to the disk and renamed, so that a crash at any
    moment leaves either the old file or the new one. With `spare` the old file is renamed to that once the new one is
    whole, and a crash between the two renamings leaves it under that name alone. Without `flush` that holds where the
    process dies, and where the machine does once `flushed` has seen the file.

    Raises:
      UserError: the disk is full, or the folder cannot be written or is gone.
    """
    temporary, kept = path.with_name(f".{path.name}.{os.getpid()}{SUFFIX}"), "untouched"
    try:
        with open(temporary, "wb") as file:
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
