"""How the cores share long work: each goes over batches of its own, where there are enough, by a program for one core.

A program for all cores waits for the slowest at every operation, and products of a few thousand rows gain little from
a second. Benchmark: `scripts/benchmark.py --parts evaluation`.
"""

import math
import os

from sbvi.core.placement import Placement
from sbvi.core.xla import for_cpu

#: Dispatches of a long evaluation, about.
PIECES = 20
#: For a program that one core runs, in vectors of the processor's full width, which XLA halves by default.
ONE_CORE = {"xla_cpu_multi_thread_eigen": False, "xla_cpu_prefer_vector_width": 512}


def cores() -> int:
    """Those that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def by_core(batches: int, placement: Placement) -> bool:
    """Whether each core goes over batches of its own: at least two, since the program of one would be another."""
    return for_cpu() and placement.devices == 1 and (cores() == 1 or batches >= 2 * cores())


def piece_size(batches: int, cores: int = 1) -> int:
    """Batches of a dispatch, at least two, or all where there are fewer.

    Of one core the greatest divisor that makes PIECES of them or more; all of them where there is none. Of several
    the size with which they end first, about PIECES of them where that costs nothing; the last piece then begins
    earlier, so that it is of the same size.
    """
    if cores == 1:
        sizes = [size for size in range(2, max(2, batches // PIECES) + 1) if batches % size == 0]
        return max(sizes, default=batches)
    turns = range(1, max(1, min(math.ceil(PIECES / cores), batches // (2 * cores))) + 1)
    each = {turn: math.ceil(batches / (turn * cores)) for turn in turns}
    return each[min(turns, key=lambda turn: (turn * each[turn], -turn))]
