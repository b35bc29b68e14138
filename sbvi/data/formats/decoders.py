"""Readers of the official file formats; each checks what it reads and runs nothing in it."""

import gzip
import io
import math
import struct
import tarfile
import zlib

import numpy as np

from sbvi.core import UserError
from sbvi.data import aligned

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
    return aligned.copied(_shaped(content, dtype, start, shape, name), dtype.newbyteorder("="))


def _shaped(content: bytes, dtype: np.dtype, start: int, shape: tuple[int, ...], name: str) -> np.ndarray:
    """The values from byte `start` on, which must be exactly as many as the shape announces, and some."""
    size = dtype.itemsize * math.prod(shape)
    if size == 0 or len(content) - start != size:
        raise UserError(f"{name} announces shape {shape}, {size} bytes, and holds {len(content) - start} bytes.")
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def amat(content: bytes, name: str, columns: int, separator: str = " ") -> np.ndarray:
    """Rows of `columns` digits 0 or 1 with single separators between, as uint8."""
    values = np.frombuffer(content, np.uint8)
    if len(values) == 0 or len(values) % (2 * columns):
        raise UserError(f"{name} is not a table of {columns} digits a line: its length is {len(values)} bytes.")
    table = values.reshape(-1, columns, 2)
    separators = table[:, :, 1]
    if (separators[:, -1] != ord("\n")).any() or (separators[:, :-1] != ord(separator)).any():
        raise UserError(f"{name} is not a table of {columns} digits a line with single {separator!r} between.")
    digits = table[:, :, 0] - np.uint8(ord("0"))
    if (digits > 1).any():
        raise UserError(f"{name} holds values other than 0 and 1.")
    return digits


def sparse(content: bytes, name: str, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """LIBSVM's text of binary features: a label, then PLACE:1 for every 1, places from 1 on; uint8 (N, columns), and
    labels (N,)."""
    lines = content.splitlines()
    x, label = np.zeros((len(lines), columns), np.uint8), np.zeros(len(lines), np.int32)
    for row, line in enumerate(lines):
        try:
            first, *pairs = line.split()
            label[row] = int(first)
            places = [pair.split(b":") for pair in pairs]
            index = [int(place) for place, value in places if int(value) == 1]
        except ValueError:
            raise UserError(f"{name}, line {row + 1}: not a label and places such as 12:1.") from None
        if len(index) != len(pairs) or (index and not 1 <= min(index) <= max(index) <= columns):
            raise UserError(f"{name}, line {row + 1}: places must be of 1..{columns}, each with the value 1.")
        x[row, np.array(index, int) - 1] = 1
    if not lines:
        raise UserError(f"{name} is empty.")
    return x, label


_NORB_TYPES = {0x1E3D4C55: "<u1", 0x1E3D4C54: "<i4"}


def norb(content: bytes, name: str) -> np.ndarray:
    """The binary matrix of NORB: a magic number for the type, the rank, at least three little-endian
    sizes, then the values; gzipped or not."""
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{name} is a damaged gzip file ({error}).") from None
    if len(content) < 8:
        raise UserError(f"{name} is not a NORB matrix: it has {len(content)} bytes.")
    magic, rank = struct.unpack("<Ii", content[:8])
    if magic not in _NORB_TYPES or not 1 <= rank <= 8:
        raise UserError(f"{name} is not a NORB matrix of bytes or integers: it starts with {content[:8].hex()}.")
    start = 8 + 4 * max(3, rank)  # three sizes stand there even for fewer dimensions
    if len(content) < start:
        raise UserError(f"{name} is not a NORB matrix: its header of rank {rank} is cut short.")
    shape = struct.unpack(f"<{rank}I", content[8 : 8 + 4 * rank])
    return _shaped(content, np.dtype(_NORB_TYPES[magic]), start, shape, name)


def cifar(content: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-10 records, a label byte and 3 x 32 x 32 planes: images (N, 32, 32, 3) and labels (N,)."""
    record = 1 + 3 * 32 * 32
    if not content or len(content) % record:
        raise UserError(f"{name} is not a file of {record}-byte CIFAR-10 records: it has {len(content)} bytes.")
    rows = np.frombuffer(content, np.uint8).reshape(-1, record)
    if rows[:, 0].max() > 9:
        raise UserError(f"{name} holds the label {rows[:, 0].max()}; CIFAR-10 has 0..9.")
    images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), rows[:, 0].astype(np.int32)


def tar_members(content: bytes, name: str, members: tuple[str, ...]) -> list[bytes]:
    """The named regular files of a tar archive, read in memory: nothing is unpacked to disk, so that no
    member's name or link can lead anywhere."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            entries = {entry.name: entry for entry in archive.getmembers() if entry.isreg()}
            for member in members:
                if member not in entries:
                    raise UserError(f"{name} has no file {member}.")
            return [archive.extractfile(entries[member]).read() for member in members]  # type: ignore[union-attr]
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(f"{name} is not a readable tar archive ({type(error).__name__}).") from None


def png(content: bytes, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """An RGB PNG of exactly this shape (H, W, 3), uint8."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if (image.height, image.width, len(image.getbands())) == shape:
                return np.asarray(image, np.uint8)
            actual = f"{image.height} x {image.width} with {len(image.getbands())} channels"
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise UserError(f"{name} is not a readable PNG ({type(error).__name__}).") from None
    raise UserError(f"{name} is {actual}; it must be {shape[0]} x {shape[1]} with {shape[2]} channels.")


def jpeg_folders(content: bytes, name: str, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Folder -> its RGB images, (N, *shape) uint8 in the order of their names, of a tar archive of JPEG files."""
    from PIL import Image

    found: dict[str, dict[str, np.ndarray]] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for entry in archive:
                if not entry.isreg() or not entry.name.endswith(".jpg"):
                    continue
                with Image.open(archive.extractfile(entry), formats=["JPEG"]) as image:  # type: ignore[arg-type]
                    pixels = np.asarray(image, np.uint8)
                if pixels.shape != shape:
                    raise UserError(f"{name} has {entry.name} of shape {pixels.shape}; it must be {shape}.")
                folder, _, file = entry.name.rpartition("/")
                found.setdefault(folder, {})[file] = pixels
    except UserError:
        raise
    except Exception as error:  # tarfile, the decompressors and Pillow raise many kinds on damaged files
        raise UserError(f"{name} is not a readable archive of JPEG files ({type(error).__name__}).") from None
    return {folder: np.stack([images[file] for file in sorted(images)]) for folder, images in found.items()}
