"""Numeric arrays of MATLAB 5 files.

A reader of our own, of this one part of the format: SciPy's believes the sizes a file announces, and a
damaged file can end the process. Format: MathWorks, "MAT-File Format", R2017b, chapter 1.
"""

import math
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from sbvi.core import UserError
from sbvi.core.memory import require

_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_NUMERIC_CLASSES = range(6, 16)
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_COMPLEX = 0x0800
_NONE = (0, memoryview(b""))
_PACKING = 1024  # DEFLATE cannot do better: what claims more is damaged


class _DamagedError(Exception):
    """What is wrong, for the sentence."""


def mat(content: bytes, name: str, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named arrays, real and numeric, in the dtype they are stored in: MATLAB keeps whole doubles as bytes.

    Raises:
      UserError: the file is not of the format, lacks an array, or would not fit into memory.
    """
    found = {}
    try:
        order = _byte_order(content)
        for kind, body in _elements(content[128:], order):
            if kind == _COMPRESSED:
                ((kind, body),) = _elements(_unpacked(body, order, name), order)
            if kind == _MATRIX and (array := _array(body, order, keys)) is not None:
                found[array[0]] = array[1]
    except (_DamagedError, struct.error, zlib.error, ValueError) as error:
        raise UserError(f"{name} is not a readable MATLAB 5 file ({error}).") from None
    for key in keys:
        if key not in found:
            raise UserError(f"{name} has no array {key}.")
        if found[key] is None:
            raise UserError(f"{name}: {key} is not a real numeric array.")
    return {key: value for key, value in found.items() if value is not None}


def _byte_order(content: bytes) -> str:
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise _DamagedError("its header of 128 bytes is missing")
    return order


def _elements(content: bytes | memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of the data elements that follow one another."""
    view, at = memoryview(content), 0
    while at < len(view):
        kind, size = struct.unpack_from(order + "II", view, at)
        start = at + 8
        if kind >> 16:  # up to four bytes stand within the tag
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            if size > 4:
                raise _DamagedError(f"a short element announces {size} bytes")
        if start + size > len(view):
            raise _DamagedError(f"an element announces {size} bytes where {max(len(view) - start, 0)} are left")
        yield kind, view[start : start + size]
        at = start + size if kind == _COMPRESSED else at + 8 + (0 if start == at + 4 else -(-size // 8) * 8)


def _unpacked(body: memoryview, order: str, name: str) -> bytes:
    """A compressed element; its own tag says how long it is, and no more is unpacked."""
    stream = zlib.decompressobj()
    tag = stream.decompress(body, 8)
    size = struct.unpack(order + "II", tag)[1]
    if size > _PACKING * (len(body) + 64):
        raise _DamagedError(f"{len(body)} packed bytes announce {size}")
    require(size, name)
    rest = stream.decompress(stream.unconsumed_tail, size) if size else b""
    if len(rest) != size:
        raise _DamagedError(f"a packed element announces {size} bytes and holds {len(rest)}")
    return tag + rest


def _array(body: memoryview, order: str, keys: tuple[str, ...]) -> tuple[str, np.ndarray | None] | None:
    """Name and values of a matrix element; no values where it is not real and numeric, nothing if not asked for."""
    parts = _elements(body, order)
    flags = np.frombuffer(_part(parts, _UINT32), order + "u4")
    dimensions = np.frombuffer(_part(parts, _INT32), order + "i4")
    key = bytes(_part(parts, _INT8)).decode("ascii", "replace")
    if key not in keys:
        return None
    if len(flags) != 2 or len(dimensions) < 2 or (dimensions < 0).any():
        raise _DamagedError(f"array {key} has no sizes")
    if int(flags[0]) & 0xFF not in _NUMERIC_CLASSES or int(flags[0]) & _COMPLEX:
        return key, None
    kind, data = next(parts, _NONE)
    if kind not in _STORED:
        raise _DamagedError(f"array {key} holds values of the unknown type {kind}")
    stored = np.dtype(order + _STORED[kind])
    shape = tuple(int(extent) for extent in dimensions)
    if math.prod(shape) * stored.itemsize != len(data):
        raise _DamagedError(f"array {key} of shape {shape} holds {len(data)} bytes")
    return key, np.frombuffer(data, stored).reshape(shape, order="F").astype(stored.newbyteorder("="))


def _part(parts: Iterator[tuple[int, memoryview]], kind: int) -> memoryview:
    found, body = next(parts, _NONE)
    if found != kind:
        raise _DamagedError(f"an element of type {found} stands where one of type {kind} belongs")
    return body
