import gzip
import io
import math
import struct
import tarfile

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from support.official_files import norb_matrix

from sbvi.core import UserError
from sbvi.data.formats import decoders

pytestmark = pytest.mark.quick


def idx_file(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_idx_reads_the_official_format():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(decoders.idx(idx_file(array), "f"), array)


IDX = {0x08: np.uint8, 0x09: np.int8, 0x0B: np.int16, 0x0C: np.int32, 0x0D: np.float32, 0x0E: np.float64}


def idx_bytes(kind, shape, off):
    """A header of these, and as many bytes as it announces, or one more or less."""
    size = np.dtype(IDX.get(kind, np.uint8)).itemsize * math.prod(shape) + off
    values = bytes(i * 37 % 251 for i in range(max(0, size)))
    return struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape) + values


HEADERS = st.builds(
    idx_bytes, st.sampled_from([*IDX, 0x0A]), st.lists(st.integers(0, 4), max_size=3), st.integers(-1, 1)
)


@given(st.binary(max_size=64) | HEADERS)
@example(idx_bytes(0x0B, [2, 3], 0))
def test_idx_reads_or_says_why_not(content):
    """What is read has the type and the shape of the header, and the values behind it."""
    try:
        found = decoders.idx(content, "f")
    except UserError as error:
        assert "\n" not in str(error)
    else:
        start = 4 + 4 * content[3]
        assert found.dtype == IDX[content[2]]
        assert found.shape == struct.unpack(f">{content[3]}I", content[4:start])
        assert found.astype(found.dtype.newbyteorder(">")).tobytes() == content[start:]


@pytest.mark.parametrize("kind", IDX)
def test_idx_reads_every_type_and_no_other_size(kind):
    assert decoders.idx(idx_bytes(kind, [2, 3], 0), "f").shape == (2, 3)
    for off in (-1, 1):
        with pytest.raises(UserError, match=r"f announces shape \(2, 3\)"):
            decoders.idx(idx_bytes(kind, [2, 3], off), "f")


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


def test_norb_reads_the_official_format():
    images = np.random.default_rng(0).integers(0, 256, (2, 2, 3, 3), np.uint8)
    np.testing.assert_array_equal(decoders.norb(norb_matrix(images), "f"), images)
    labels = np.array([3, 1, 4], np.int32)
    np.testing.assert_array_equal(decoders.norb(norb_matrix(labels), "f"), labels)


def tar(**members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


@pytest.mark.promise("Archive members cannot escape their folder", "members")
def test_tar_members_are_read_in_memory_and_links_are_not_followed(tmp_path, monkeypatch, tally):
    monkeypatch.chdir(tmp_path)
    content = tar(**{"a": b"one", "../../escape": b"two", "/tmp/absolute": b"three"})
    assert decoders.tar_members(content, "f", ("a", "../../escape")) == [b"one", b"two"]
    assert not list(tmp_path.parent.glob("escape"))
    for absent in ("b", "link"):
        with pytest.raises(UserError, match=f"f has no file {absent}"):
            decoders.tar_members(content, "f", (absent,))
    tally(4)


def jpeg_tar():
    """A tar of a.jpg, uncompressed, so that damage reaches the image and not only its checksum."""
    image, buffer = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (4, 4), (9, 99, 199)).save(image, "JPEG")
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("folder/a.jpg")
        entry.size = len(image.getvalue())
        archive.addfile(entry, io.BytesIO(image.getvalue()))
    return buffer.getvalue()[:2048]


WHOLE = {
    decoders.norb: norb_matrix(np.zeros((2, 2, 3, 3), np.uint8)),
    lambda c, n: decoders.norb(c, n): gzip.compress(norb_matrix(np.zeros(4, np.int32))),
    decoders.cifar: bytes(2 * 3073),
    lambda c, n: decoders.tar_members(c, n, ("a",)): tar(a=b"x" * 600),
    lambda c, n: decoders.png(c, n, (2, 2, 3)): b"\x89PNG\r\n\x1a\n",
    lambda c, n: decoders.jpeg_folders(c, n, (4, 4, 3)): jpeg_tar(),
}


@pytest.mark.parametrize("position", range(len(WHOLE)))
@given(st.data())
def test_damaged_files_are_read_or_refused_in_one_sentence(position, data):
    reader, whole = list(WHOLE.items())[position]
    content = bytearray(whole or data.draw(st.binary(max_size=200)))
    for _ in range(data.draw(st.integers(0, 3)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        reader(content, "f")
    except UserError as error:
        assert "\n" not in str(error)
        assert str(error).startswith("f")


def test_sparse_text_of_ones():
    x, label = decoders.sparse(b"2 1:1 3:1\n1\n", "own", 3)
    np.testing.assert_array_equal(x, [[1, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(label, [2, 1])
    for damaged, said in (
        (b"", "empty"),
        (b"2 4:1", r"1\.\.3"),
        (b"1 2:2", "value 1"),
        (b"a 1:1", "line 1"),
        (b"1 2", "line 1"),
    ):
        with pytest.raises(UserError, match=said):
            decoders.sparse(damaged, "own", 3)


def test_digits_with_commas():
    np.testing.assert_array_equal(decoders.amat(b"0,1\n1,1\n", "own", 2, ","), [[0, 1], [1, 1]])
    with pytest.raises(UserError, match="single ','"):
        decoders.amat(b"0 1\n", "own", 2, ",")
