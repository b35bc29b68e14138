"""Folders of what never began, taken away again."""

import contextlib
import fcntl
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: What stands in the folder of a job before its run has begun: Hydra's files, and the lock.
JOB_LEAVINGS = (".hydra", ".lock", "sbvi-*.log")
#: What Hydra puts into a sweep's folder.
SWEEP_LEAVINGS = ("multirun.yaml",)


@dataclass(frozen=True)
class Before:
    """What stood before anything was made at some places: those that were there, what was right in them, and the
    folders above. What was made elsewhere cannot be told from what was there.

    places: the folders, with links followed. there: those of their neighbourhood that stood, so too.
    """

    places: frozenset[Path]
    there: frozenset[Path]

    @classmethod
    def of(cls, places: Iterable[Path]) -> "Before":
        """See the class; a place that cannot be read is as one that is not there."""
        near: set[Path] = set()
        real = _real(places)
        for place in real:
            near |= {place, *place.parents}
            with contextlib.suppress(OSError):
                near |= _real(place.iterdir())
        return cls(frozenset(real), frozenset(path for path in near if os.path.isdir(path)))

    def made(self, folder: Path) -> Iterator[Path]:
        """The folder, if it was made since, and those above it that were, nearest first."""
        if not any(place in (folder, *folder.parents) for place in self.places):
            return
        yield from itertools.takewhile(lambda path: path not in self.there, (folder, *folder.parents))


def forget(folder: Path, leavings: Sequence[str], before: Before) -> None:
    """Take away what was put into a folder before the work began, where it holds nothing else, and with it those of
    the folder and the ones above it that were made for it and are empty now.

    Nothing is taken from a folder that another process holds.
    """
    with contextlib.suppress(OSError):  # held, not empty after all, or not to be read
        if not folder.is_dir() or folder.resolve() == Path.cwd().resolve():
            return
        if not all(any(path.match(pattern) for pattern in leavings) for path in folder.iterdir()):
            return
        if (folder / ".lock").exists():
            with open(folder / ".lock", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder = folder.resolve()
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        for made in before.made(folder):
            made.rmdir()


def _real(places: Iterable[Path]) -> set[Path]:
    """The places with their links followed, less those that cannot be read, such as links in a circle."""
    found = set()
    for place in places:
        with contextlib.suppress(OSError, RuntimeError):  # which of them a circle raises is the version's of Python
            found.add(place.resolve())
    return found
