"""SQLite files in which studies are kept, made by one process at a time: two that make the tables of one at once, as
searches that begin together, end one another with an error of the database's."""

import contextlib
import fcntl
import functools
import os
from collections.abc import Iterator
from typing import Any

from sbvi.core.sqlite_urls import file_of


@contextlib.contextmanager
def alone(storage: Any) -> Iterator[None]:
    """Within, no other process or thread makes or opens a database in the folder of the file at a URL; of what is none
    there, nothing is waited for."""
    with contextlib.ExitStack() as held:
        if (file := file_of(storage)) is not None:
            with contextlib.suppress(OSError):  # it is not there, or on a file system without locks
                # Of the folder: a file of the lock's own would be left, and the database's is not there yet.
                handle = os.open(file.parent, os.O_RDONLY)
                held.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def create_alone() -> None:
    """Have Optuna make studies so, in this process until it ends: Hydra's sweeper asks it for one, once all that the
    search says was understood."""
    import optuna

    made = optuna.create_study
    if hasattr(made, "alone"):
        return

    @functools.wraps(made)
    def create_study(*given: Any, **named: Any) -> Any:
        with alone(named.get("storage", given[0] if given else None)):
            return made(*given, **named)

    create_study.alone = True  # type: ignore[attr-defined]
    optuna.create_study = create_study
