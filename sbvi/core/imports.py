"""Imports without Python's garbage collector.

What trains brings hundreds of thousands of objects that last as long as the process. The collector walks them again and
again while they come, a fifth of the time that the imports take, and once more at each later collection.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Hold the collector off, and keep what has come out of its sight.

    Where nothing new is imported nothing is kept: in a sweep's later jobs that would be what earlier ones left behind.
    """
    on, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
        if on:
            gc.enable()
