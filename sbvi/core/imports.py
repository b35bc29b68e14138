"""Imports without Python's garbage collector.

What trains brings hundreds of thousands of objects that last as long as the process. The collector walks them again and
again while they come, a fifth of the time that the imports take, and once more at each later collection.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Hold the collector off, and keep what has come out of its sight."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if on:
            gc.enable()
