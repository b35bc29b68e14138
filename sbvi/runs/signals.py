"""Signals that end a run at the next chunk."""

import logging
import signal
import threading
from types import FrameType
from typing import Any

from sbvi.core.interrupts import after_first, by_exception

log = logging.getLogger(__name__)


class StopSignals:
    """Turns the first SIGTERM or SIGINT into a reason to stop at the next chunk, which it says, since that may take
    minutes; the second ends the process at once, in the middle of one (a sweep's worker: see `interrupt_once`)."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._before: dict[int, Any] = {}

    def reason(self) -> str | None:
        return self._reason

    def _note(self, number: int, _: FrameType | None) -> None:
        self._reason = signal.Signals(number).name
        for each, handler in self._before.items():
            signal.signal(each, after_first(handler))
        # In a thread: what the signal interrupted may be in the middle of writing a line itself.
        said = "%s: stopping at the next log point; a second one ends this at once, which leaves the last checkpoint."
        threading.Thread(target=log.info, args=(said, self._reason)).start()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            heard_once = self._reason is not None and after_first(handler) is signal.SIG_IGN
            signal.signal(number, signal.SIG_IGN if heard_once else handler)

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                if _taken(number):
                    continue
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exc: object) -> None:
        self._restore()


def _taken(number: int) -> bool:
    """Whether someone else listens to a signal: submitit does, which queues a job again that SLURM preempts; or it is
    ignored, as SIGINT is in what a script starts in the background."""
    handler = signal.getsignal(number)
    return handler is signal.SIG_IGN or (callable(handler) and not by_exception(number))
