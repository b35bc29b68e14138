"""Readers of the official file formats; each checks what it reads and runs nothing in it."""

import io
import struct

import numpy as np

from sbvi.config import UserError

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx(content: bytes, name: str) -> np.ndarray:
    """The idx format of MNIST: two zero bytes, a type, the rank, big-endian sizes, then the values."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise UserError(f"{name} is not an idx file: it starts with {content[:4].hex() or 'nothing'}.")
    dtype, rank = np.dtype(_IDX_TYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    if rank == 0 or len(content) < start:
        raise UserError(f"{name} is not an idx file: its header of rank {rank} is cut short.")
    shape = struct.unpack(f">{rank}I", content[4:start])
    size = dtype.itemsize
    for extent in shape:
        size *= extent
    if len(content) - start != size:
        raise UserError(f"{name} announces shape {shape}, {size} bytes, and holds {len(content) - start} bytes.")
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def amat(content: bytes, name: str, columns: int) -> np.ndarray:
    """Rows of `columns` digits 0 or 1 with single spaces between, as uint8."""
    values = np.frombuffer(content, np.uint8)
    if len(values) == 0 or len(values) % (2 * columns):
        raise UserError(f"{name} is not a table of {columns} digits a line: its length is {len(values)} bytes.")
    table = values.reshape(-1, columns, 2)
    separators = table[:, :, 1]
    if (separators[:, -1] != ord("\n")).any() or (separators[:, :-1] != ord(" ")).any():
        raise UserError(f"{name} is not a table of {columns} digits a line with single spaces between.")
    digits = table[:, :, 0] - np.uint8(ord("0"))
    if (digits > 1).any():
        raise UserError(f"{name} holds values other than 0 and 1.")
    return digits


def mat(content: bytes, name: str, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named numeric arrays of a MATLAB 5 file."""
    import scipy.io

    try:
        found = scipy.io.loadmat(io.BytesIO(content), variable_names=list(keys))
    except Exception as error:  # scipy raises many kinds on damaged files
        raise UserError(f"{name} is not a readable MATLAB 5 file ({type(error).__name__}).") from None
    for key in keys:
        if key not in found:
            raise UserError(f"{name} has no array {key}.")
        if not isinstance(found[key], np.ndarray) or found[key].dtype.kind not in "buif":
            raise UserError(f"{name}: {key} is not a numeric array.")
    return {key: found[key] for key in keys}
