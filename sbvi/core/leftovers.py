"""Folders of what never began, taken away again."""

import contextlib
import fcntl
import shutil
from collections.abc import Sequence
from pathlib import Path

#: What stands in the folder of a job before its run has begun: Hydra's files, and the lock.
JOB_LEAVINGS = (".hydra", ".lock", "sbvi-*.log")
#: What Hydra puts into a sweep's folder.
SWEEP_LEAVINGS = ("multirun.yaml",)


def forget(folder: Path, leavings: Sequence[str]) -> None:
    """Take away a folder that holds nothing but what was put there before the work began, and the empty ones above.

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
        shutil.rmtree(folder)
        for above in folder.parents:
            if above.resolve() == Path.cwd().resolve():
                return
            above.rmdir()
