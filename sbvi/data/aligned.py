"""Arrays that JAX takes as they are on a CPU, so that data on the host and on the device is the same memory."""

import math
from typing import Any

import numpy as np

#: Bytes of which XLA wants an array's place to be a multiple; NumPy's own arrays begin where malloc says.
ALIGNMENT = 64


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of no values yet that begins at a multiple of ALIGNMENT."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def copied(values: np.ndarray, dtype: Any) -> np.ndarray:
    """The values in an array of this dtype."""
    made = empty(values.shape, dtype)
    made[...] = values
    return made


def taken(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """values[rows], of rows that are there."""
    made = empty((len(rows), *values.shape[1:]), values.dtype)
    np.take(values, rows, 0, made, "clip")  # "raise" would make a copy first
    return made
