"""MATLAB 5 files: what data sets ask for, and nothing that is no plain array."""

import hashlib
import io

import numpy as np
import pytest
import scipy.io

from sbvi.core import UserError
from sbvi.data.files import RemoteFile
from sbvi.data.formats.matlab import mat

pytestmark = pytest.mark.quick

WANTED = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Writes a file and says where it is and what its hash must be."""
    monkeypatch.setenv("SBVI_DATA_DIR", str(tmp_path))

    def write(algorithm="sha256", **values):
        buffer = io.BytesIO()
        scipy.io.savemat(buffer, values, do_compression=True)
        (tmp_path / "f.mat").write_bytes(buffer.getvalue())
        return RemoteFile("f.mat", hashlib.new(algorithm, buffer.getvalue()).hexdigest(), algorithm=algorithm)

    return write


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_the_named_arrays_come_in_their_dtype(algorithm, saved):
    found = mat(saved(algorithm, before="text", x=WANTED, y=np.eye(3)), ("x", "y"))
    assert found.keys() == {"x", "y"}
    assert found["x"].dtype == np.uint8
    np.testing.assert_array_equal(found["x"], WANTED)
    np.testing.assert_array_equal(found["y"], np.eye(3))


@pytest.mark.parametrize(
    "value",
    ["text", np.eye(2) * 1j, {"a": 1}, np.array([[np.eye(2), "cell"]], dtype=object)],
    ids=["text", "complex", "struct", "cell"],
)
def test_what_is_no_numeric_array_is_refused(value, saved):
    with pytest.raises(UserError, match=r"f\.mat: y is not a real numeric array"):
        mat(saved(y=value), ("y",))


def test_an_array_that_is_not_there_is_named(saved):
    with pytest.raises(UserError, match=r"f\.mat has no array y"):
        mat(saved(x=WANTED), ("y",))


@pytest.mark.parametrize(("algorithm", "name"), [("sha256", "SHA-256"), ("md5", "MD5")])
def test_no_byte_is_read_before_the_hash_was_checked(algorithm, name, saved, tmp_path, monkeypatch):
    remote = saved(algorithm, x=WANTED)
    (tmp_path / "f.mat").write_bytes((tmp_path / "f.mat").read_bytes()[:-1])
    monkeypatch.setattr(scipy.io, "loadmat", lambda *a, **k: pytest.fail("it was read"))
    with pytest.raises(UserError, match=f"does not hold f.mat: its content has {name} "):
        mat(remote, ("x",))
