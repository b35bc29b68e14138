"""Where data files come from: the user's folder, the cache, or a download checked by its hash."""

import gzip
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sbvi.core import UserError
from sbvi.core.atomic import try_folder


class Unavailable(UserError):
    """A file is neither at hand nor to be had."""


@dataclass(frozen=True)
class RemoteFile:
    """A file with one content and several places to get it from, TLS mirrors first.

    name: canonical file name; the name with `.gz` is accepted too.
    digest: of the content after decompression, so that any gzip container serves, in hexadecimal digits.
    urls: addresses of the file; those that end in `.gz` are decompressed.
    packed: the hash is of the file as published, which is handed over as it is.
    algorithm: of the hash; MD5 only where no other is published.
    """

    name: str
    digest: str
    urls: tuple[str, ...] = ()
    packed: bool = False
    algorithm: Literal["sha256", "md5"] = "sha256"


def cache_folder() -> Path:
    """`$SBVI_CACHE_DIR`, else the platform's cache folder for sbvi; for a user without a home a temporary one."""
    if folder := os.environ.get("SBVI_CACHE_DIR"):
        return Path(folder).expanduser()
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder).expanduser() / "sbvi"
    try:
        return Path.home() / ".cache" / "sbvi"
    except RuntimeError:  # such as in a container, where the user has no entry and HOME is not set
        return Path(tempfile.gettempdir()) / f"sbvi-cache-{os.getuid()}"


def fetch(remote: RemoteFile) -> bytes:
    """The content of a file: from `$SBVI_DATA_DIR`, else the cache, else downloaded into the cache.

    Raises:
      Unavailable: no source had the file.
      UserError: what is at hand cannot be read, or does not have the expected hash.
    """
    places = [Path(folder).expanduser() for folder in [os.environ.get("SBVI_DATA_DIR")] if folder]
    for folder in [*places, cache_folder() / "data"]:
        for path in (folder / remote.name, folder / f"{remote.name}.gz"):
            if path.is_file():
                return _checked(_read(path, remote.packed), remote, str(path))
    return _download(remote, [*places, cache_folder() / "data"])


def _read(path: Path, packed: bool) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" and not packed else content
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it, or put a whole copy in its place.") from None
    except Exception as error:  # zlib.error has no common base with the others
        raise UserError(f"{path} is damaged ({error}); delete it, or put a whole copy in its place.") from None


def _checked(content: bytes, remote: RemoteFile, source: str) -> bytes:
    digest = hashlib.new(remote.algorithm, content, usedforsecurity=False).hexdigest()
    if digest != remote.digest:
        name = {"sha256": "SHA-256", "md5": "MD5"}[remote.algorithm]
        raise UserError(
            f"{source} does not hold {remote.name}: its content has {name} {digest[:16]}..., "
            f"expected {remote.digest[:16]}...; put a whole copy in its place."
        )
    return content


def _download(remote: RemoteFile, searched: list[Path]) -> bytes:
    import pooch

    folder = cache_folder() / "data"
    if remote.urls:
        try:
            try_folder((folder / remote.name).parent)
        except OSError as error:
            raise Unavailable(
                f"{remote.name} is not in {', '.join(map(str, searched))}, and {folder}, where it is kept once it is "
                f"downloaded, cannot be written ({error.strerror}); set SBVI_CACHE_DIR to a folder that can be, or put "
                f"the file in a folder and set SBVI_DATA_DIR to it."
            ) from None
    failures = []
    for url in remote.urls:
        name = remote.name + (".gz" if url.endswith(".gz") and not remote.packed else "")
        partial = f"{name}.part{os.getpid()}"
        try:
            # pooch checks nothing here: the hash is of the decompressed content, checked below.
            pooch.retrieve(url, known_hash=None, fname=partial, path=folder, progressbar=False)
            content = _checked(_decompressed(folder / partial, name, remote.packed), remote, url)
            os.replace(folder / partial, folder / name)
            return content
        except UserError as error:
            failures.append(str(error))
        except Exception as error:  # whatever a network library raises: the next mirror may do
            failures.append(f"{url}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        finally:
            (folder / partial).unlink(missing_ok=True)
    looked = ", ".join(map(str, searched))
    reasons = "; ".join(text[:160] for text in failures) or "there is no public address for it"
    raise Unavailable(
        f"{remote.name} is not in {looked} and could not be downloaded ({reasons}); "
        f"put the file in a folder and set SBVI_DATA_DIR to it."
    )


def _decompressed(path: Path, name: str, packed: bool) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if name.endswith(".gz") and not packed else content
