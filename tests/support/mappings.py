"""Compiled programs that no test needs any more, given back before the system refuses more.

A process may map so many pieces of memory (65,530 on Linux, unless vm.max_map_count says otherwise), and every compiled
program takes some: a worker's half of the tests some 40,000, a module 8,000 at most. A process that ran all of them was
aborted by XLA on the way. To forget them takes two seconds, and what is asked for again is traced anew.
"""

import gc
from pathlib import Path

import jax

MOST = 50_000


def count():
    """Of this process; 0 where the system does not tell."""
    try:
        return Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return 0


def release(most=MOST):
    """Forget what JAX has compiled where there are more mappings than that."""
    if count() > most:
        jax.clear_caches()
        gc.collect()
