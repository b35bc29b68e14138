"""Workers of joblib's launcher, which would train on for nobody when their sweep's process is gone."""

import multiprocessing
import os
import signal
import threading
import time

from sbvi.core.interrupts import Interrupted

PAUSE = 0.5  # seconds between two looks at who the parent is
_parents: list[int] = []


def end_with_sweep() -> None:
    """Have a worker of joblib's stop as by SIGTERM, with what it trains saved, when the sweep's process ends, however
    that does; any other process is left as it is.

    Raises:
      Interrupted: that has ended since an earlier job of this worker.
    """
    if not multiprocessing.current_process().name.startswith("LokyProcess"):
        return
    if not _parents:
        _parents.append(os.getppid())
        threading.Thread(target=_watch, daemon=True).start()
    if os.getppid() != _parents[0]:
        raise Interrupted(signal.SIGTERM)


def _watch() -> None:
    """The kernel's own signal at a parent's end comes once for each of its threads, and a second one ends a run at once
    (`sbvi.runs.signals`)."""
    while os.getppid() == _parents[0]:
        time.sleep(PAUSE)
    os.kill(os.getpid(), signal.SIGTERM)
