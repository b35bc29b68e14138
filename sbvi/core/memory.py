"""How much memory there is, asked before it is taken."""

import contextlib
import ctypes
import os
from pathlib import Path

from sbvi.core import UserError

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available() -> int:
    """Bytes of main memory that can be had: what is free, within the limit of the container."""
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(1024 * int(line.split()[1]))
    except (OSError, ValueError):
        pass
    if not limits:
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for place in _LIMITS:
        try:
            limits.append(int(Path(place).read_text()))
        except (OSError, ValueError):  # there is none, or it says `max`
            continue
    return min(limits)


def gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"


def require(needed: int, what: str) -> None:
    """Refuse what cannot fit.

    Raises:
      UserError: `needed` bytes for `what` are more than there are.
    """
    if needed > (there := available()):
        raise UserError(f"Too large: {what} would take at least {gib(needed)}, and {gib(there)} are available.")


def give_back() -> None:
    """Hand memory that was freed, such as a compiler's, back to the system, where the C library is one that keeps it.

    The GNU library keeps what threads free beside the main one until it is told.
    """
    with contextlib.suppress(OSError, AttributeError):  # another library, or another system
        ctypes.CDLL(None).malloc_trim(0)
