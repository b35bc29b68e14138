"""Signals that end a command: each an exception of its own, which waits where it may not come."""

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """A signal was heard that ends the whole command once what was begun is saved.

    code: the exit code that a shell has for a process which the signal ended, 128 + N.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[int]]:
        """By its number, as a worker of joblib hands it to the sweep; by default it would be made from its text."""
        return type(self), (self.code - 128,)


def terminate(number: int, _: FrameType | None) -> None:
    """What a command does at SIGTERM outside training: it ends by an exception, as at Ctrl-C, so that what was begun is
    told and what never began is taken away. A second one ends the process at once.

    Raises:
      Interrupted: always.
    """
    signal.signal(number, signal.SIG_DFL)
    raise Interrupted(number)


def interrupt_once(number: int, _: FrameType | None) -> None:
    """What a sweep's worker does at SIGINT outside training: as Python itself, at the first. Others are the same one,
    since a terminal tells all processes and the sweep's own hands it on; the user's second ends that, and it the
    workers.

    Raises:
      KeyboardInterrupt: always.
    """
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def after_first(handler: Any) -> Any:
    """What a signal does from the first on, by the handler that it had: it ends the process, or nothing more."""
    return signal.SIG_IGN if handler is interrupt_once else signal.SIG_DFL


@contextmanager
def hearing() -> Iterator[None]:
    """Within, SIGTERM is an exception (`terminate`); where someone else listens to it, or this is no main thread,
    nothing is changed. And no signal's exception is lost where Python ignores any, such as in a callback of its garbage
    collector: the signal is sent again."""
    main = threading.current_thread() is threading.main_thread()
    ours = main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, terminate)
    before, sys.unraisablehook = sys.unraisablehook, functools.partial(_ignored, sys.unraisablehook)
    try:
        yield
    finally:
        sys.unraisablehook = before
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def untaken() -> None:
    """Leave SIGTERM to the system again, where it is an exception of ours: an exception would have joblib kill its
    workers, who stop and save by themselves when the sweep's process ends."""
    if by_exception(signal.SIGTERM):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _ignored(otherwise: Callable[[Any], Any], unraisable: Any) -> None:
    """What becomes of an exception that Python can raise nowhere."""
    error = unraisable.exc_value
    number = signal_of(error) if isinstance(error, KeyboardInterrupt) else None
    if number is None:
        otherwise(unraisable)
        return
    if threading.current_thread() is threading.main_thread():
        if number == signal.SIGTERM:
            signal.signal(number, terminate)
        elif signal.getsignal(number) is signal.SIG_IGN:  # by its first
            signal.signal(number, interrupt_once)
    again = threading.Timer(0.02, os.kill, (os.getpid(), number))  # when the callback is over
    again.daemon = True
    again.start()


def by_exception(number: int) -> bool:
    """Whether a signal ends this process by an exception of ours or Python's: it is nobody else's to hear."""
    return signal.getsignal(number) in (signal.default_int_handler, interrupt_once, terminate)


def signal_of(error: BaseException) -> signal.Signals | None:
    """The signal that an exception stands for, None where it is none; also as an extension's code hands it on: as the
    text of an error of its own."""
    if isinstance(error, KeyboardInterrupt):
        return signal.Signals(error.code - 128) if isinstance(error, Interrupted) else signal.SIGINT
    if error.__cause__ is not None and (cause := signal_of(error.__cause__)) is not None:
        return cause
    last = str(error).rstrip().rpartition("\n")[2]
    if last.endswith("KeyboardInterrupt:"):
        return signal.SIGINT
    return signal.SIGTERM if last.endswith(f"{Interrupted.__name__}: {signal.SIGTERM.name}") else None


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Have the first SIGINT wait, and the first SIGTERM where it is an exception (`terminate`); where someone else
    listens to one, or this is no main thread, nothing is changed.

    Raises:
      KeyboardInterrupt: there was one within. A second one ends the process at once (see `after_first`).
    """
    main = threading.current_thread() is threading.main_thread()
    ours = [number for number in (signal.SIGINT, signal.SIGTERM) if main and by_exception(number)]
    before: dict[int, Any] = {number: signal.getsignal(number) for number in ours}
    met: list[int] = []

    def note(number: int, _: Any) -> None:
        met.append(number)
        signal.signal(number, after_first(before[number]))

    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if met:
        signal.raise_signal(met[0])
