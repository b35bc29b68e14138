"""Tiny files in the official formats of data sets, with their hashes put where the decoders look."""

import gzip
import hashlib
import io
import struct
import tarfile

import numpy as np
import scipy.io

from sbvi.data.files import RemoteFile
from sbvi.data.sources import cifar10, norb, omniglot, stl10, svhn

NORB = "smallnorb"


def write(folder, name, content):
    (folder / name).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def norb_matrix(array):
    magic = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54}[array.dtype.name]
    sizes = [*array.shape, *[1] * (3 - array.ndim)]
    header = struct.pack(f"<Ii{len(sizes)}i", magic, array.ndim, *sizes)
    return header + array.astype(array.dtype.newbyteorder("<")).tobytes()


def write_norb(folder, monkeypatch):
    generator = np.random.default_rng(0)
    hashes = {}
    for part, count in (("training", 9), ("testing", 5)):
        arrays = {"dat": generator.integers(0, 256, (count, 2, 96, 96), np.uint8)}
        arrays["cat"] = np.arange(count, dtype=np.int32) % 5
        for kind, array in arrays.items():
            name = f"{NORB}-{part}-{kind}.mat.gz"
            hashes[name] = write(folder, name, gzip.compress(norb_matrix(array)))
    monkeypatch.setattr(norb, "_TRAIN", f"{NORB}-training")
    monkeypatch.setattr(norb, "_TEST", f"{NORB}-testing")
    monkeypatch.setattr(norb, "_HASHES", hashes)
    return {"validation_size": 2}


def cifar_image(position):
    return np.random.default_rng(position).integers(0, 256, (32, 32, 3), np.uint8), position % 10


def write_cifar(folder, monkeypatch):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
        for batch, name in enumerate(names):
            records = b""
            for position in range(10 * batch, 10 * batch + 10):
                image, label = cifar_image(position)
                records += bytes([label]) + image.transpose(2, 0, 1).tobytes()
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(records)
            archive.addfile(entry, io.BytesIO(records))
    digest = write(folder, "cifar-10-binary.tar.gz", buffer.getvalue())
    monkeypatch.setattr(cifar10, "_ARCHIVE", RemoteFile("cifar-10-binary.tar.gz", digest, packed=True))
    return {}


def write_svhn(folder, monkeypatch):
    generator = np.random.default_rng(0)
    labels = {"train_32x32.mat": np.arange(1, 13) % 10 + 1, "test_32x32.mat": np.array([1, 9, 10, 2])}
    hashes = {}
    for name, y in labels.items():
        buffer = io.BytesIO()
        X = generator.integers(0, 256, (32, 32, 3, len(y)), np.uint8)
        scipy.io.savemat(buffer, {"X": X, "y": y[:, None].astype(np.uint8)}, do_compression=True)
        hashes[name] = write(folder, name, buffer.getvalue())
    monkeypatch.setattr(svhn, "_HASHES", hashes)
    return {"validation_size": 3}


def stl10_image(position):
    return np.random.default_rng(position).integers(0, 256, (96, 96, 3), np.uint8), position % 10


def write_stl10(folder, monkeypatch):
    (folder / "stl10_binary").mkdir(exist_ok=True)
    hashes = {}
    for part, positions in (("train", range(12)), ("test", range(12, 16))):
        images, labels = zip(*map(stl10_image, positions), strict=True)
        contents = {
            "X": b"".join(image[:, :, c].tobytes("F") for image in images for c in range(3)),
            "y": bytes(label + 1 for label in labels),
        }
        for kind, content in contents.items():
            (folder / "stl10_binary" / f"{part}_{kind}.bin").write_bytes(content)
            hashes[f"{part}_{kind}.bin"] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    monkeypatch.setattr(stl10, "_HASHES", hashes)
    return {"validation_size": 3}


def write_omniglot(folder, monkeypatch):
    """Every character is a horizontal bar in row 3; columns of the file store pixels column by column."""
    bar = np.zeros((28, 28))
    bar[3] = 1
    column = bar.ravel(order="F")[:, None]
    arrays = {}
    for which, count in (("", 12), ("test", 6)):
        arrays[f"{which}data"] = np.repeat(column, count, 1)
        arrays[f"{which}target"] = np.eye(50)[:, np.arange(count)]
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays)
    digest = write(folder, "chardata.mat", buffer.getvalue())
    monkeypatch.setattr(omniglot, "_FILE", RemoteFile("chardata.mat", digest))
    return {"validation_size": 4}


WRITERS = {
    "norb": write_norb,
    "cifar10": write_cifar,
    "svhn": write_svhn,
    "stl10": write_stl10,
    "omniglot": write_omniglot,
}
