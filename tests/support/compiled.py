"""Compiled programs kept from one test run to the next, in the user's cache folder."""

import importlib.metadata
import importlib.util
import os
import platform
import tempfile
import time
import zlib
from pathlib import Path

#: An entry is compiled anew after this time, so that the folder does not grow for ever.
KEPT_SECONDS = 30 * 86400


def lasting():
    """The folder for this jaxlib on this kind of machine; programs of another may not run here."""
    cache = os.environ.get("SBVI_CACHE_DIR") or f"{os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'}/sbvi"
    described = platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        described += next((line for line in info.read_text().splitlines() if line.startswith("flags")), "")
    return Path(cache) / f"test-xla-{importlib.metadata.version('jaxlib')}-{zlib.crc32(described.encode()):08x}"


def opened():
    """A temporary folder for one test run, with what earlier runs kept. Tests kill processes that write here, so
    that they must not write into the lasting folder: a torn entry would stay."""
    made = tempfile.TemporaryDirectory(prefix="sbvi-test-cache-", ignore_cleanup_errors=True)
    try:
        for entry in _entries(lasting()):
            os.link(entry.path, os.path.join(made.name, entry.name))
    except OSError:
        pass  # another file system, or no folder: programs are compiled anew
    return made


def keep(folder):
    """Add what a test run compiled to the lasting folder."""
    try:
        there = lasting()
        there.mkdir(parents=True, exist_ok=True)
        known = {entry.name for entry in _entries(there)}
        for entry in _entries(folder):
            if entry.name not in known and _whole(Path(entry.path)):
                os.link(entry.path, there / entry.name)
        for entry in _entries(there):
            if time.time() - entry.stat().st_mtime > KEPT_SECONDS:
                os.unlink(entry.path)
    except OSError:
        pass  # a cache is a convenience


def _entries(folder):
    """Of tens of thousands: what the folder's list says, without a Path for each."""
    with os.scandir(folder) as listed:
        return [entry for entry in listed if entry.name.endswith("-cache")]


def _whole(entry):
    """Whether JAX can unpack it; it packs by Zstandard where that is installed, and by zlib elsewhere."""
    content = entry.read_bytes()
    try:
        if importlib.util.find_spec("zstandard"):
            import zstandard

            zstandard.ZstdDecompressor().decompress(content)
        else:
            zlib.decompress(content)
    except Exception:  # of either library
        return False
    return True
