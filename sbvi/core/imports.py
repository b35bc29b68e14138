"""Imports without Python's garbage collector, and without an interrupt in their middle.

What trains brings hundreds of thousands of objects that last as long as the process. The collector walks them again and
again while they come, a fifth of the time that the imports take, and once more at each later collection. An extension
of JAX that meets Ctrl-C while it is imported ends the process by an abort, with a page of frames.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sbvi.core.interrupts import uninterrupted


@contextmanager
def uncollected() -> Iterator[None]:
    """Hold the collector off, and keep what has come out of its sight; signals too, until the imports are done.

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
