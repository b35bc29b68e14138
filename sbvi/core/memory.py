"""How much memory there is, asked before it is taken."""

import contextlib
import ctypes
import os
from pathlib import Path
from typing import NamedTuple

from sbvi.core import UserError


class _Names(NamedTuple):
    """Files of a control group: its limit, what is taken, and in memory.stat what of that is the cache of files."""

    limit: str
    taken: str
    cache: tuple[str, ...]


_V2 = _Names("memory.max", "memory.current", ("inactive_file", "active_file"))
_V1 = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))


def left_to_groups(own: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Bytes that each control group with a limit leaves, of this process's and those above it.

    The cache of files is given back where memory is short, and counts as free. What cannot be read has no limit.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    found = [_left(root, _V2), _left(root / "memory", _V1)]  # in a container its own group may be the root alone
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            tops, names = [root, root / "unified"], _V2
        elif "memory" in controllers.split(","):
            tops, names = [root / "memory"], _V1
        else:
            continue
        parts = [part for part in path.split("/") if part]
        if ".." in parts:  # outside of what this process is shown
            continue
        found += [_left(top.joinpath(*parts[:depth]), names) for top in tops for depth in range(1, len(parts) + 1)]
    return [left for left in found if left is not None]


def _left(group: Path, names: _Names) -> int | None:
    try:
        limit = int((group / names.limit).read_text())
    except (OSError, ValueError):  # there is none, or it says `max`
        return None
    taken = cache = 0
    with contextlib.suppress(OSError, ValueError):
        taken = int((group / names.taken).read_text())
    with contextlib.suppress(OSError, ValueError):
        stat = dict(line.split(maxsplit=1) for line in (group / "memory.stat").read_text().splitlines())
        cache = sum(int(stat.get(name, 0)) for name in names.cache)
    return max(0, limit - max(0, taken - cache))


def available() -> int:
    """Bytes of main memory that can be had: what is free, within the limits of the container."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = 1024 * int(line.split()[1])
    return min([free, *left_to_groups()])


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
