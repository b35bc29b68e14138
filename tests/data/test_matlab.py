"""The reader of MATLAB 5 files against SciPy's, which is right on whole files."""

import io
import struct
import zlib

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sbvi.core import UserError
from sbvi.data.formats.matlab import mat

pytestmark = pytest.mark.quick

DTYPES = ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


def saved(compressed=False, **values):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, values, do_compression=compressed)
    return buffer.getvalue()


@given(st.data())
def test_arrays_come_back_as_scipy_reads_them(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    shape = arrays.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=4)
    wanted = data.draw(arrays.arrays(dtype, shape))
    content = saved(data.draw(st.booleans()), before="text", x=wanted, y=np.eye(3))
    found = mat(content, "f", ("x", "y"))
    assert found["x"].dtype == wanted.dtype
    np.testing.assert_array_equal(found["x"], wanted)
    np.testing.assert_array_equal(found["x"], scipy.io.loadmat(io.BytesIO(content))["x"])
    np.testing.assert_array_equal(found["y"], np.eye(3))


def test_big_endian_and_values_stored_in_a_smaller_type():
    """MATLAB keeps doubles that are whole numbers as bytes; SciPy reads both and writes neither."""
    values = np.array([[1, 2, 3], [4, 5, 255]])
    parts = [
        struct.pack(">IIII", 6, 8, 6, 0),
        struct.pack(">IIii", 5, 8, 2, 3),
        struct.pack(">HH4s", 1, 1, b"x"),
        struct.pack(">II6s2x", 2, 6, values.astype("u1").tobytes("F")),
    ]
    body = b"".join(parts)
    content = b"MATLAB".ljust(124) + struct.pack(">H", 0x0100) + b"MI" + struct.pack(">II", 14, len(body)) + body
    found = mat(content, "f", ("x",))["x"]
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(scipy.io.loadmat(io.BytesIO(content))["x"], values)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"nothing of the kind", "f is not a readable MATLAB 5 file"),
        (saved(x=np.eye(2)), "f has no array y"),
        (saved(y="text"), "y is not a real numeric array"),
        (saved(y=np.eye(2) * 1j), "y is not a real numeric array"),
        (saved(y={"a": 1}), "y is not a real numeric array"),
        (saved(y=np.eye(2))[:-1], "f is not a readable MATLAB 5 file"),
        (saved(True, y=np.eye(2))[:-9], "f is not a readable MATLAB 5 file"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(content, sentence):
    with pytest.raises(UserError, match=sentence):
        mat(content, "f", ("y",))


def test_a_packed_element_may_not_announce_what_it_cannot_hold():
    packed = zlib.compress(struct.pack("<II", 14, 1 << 31) + bytes(1000))
    content = saved(x=np.eye(1))[:128] + struct.pack("<II", 15, len(packed)) + packed
    with pytest.raises(UserError, match="announce"):
        mat(content, "f", ("x",))
