"""Memory that was freed goes back to the system."""

import platform
from pathlib import Path

import numpy as np

from sbvi.core.memory import give_back

MB = 1 << 20


def resident():
    """Bytes of this process in main memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return 1024 * int(line.split()[1])


def test_what_was_freed_below_what_is_kept_goes_back():
    if platform.libc_ver()[0] != "glibc":
        give_back()  # does no harm
        return
    pieces = [np.ones(8_000) for _ in range(1_000)]  # 64 MB, each too small to have pages of its own
    kept = pieces[-1]
    del pieces
    before = resident()
    give_back()
    assert before - resident() > 40 * MB
    assert kept.sum() == 8_000
