"""The files of a directory of shards: mapping them, and the info.json that describes them.

A shard is an .npy file, or an array of an .npz file that is stored as it is: what is compressed cannot be mapped.
"""

import hashlib
import json
import logging
import math
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sbvi.core import UserError
from sbvi.data.formats.own_files import why

log = logging.getLogger(__name__)

FORMAT = 1
INFO = "info.json"
UNFINISHED = ".unfinished"  # a file that stands in the directory until all shards are written
DTYPES = (np.uint8, np.float32)
BLOCK = 1 << 24  # bytes that are looked at together
_LOCAL = struct.Struct("<4s22xHH")  # of a zip's local header: signature, lengths of name and extra field


def read_info(folder: Path) -> Mapping[str, Any]:
    """What info.json says.

    Raises:
      UserError: there is none, or it is of another format.
    """
    refuse_unfinished(folder, f"dataset.path={folder}")
    try:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise UserError(
            f"dataset.path={folder} has no readable {INFO}; sbvi-convert input={folder} describes shards of your own."
        ) from None
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise UserError(f"{folder / INFO} has another format than {FORMAT}, which this version of sbvi reads.")
    return info


def refuse_unfinished(folder: Path, where: str) -> None:
    """Refuse a directory in which shards are still to be written; `where` names it in a sentence.

    Raises:
      UserError: `sbvi-convert` is writing there, or ended before it was done.
    """
    if (folder / UNFINISHED).exists() and not (folder / INFO).exists():
        raise UserError(
            f"{where} is unfinished: sbvi-convert is writing there, or was interrupted; sbvi-convert dataset=NAME "
            f"output={folder}, given again, writes it anew."
        )


def shard(folder: Path, entry: Mapping[str, Any], key: str = "file") -> np.ndarray:
    """The array that an entry of info.json names, as FILE.npy or FILE.npz:ARRAY, mapped and not read.

    Raises:
      UserError: it is elsewhere, damaged, or not of the size that is announced.
    """
    name = str(entry[key])
    file, _, member = name.partition(":")
    if Path(file).name != file:
        raise UserError(f"{folder / INFO} names {name}, which is not a file of its directory.")
    array = mapped(folder / file, member)
    if array.ndim < 1 or len(array) != entry["rows"] or not len(array):
        raise UserError(f"{folder / name} does not hold the {entry['rows']} rows that {INFO} announces.")
    return array


def stamp(path: Path) -> dict[str, int]:
    """Size and time of a file, by which `unchanged` sees that nobody has written to it since."""
    about = path.stat()
    return {"size": about.st_size, "mtime_ns": about.st_mtime_ns}


def blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """An array's rows, some at a time, in C order."""
    rows = max(1, BLOCK // max(1, array[0].nbytes))
    for start in range(0, len(array), rows):
        yield np.ascontiguousarray(array[start : start + rows])


def of_labels(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry has of its labels, by the names of what it has of its values: digest, size and time."""
    return {f"label_{name}": fact for name, fact in facts.items()}


def unchanged(folder: Path, entry: Mapping[str, Any], key: str = "file") -> np.ndarray:
    """The mapped shard of an entry, or its labels (`key="label"`), which hold what their digest is of.

    They are hashed again where the file has another size or time than it had: an older info.json, which has neither, is
    believed.

    Raises:
      UserError: it does not; or see `shard`.
    """
    array = shard(folder, entry, key)
    file, own, what = folder / str(entry[key]).partition(":")[0], "", "values"
    if key == "label":
        own, what = "label_", "labels"
    recorded = {name: entry[f"{own}{name}"] for name in ("size", "mtime_ns") if f"{own}{name}" in entry}
    if not recorded or recorded == stamp(file):
        return array
    log.info("Hashing %s, which was written after %s.", file, INFO)
    digest = hashlib.sha256()
    for block in blocks(array):
        digest.update(block.data)
    announced = str(entry[f"{own}sha256"])
    if digest.hexdigest() != announced:
        raise UserError(
            f"{file} has changed since {INFO} was written: its {what} have SHA-256 {digest.hexdigest()[:16]}.., and "
            f"{announced[:16]}.. is announced; put the old file back, or write or describe the shards anew."
        )
    return array


def mapped(path: Path, member: str = "") -> np.ndarray:
    """An .npy file, or an array of an .npz file, mapped.

    Raises:
      UserError: it cannot be read, is compressed, or holds objects.
    """
    where = f"{path}:{member}" if member else str(path)
    try:
        array = _member(path, member) if member else np.load(path, mmap_mode="r", allow_pickle=False)
    except UserError:
        raise
    except Exception as error:  # numpy and zipfile raise many kinds on damaged files
        raise UserError(f"{where} cannot be read as .npy or .npz ({why(error)}).") from None
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path} is not an .npy file.")
    return array


def _member(path: Path, name: str) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
        if info.compress_type != zipfile.ZIP_STORED:
            raise UserError(f"{path} is compressed and cannot be mapped; write it with numpy.savez.")
        with archive.open(info) as file:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, fortran, dtype = read[version](file)
            header = file.tell()
    if dtype.hasobject:
        raise UserError(f"{path}:{name} holds objects; allowed are plain numbers.")
    if (
        header + dtype.itemsize * math.prod(shape) != info.file_size
    ):  # its checksum is of values too, which are not read
        raise ValueError("its header announces another size than it has")
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        signature, length, extra = _LOCAL.unpack(file.read(_LOCAL.size))
    if signature != b"PK\x03\x04":
        raise ValueError("its directory points elsewhere")
    start = info.header_offset + _LOCAL.size + length + extra + header
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")
