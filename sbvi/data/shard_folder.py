"""The folder that shards are written into, marked until all of them are there.

A process that ends before leaves the mark, and who writes there next takes away what it left.
"""

import contextlib
import fcntl
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from sbvi.core import UserError
from sbvi.core.atomic import try_folder
from sbvi.core.leftovers import Before, forget
from sbvi.core.places import is_folder
from sbvi.data.formats.shard_files import INFO, UNFINISHED

#: What is written there before `INFO`, which comes last, and that while it is half written.
_OWN = re.compile(rf"(train-\d{{5,}}|validation|test)(\.label)?\.npy|\.{re.escape(INFO)}\.\d+\.tmp")


@contextlib.contextmanager
def written(folder: Path) -> Iterator[None]:
    """Within, a folder is this process's to write shards into; where that ends in an error the mark stays.

    Raises:
      UserError: it holds anything but what another call left unfinished, another process is writing there, or it cannot
        be made or written in.
    """
    _left(folder)
    stood = Before.of([folder])
    try:
        try_folder(folder)
        mark = open(folder / UNFINISHED, "a+b", buffering=0)  # noqa: SIM115  (closed below)
    except OSError as error:
        raise _refused(folder, error) from None
    with mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)  # which ends with the process, however that ends
        except OSError:
            mark.seek(0)
            holder = mark.read().decode().strip() or "another process"
            raise UserError(f"output={folder} is being written by {holder}; wait for it, or choose another.") from None
        for path in _left(folder):  # again, since another process may have finished meanwhile
            path.unlink()
        try:
            mark.truncate(0)
            mark.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        except OSError as error:  # the disk is full before anything is written
            forget(folder, (UNFINISHED,), stood)
            raise _refused(folder, error) from None
        yield
        (folder / UNFINISHED).unlink(missing_ok=True)


def _refused(folder: Path, error: OSError) -> UserError:
    return UserError(f"output={folder} cannot be made or written in ({error.strerror}).")


def _left(folder: Path) -> list[Path]:
    """What another call left unfinished in a folder, the mark aside.

    Raises:
      UserError: the folder holds something else.
    """
    found = list(folder.iterdir()) if is_folder(folder, f"output={folder}") else []
    names = {path.name for path in found}
    if names and (UNFINISHED not in names or INFO in names):
        raise UserError(f"output={folder} is not empty; choose a new directory.")
    if other := sorted(name for name in names if name != UNFINISHED and not _OWN.fullmatch(name)):
        raise UserError(
            f"output={folder} was left unfinished by sbvi-convert, and holds {other[0]}, which is not its own; move "
            f"that away, or choose a new directory."
        )
    return [path for path in found if path.name != UNFINISHED]
