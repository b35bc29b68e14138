"""Images as strengths of a dictionary's words, against loops over patches."""

import hashlib
import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn import cluster
from threadpoolctl import threadpool_info, threadpool_limits

from sbvi.core import UserError, build
from sbvi.data import DATASETS
from sbvi.data.files import RemoteFile
from sbvi.data.formats import decoders
from sbvi.data.patch_features import PatchCode, encoded, learned, pooled, strengths
from sbvi.data.sources import cifar10


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 9, 8, 3), np.uint8)


def test_strengths_are_those_of_every_patch_by_cell():
    x = images(3)
    dictionary = learned(x, PatchCode(words=4, grid=2, patches=200))
    found = strengths(x, dictionary, 2)
    expected = np.zeros((3, 2, 2, 4))
    for n, i, j in np.ndindex(3, 4, 3):  # 9 - 5 and 8 - 5 places
        patch = x[n, i : i + 6, j : j + 6].astype(float).ravel()
        patch = (patch - patch.mean()) / np.sqrt(patch.var() + 10)
        white = (patch - dictionary.mean) @ dictionary.whitening
        distance = np.sqrt(((white - dictionary.words) ** 2).sum(1))
        expected[n, i * 2 // 4, j * 2 // 3] += np.maximum(distance.mean() - distance, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_whitened_patches_have_no_correlations_left():
    x = np.random.default_rng(1).integers(0, 256, (40, 9, 8, 3), np.uint8)
    dictionary = learned(x, PatchCode(words=2, grid=1, patches=3000))
    windows = np.lib.stride_tricks.sliding_window_view(x, (6, 6), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    patches = windows.reshape(-1, 108).astype(float)
    patches -= patches.mean(1, keepdims=True)
    patches /= np.sqrt((patches**2).mean(1, keepdims=True) + 10)
    covariance = np.cov((patches - dictionary.mean) @ dictionary.whitening, rowvar=False)
    # The whitening adds 0.1 to a spectrum of about 1 each.
    assert np.abs(np.diag(covariance) - 1 / 1.1).max() < 0.3
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 0.2


def test_they_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SBVI_CACHE_DIR", str(tmp_path))
    code = PatchCode(words=3, grid=1, patches=100)
    parts = [images(5), images(2, 1)]
    first = pooled(parts, code)
    (kept,) = (tmp_path / "features").iterdir()
    before = kept.stat().st_mtime_ns
    again = pooled(parts, code)
    assert kept.stat().st_mtime_ns == before
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [a.shape for a in first] == [(5, 1, 1, 3), (2, 1, 1, 3)]
    assert first[0].dtype == np.uint8
    assert first[0].max() == 255
    kept.write_bytes(kept.read_bytes()[:200])
    for a, b in zip(first, pooled(parts, code), strict=True):
        np.testing.assert_array_equal(a, b)
    assert kept.stat().st_size > 200
    monkeypatch.setenv("SBVI_CACHE_DIR", str(kept))  # no folder
    with pytest.raises(UserError, match=r"where features are kept, cannot be written .*; set SBVI_CACHE_DIR"):
        pooled(parts, code)


@pytest.mark.parametrize(("source", "cells"), [("cifar10", 27), ("stl10", 91)])
def test_more_words_or_cells_than_there_can_be_are_refused(source, cells):
    with pytest.raises(UserError, match=r"^dataset: features=200001 must be at most 200000, the patches that"):
        build(DATASETS, "dataset", {"name": source, "features": 200_001})
    with pytest.raises(UserError, match=rf"^dataset: grid={cells + 1} must be at most {cells}, the places of a patch"):
        build(DATASETS, "dataset", {"name": source, "grid": cells + 1})
    build(DATASETS, "dataset", {"name": source, "features": 200_000, "grid": cells})


def test_more_words_than_memory_holds_are_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SBVI_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("sbvi.core.memory.available", lambda: 10 * 2**20)
    # 7 images of 4 cells, a byte for each; 20 images of 4 x 3 places and 5 of 4 cells, 4 bytes for each
    words = -(-10 * 2**20 // (7 * 4 + 4 * (20 * 12 + 5 * 4)))
    with pytest.raises(UserError, match=rf"^Too large: dataset.features={words} with dataset.grid=2 would take "):
        pooled([images(5), images(2, 1)], PatchCode(words=words, grid=2))
    assert not any(tmp_path.iterdir())


def test_words_do_not_depend_on_the_number_of_threads(monkeypatch):
    """Sums over threads are of another order with each number of them, and a run's features would be other data."""
    threads = []

    class Watched(cluster.KMeans):
        def fit(self, x):
            threads.extend(library["num_threads"] for library in threadpool_info())
            return super().fit(x)

    monkeypatch.setattr(cluster, "KMeans", Watched)
    with threadpool_limits(2):
        learned(images(3), PatchCode(words=2, grid=1, patches=100))
        assert set(threads) == {1}
        assert 2 in {library["num_threads"] for library in threadpool_info()}


def archive(**files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as made:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/") + ".jpg")
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_a_data_set_of_jpegs_as_features(tmp_path, monkeypatch):
    """Its last images by class validate, mirror images train too,."""
    files = {}
    for position, name in enumerate(cifar10._CLASSES):
        for part, count in (("train", 3), ("test", 1)):
            files |= {f"{part}__{name}__{i}": jpeg(20 * position + i, (32, 32)) for i in range(count)}
    content = archive(**files)
    (tmp_path / "data.tar.xz").write_bytes(content)
    monkeypatch.setenv("SBVI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SBVI_CACHE_DIR", str(tmp_path / "cache"))
    remote = RemoteFile("data.tar.xz", hashlib.sha256(content).hexdigest(), packed=True)
    monkeypatch.setattr(cifar10, "_JPEG", remote)
    plain = cifar10.Cifar10(source="jpeg", mirrored=True, validation_size=10).load()
    assert [len(split) for split in plain.splits.values()] == [40, 10, 10]
    np.testing.assert_array_equal(plain.train.x[20:], plain.train.x[:20, :, ::-1])
    np.testing.assert_array_equal(plain.train.label, np.tile(np.repeat(np.arange(10), 2), 2))
    np.testing.assert_allclose(plain.validation.x.mean((1, 2, 3)), 20 * np.arange(10) + 2, atol=1)
    few = lambda splits, code: encoded(splits, replace(code, patches=50))  # noqa: E731
    monkeypatch.setattr(cifar10, "encoded", few)
    found = cifar10.Cifar10(source="jpeg", features=1, grid=5, validation_size=10).load()
    assert found.event_shape == (5, 5, 1)
    np.testing.assert_array_equal(found.test.label, np.arange(10))
    odd = cifar10.Cifar10(source="jpeg", validation_size=13).load()  # as many as were asked for
    np.testing.assert_array_equal(odd.validation.label, np.repeat(np.arange(10), [2] * 3 + [1] * 7))
    assert len(odd.train) == 17
    with pytest.raises(UserError, match="validation_size=21 leaves none of the 3 training images of airplane; allowed"):
        cifar10.Cifar10(source="jpeg", validation_size=21).load()


def jpeg(shade, size=(8, 8)):
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, shade, shade)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_folders_of_jpegs():
    content = archive(a__1=jpeg(200), a__0=jpeg(100), b__0=jpeg(0))
    found = decoders.jpeg_folders(content, "f", (8, 8, 3))
    assert set(found) == {"a", "b"}
    np.testing.assert_allclose(found["a"].mean((1, 2, 3)), [100, 200], atol=1)
    with pytest.raises(UserError, match=r"f has a/1.jpg of shape \(4, 8, 3\)"):
        decoders.jpeg_folders(archive(a__1=jpeg(0, (8, 4))), "f", (8, 8, 3))
    for damaged in (content[:100], b"", archive(a__0=b"no image")):
        with pytest.raises(UserError, match="f is not a readable archive of JPEG files"):
            decoders.jpeg_folders(damaged, "f", (8, 8, 3))
