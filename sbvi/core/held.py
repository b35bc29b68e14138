"""Folders that this process holds a lock of: whether what stands at their places is still what it holds.

Paths are names: a folder that is renamed while its run trains leaves its name to others, and what the run writes next
would go to them. Savers ask before they write, wherever in the package they are; where no lock is held nothing is
asked.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sbvi.core.errors import UserError

LOCK = ".lock"

#: Absolute path of a folder -> the open lock file in it.
_held: dict[Path, IO[str]] = {}


class Replaced(UserError):
    """Another folder stands where a run's was, or its lock is another's."""


@contextlib.contextmanager
def held(folder: Path, lock: IO[str]) -> Iterator[None]:
    """Within, `check_held` knows the folder by its lock file, which is open and locked.

    Raises:
      UserError: this process holds another of that name, which was moved; what either writes could not be told apart.
    """
    place = folder.absolute()
    if place in _held:
        raise UserError(
            f"{folder} was the folder of a run that was moved and goes on in this process; use another directory."
        )
    _held[place] = lock
    try:
        yield
    finally:
        del _held[place]


def check_held(path: Path) -> None:
    """Refuse to write a file or folder at, or below, a place whose folder is no longer the one that is held. One that
    is gone and has no successor is told by the writing itself.

    Raises:
      Replaced: it is another, or its lock is.
    """
    if not _held:
        return
    whole = path.absolute()
    for folder in (whole, *whole.parents):
        if (lock := _held.get(folder)) is not None and not _same(folder, lock):
            raise Replaced(
                f"{folder} is no longer the folder of this run: it, or the {LOCK} in it, was moved or replaced; "
                f"nothing more is written there, and resume=DIR goes on from the last checkpoint, with DIR where the "
                f"run's folder is now."
            )


def _same(folder: Path, lock: IO[str]) -> bool:
    own = os.fstat(lock.fileno())
    try:
        there = os.stat(folder / LOCK)
    except (FileNotFoundError, NotADirectoryError):
        return not os.path.lexists(folder)
    except OSError:  # a disk that fails says so where it is written to
        return True
    return (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)
