"""Imports without Python's garbage collector, and without an interrupt in their middle.

What trains brings hundreds of thousands of objects that last as long as the process. The collector walks them again and
again while they come, a fifth of the time that the imports take, and once more at each later collection. An extension
of JAX that meets Ctrl-C while it is imported ends the process by an abort, with a page of frames.
"""

import gc
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def uncollected() -> Iterator[None]:
    """Hold the collector off, and keep what has come out of its sight; Ctrl-C too, until the imports are done.

    Where nothing new is imported nothing is kept: in a sweep's later jobs that would be what earlier ones left behind.

    Raises:
      KeyboardInterrupt: there was one within. A second one ends the process at once.
    """
    on, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        with uninterrupted():
            yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
        if on:
            gc.enable()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Have the first SIGINT wait; where someone else listens to it, or this is no main thread, nothing is changed.

    Raises:
      KeyboardInterrupt: there was one within. A second one ends the process at once.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    met = []

    def note(number: int, _: Any) -> None:
        met.append(number)
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if met:
        raise KeyboardInterrupt
