import struct

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from sbvi.config import UserError
from sbvi.data import decoders


def idx_file(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_idx_reads_the_official_format():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(decoders.idx(idx_file(array), "f"), array)


@given(st.binary(max_size=64))
def test_idx_reads_or_says_why_not(content):
    try:
        assert decoders.idx(content, "f").size >= 0
    except UserError as error:
        assert "\n" not in str(error)


@given(st.integers(0, 40), st.integers(0, 255))
def test_altered_idx_headers_never_crash(position, value):
    content = bytearray(idx_file(np.zeros((2, 3, 4), np.uint8)))
    content[position % len(content)] = value
    try:
        decoders.idx(bytes(content), "f")
    except UserError as error:
        assert "\n" not in str(error)


def test_amat():
    rows = np.random.default_rng(0).integers(0, 2, (5, 4)).astype(np.uint8)
    text = "".join(" ".join(map(str, row)) + "\n" for row in rows).encode()
    np.testing.assert_array_equal(decoders.amat(text, "f", 4), rows)
    for wrong in (b"", text[:-1], text.replace(b"1", b"7"), text.replace(b" ", b",")):
        with pytest.raises(UserError, match="f "):
            decoders.amat(wrong, "f", 4)


def test_mat(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.ones((2, 2)), "s": "text"})
    content = (tmp_path / "a.mat").read_bytes()
    np.testing.assert_array_equal(decoders.mat(content, "f", ("x",))["x"], np.ones((2, 2)))
    with pytest.raises(UserError, match="no array y"):
        decoders.mat(content, "f", ("y",))
    with pytest.raises(UserError, match="s is not a numeric array"):
        decoders.mat(content, "f", ("s",))
    with pytest.raises(UserError, match="not a readable MATLAB 5 file"):
        decoders.mat(b"nothing of the kind", "f", ("x",))
