"""Shards: what is converted comes back, damaged directories are told, and the order visits everything once."""

import errno
import fcntl
import io
import itertools
import json
import logging
import os
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbvi.core import UserError
from sbvi.data import Dataset, Preprocessing, Split, binarize
from sbvi.data.convert import _save, convert, describe
from sbvi.data.formats.shard_files import shard
from sbvi.data.sources.shards import ShardedArray, Shards
from sbvi.data.streaming import WindowedOrder, shard_sizes, streams

pytestmark = pytest.mark.quick


def made(labels=True):
    generator = np.random.default_rng(0)

    def split(count):
        x = generator.integers(0, 256, (count, 3, 4)).astype(np.uint8)
        return Split(x, generator.integers(0, 10, count).astype(np.int32) if labels else None)

    return Dataset("toy", split(25), split(6), split(7), Preprocessing.whole((3, 4), 255))


@pytest.mark.parametrize("labels", [True, False])
def test_a_converted_set_is_the_set(tmp_path, labels):
    dataset = made(labels)
    info = convert(dataset, tmp_path / "shards", 10)
    assert [entry["rows"] for entry in info["train"]] == [10, 10, 5]
    found = Shards(path=str(tmp_path / "shards")).load()
    assert isinstance(found.train.x, ShardedArray)
    assert (found.name, found.levels, found.binary) == ("toy", 255, False)
    for name in ("train", "validation", "test"):
        ours, theirs = found.split(name), dataset.split(name)
        np.testing.assert_array_equal(ours.x[:], theirs.x)
        assert ours.x.dtype == theirs.x.dtype
        if labels:
            np.testing.assert_array_equal(ours.label, theirs.label)
        else:
            assert ours.label is None
    rows = np.array([24, 0, 10, 9, 10])
    np.testing.assert_array_equal(found.train.x[rows], dataset.train.x[rows])
    np.testing.assert_array_equal(found.train.x[3:17:2], dataset.train.x[3:17:2])
    assert found.digest() == Shards(path=str(tmp_path / "shards")).load().digest()
    with pytest.raises(UserError, match="is not empty"):
        convert(dataset, tmp_path / "shards", 10)
    with pytest.raises(UserError, match="would take all shards into memory"):
        binarize(found, "static", 0)
    assert binarize(found, "dynamic", 0).train.x is found.train.x


def interrupted(folder, monkeypatch, after=2):
    """A conversion that is interrupted once so many of its five shards are written."""
    with monkeypatch.context() as patch:
        real = np.save

        def save(path, array, **options):
            if len(list(folder.glob("*.npy"))) == after:
                raise KeyboardInterrupt
            real(path, array, **options)

        def write(*_):
            raise KeyboardInterrupt

        patch.setattr(np, "save", save)
        patch.setattr("sbvi.data.convert.write_atomically", write)
        with pytest.raises(KeyboardInterrupt):
            convert(made(labels=False), folder, 10)


def test_what_an_interrupted_conversion_left_is_written_anew(tmp_path, monkeypatch):
    folder = tmp_path / "shards"
    interrupted(folder, monkeypatch, after=5)  # all shards are there, and info.json is not
    (folder / ".info.json.12.tmp").write_text("{")
    said = f"={re.escape(str(folder))} is unfinished: sbvi-convert is writing there, or was interrupted; "
    with pytest.raises(UserError, match=f"^input{said}"):
        describe(folder, "mine")
    with pytest.raises(UserError, match=f"^dataset.path{said}"):
        Shards(path=str(folder)).load()
    info = convert(made(), folder, 20)
    names = ["info.json", *(f"{name}{end}.npy" for name in ("test", "train-00000", "train-00001", "validation")
                            for end in ("", ".label"))]  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert [entry["rows"] for entry in info["train"]] == [20, 5]
    assert len(Shards(path=str(folder)).load().train.x) == 25


def test_nothing_but_what_a_conversion_left_is_taken_away(tmp_path, monkeypatch):
    folder = tmp_path / "shards"
    interrupted(folder, monkeypatch)
    mark, before = folder / ".unfinished", {path.name for path in folder.iterdir()}
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"was left unfinished by sbvi-convert, and holds notes.txt, which is not its"):
        convert(made(), folder, 10)
    assert {path.name for path in folder.iterdir()} == before | {"notes.txt"}
    (folder / "notes.txt").unlink()
    with open(mark, "r+") as held:  # of another process: a lock is of the opened file
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=rf"being written by process {os.getpid()} on \S+; wait for it"):
            convert(made(), folder, 10)
    assert {path.name for path in folder.iterdir()} == before
    mark.unlink()
    with pytest.raises(UserError, match="is not empty"):  # shards without a mark may be anybody's
        convert(made(), folder, 10)
    assert {path.name for path in folder.iterdir()} == before - {mark.name}
    mark.touch()
    (folder / "info.json").write_text("{}")  # of one that was killed when all was written
    with pytest.raises(UserError, match="is not empty"):
        convert(made(), folder, 10)


def test_a_full_disk_is_told_by_the_place(tmp_path, monkeypatch):
    """Where not even the mark can be written nothing is left behind."""

    class Full(io.FileIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sbvi.data.shard_folder.open", lambda path, *_, **__: Full(path, "a+"), raising=False)
        with pytest.raises(UserError, match=r"^output=\S+/new/shards cannot be made or written in \(No space left"):
            convert(made(), tmp_path / "new" / "shards", 10)
    assert list(tmp_path.iterdir()) == []

    monkeypatch.setattr("sbvi.data.convert.open", lambda path, mode: Full(path, mode), raising=False)
    with pytest.raises(UserError, match=r"train-00000\.npy cannot be written \(No space left on device\)"):
        convert(made(), tmp_path / "shards", 10)


def test_a_signal_while_a_shard_is_written_stays_a_signal(tmp_path, monkeypatch):
    """Wherever Python hears it: it does between any two of its calls, those that NumPy's C code makes among them."""
    save, moment, met = np.save, 0, KeyboardInterrupt

    def interrupted(*arguments, **options):
        left = itertools.count(-moment)

        def hear(*_):
            if next(left) == -1:
                raise KeyboardInterrupt

        sys.setprofile(hear)
        try:
            save(*arguments, **options)
        finally:
            sys.setprofile(None)

    monkeypatch.setattr(np, "save", interrupted)
    while met is not None:
        moment += 1
        met = None
        try:
            _save(tmp_path / "shard.npy", np.zeros((3, 4)))
        except BaseException as error:
            met = type(error)
        assert met in (None, KeyboardInterrupt)
    assert moment > 50


@pytest.mark.parametrize("classes", [None, ("cat", "dog", "eel")])
def test_names_of_classes_come_back(tmp_path, classes):
    dataset = replace(made(), classes=classes)
    convert(dataset, tmp_path, 10)
    assert Shards(path=str(tmp_path)).load().classes == classes
    info = json.loads((tmp_path / "info.json").read_text())
    (tmp_path / "info.json").write_text(json.dumps(info | {"classes": ["cat", 1]}))
    with pytest.raises(UserError, match=r"info.json is not one that sbvi-convert wrote \(ValueError\('classes'\)\)"):
        Shards(path=str(tmp_path)).load()
    del info["classes"]  # of an earlier version
    (tmp_path / "info.json").write_text(json.dumps(info))
    assert Shards(path=str(tmp_path)).load().classes is None


def describing(folder):
    own(folder)
    describe(folder, "mine")


@pytest.mark.parametrize("write", [lambda folder: convert(made(), folder, 10), describing])
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_shard_that_was_written_later_is_hashed_again(tmp_path, write, part, caplog):
    write(tmp_path)
    info = json.loads((tmp_path / "info.json").read_text())
    entry = info[part][1] if part == "train" else info[part]
    file = tmp_path / entry["file"]
    before = Shards(path=str(tmp_path)).load().digest()
    x = np.load(file)
    with caplog.at_level("INFO", "sbvi"):
        Shards(path=str(tmp_path)).load()
        assert "Hashing" not in caplog.text
        np.save(file, x)  # the same values
        os.utime(file, ns=(0, entry["mtime_ns"] + 1))
        assert Shards(path=str(tmp_path)).load().digest() == before
        assert f"Hashing {file}" in caplog.text
    x[0, 0, 0] ^= 1
    np.save(file, x)
    os.utime(file, ns=(0, entry["mtime_ns"] + 1))
    with pytest.raises(UserError, match=rf"{entry['file']} has changed since info.json was written") as caught:
        Shards(path=str(tmp_path)).load()
    assert "\n" not in str(caught.value)
    for one in (*info["train"], info["validation"], info["test"]):  # of an earlier version: believed
        del one["size"], one["mtime_ns"]
    (tmp_path / "info.json").write_text(json.dumps(info))
    Shards(path=str(tmp_path)).load()


def packing(folder):
    own(folder, packed=True)
    describe(folder, "mine")


@pytest.mark.parametrize("write", [lambda folder: convert(made(), folder, 10), describing, packing])
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_labels_that_were_written_later_are_hashed_again(tmp_path, write, part, caplog):
    write(tmp_path)
    info = json.loads((tmp_path / "info.json").read_text())
    entry = info[part][1] if part == "train" else info[part]
    name, _, member = entry["label"].partition(":")
    file, later = tmp_path / name, (0, entry["label_mtime_ns"] + 1)
    there = np.load(file)
    labels = (there[member] if member else there).copy()
    beside = {key: there[key] for key in there.files if key != member} if member else {}

    def save():
        if member:
            np.savez(file, **beside, **{member: labels})
        else:
            np.save(file, labels)
        os.utime(file, ns=later)

    with caplog.at_level("INFO", "sbvi"):
        Shards(path=str(tmp_path)).load()
        assert "Hashing" not in caplog.text
        save()  # the same
        Shards(path=str(tmp_path)).load()
        assert f"Hashing {file}" in caplog.text
    labels[0] ^= 1
    save()
    with pytest.raises(UserError, match=rf"{name} has changed since info.json was written: its labels have SHA-256"):
        Shards(path=str(tmp_path)).load()
    for one in (*info["train"], info["validation"], info["test"]):  # of an earlier version: believed
        del one["label_sha256"], one["label_size"], one["label_mtime_ns"]
    (tmp_path / "info.json").write_text(json.dumps(info))
    assert Shards(path=str(tmp_path)).load().split(part).label is not None


def damage(folder, how):
    info = json.loads((folder / "info.json").read_text())
    if how == "missing":
        (folder / "train-00001.npy").unlink()
    elif how == "short":
        (folder / "train-00001.npy").write_bytes((folder / "train-00001.npy").read_bytes()[:-5])
    elif how == "other rows":
        np.save(folder / "train-00001.npy", np.zeros((3, 3, 4), np.uint8))
    elif how == "other shape":
        np.save(folder / "train-00001.npy", np.zeros((10, 3, 5), np.uint8))
    elif how == "objects":
        np.save(folder / "train-00001.npy", np.array([{}] * 10, dtype=object), allow_pickle=True)
    elif how == "elsewhere":
        info["train"][0]["file"] = "../train.npy"
    elif how == "format":
        info["format"] = 99
    elif how == "keys":
        del info["validation"]
    (folder / "info.json").write_text("[]" if how == "list" else json.dumps(info))


HOW = ("missing", "short", "other rows", "other shape", "objects", "elsewhere", "format", "keys", "list")


@pytest.mark.parametrize("how", HOW)
def test_what_cannot_be_read_is_one_sentence(tmp_path, how):
    convert(made(), tmp_path, 10)
    damage(tmp_path, how)
    with pytest.raises(UserError) as caught:
        Shards(path=str(tmp_path)).load()
    assert "\n" not in str(caught.value)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 30), st.integers(0, 3))
def test_an_epoch_visits_every_row_once(sizes, window, epoch):
    order = WindowedOrder(sizes, 7, window)
    whole = order.rows(epoch, 0, sum(sizes))
    np.testing.assert_array_equal(np.sort(whole), np.arange(sum(sizes)))
    middle = sum(sizes) // 2
    again = WindowedOrder(sizes, 7, window)
    np.testing.assert_array_equal(
        np.concatenate([again.rows(epoch, 0, middle), again.rows(epoch, middle, sum(sizes))]), whole
    )


def test_the_order_is_of_seed_and_epoch_and_mixes_shards():
    order = WindowedOrder([100] * 10, 0, 300)
    first = order.rows(0, 0, 1000)
    assert (first != order.rows(1, 0, 1000)).any()
    assert (first != WindowedOrder([100] * 10, 1, 300).rows(0, 0, 1000)).any()
    assert len(set(first[:300] // 100)) == 3  # a window holds three shards, not the first three
    assert set(first[:300] // 100) != {0, 1, 2}


def test_large_sets_are_streamed_by_themselves(monkeypatch):
    assert not streams(None, 1000)
    assert streams(None, 1 << 60)
    assert streams(True, 1)
    assert not streams(False, 1 << 60)
    assert shard_sizes(np.zeros(5000), 5000) == [4096, 904]


def own(folder, packed=False, dtype=np.uint8, top=256, **changed):
    """Shards as a user has them: three files of training examples, one each of the others."""
    generator = np.random.default_rng(1)
    arrays = {}
    for name, count in (("train-b", 4), ("train-a", 5), ("validation", 3), ("test", 2)):
        x = generator.integers(0, top, (count, 3, 4)).astype(np.uint8)
        x = changed.get(name, x if dtype == np.uint8 else (x / np.float32(255)).astype(dtype))
        arrays[name] = (x, np.arange(len(x)))
        if packed:
            np.savez(folder / f"{name}.npz", x=x, label=np.arange(len(x)))
        else:
            np.save(folder / f"{name}.npy", x)
            np.save(folder / f"{name}.label.npy", np.arange(len(x)))
    return arrays


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_shards_of_ones_own_are_described_in_place(tmp_path, packed, dtype):
    arrays = own(tmp_path, packed, dtype)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    info = describe(tmp_path, "mine")
    assert (info["levels"], info["binary"]) == (255 if dtype == np.uint8 else None, False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "info.json"} == before
    found = Shards(path=str(tmp_path)).load()
    assert found.name == "mine"
    assert all(isinstance(part, np.memmap) for part in found.train.x.parts)
    np.testing.assert_array_equal(found.train.x[:], np.concatenate([arrays["train-a"][0], arrays["train-b"][0]]))
    np.testing.assert_array_equal(found.train.label, [0, 1, 2, 3, 4, 0, 1, 2, 3])
    np.testing.assert_array_equal(found.test.x, arrays["test"][0])
    with pytest.raises(UserError, match="delete it to have the shards described anew"):
        describe(tmp_path, "mine")


def test_shards_of_zeros_and_ones_are_binary_and_columns_first_is_read_right(tmp_path):
    x = np.asfortranarray(np.random.default_rng(0).integers(0, 2, (6, 2, 5)).astype(np.uint8))
    arrays = own(tmp_path, packed=True, top=2, **{"train-a": x, "test": x, "validation": x, "train-b": x})
    info = describe(tmp_path, "bits")
    assert (info["levels"], info["binary"]) == (1, True)
    np.testing.assert_array_equal(Shards(path=str(tmp_path)).load().validation.x, arrays["validation"][0])


def test_the_greatest_value_of_shards_of_ones_own_is_said_or_asked_for(tmp_path, caplog):
    x = np.arange(17, dtype=np.uint8).repeat(2).reshape(2, 17)
    for name in ("train", "validation", "test"):
        np.save(tmp_path / f"{name}.npy", x)
    np.save(tmp_path / "train.label.npy", [0, 1])
    with pytest.raises(UserError, match=r"maximum=15 must be from 16, the greatest value in .*, to 255\.$"):
        describe(tmp_path, "mine", 15)
    with caplog.at_level(logging.INFO):
        assert describe(tmp_path, "mine")["levels"] == 255
    assert "never exceed 16" in caplog.text
    assert "delete info.json and give maximum=16" in caplog.text
    assert "train: train.npy, 2 rows, labelled." in caplog.text
    assert "validation.npy, test.npy without labels, which other files have" in caplog.text
    caplog.clear()
    (tmp_path / "info.json").unlink()
    assert describe(tmp_path, "mine", 16)["levels"] == 16
    assert "black" not in caplog.text
    found = Shards(path=str(tmp_path)).load()
    assert (found.levels, found.binary) == (16, False)
    np.testing.assert_array_equal(found.preprocessing.means(found.test.x) / found.levels, x / 16)
    (tmp_path / "info.json").unlink()
    for name in ("train", "validation", "test"):
        np.save(tmp_path / f"{name}.npy", np.ones((2, 3), np.uint8))
    describe(tmp_path, "mine", 2)  # of which 2 happens not to be there
    assert not Shards(path=str(tmp_path)).load().binary
    (tmp_path / "info.json").unlink()
    for name in ("train", "validation", "test"):
        np.save(tmp_path / f"{name}.npy", np.ones((2, 3), np.float32))
    with pytest.raises(UserError, match=r"maximum=2 is for whole numbers \(uint8\)"):
        describe(tmp_path, "mine", 2)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("value", "dtype"), [(2**32 + 1, np.int64), (-(2**31) - 1, np.int64), (2**63, np.uint64)])
def test_labels_beyond_32_bits_are_refused(tmp_path, packed, value, dtype, monkeypatch):
    """They would come back as others."""
    own(tmp_path, packed)
    label = np.array([0, 1, 2, value], dtype)
    if packed:
        np.savez(tmp_path / "train-b.npz", x=np.zeros((4, 3, 4), np.uint8), label=label)
    else:
        np.save(tmp_path / "train-b.label.npy", label)
    place = f"{tmp_path / ('train-b.npz:label' if packed else 'train-b.label.npy')}"
    said = f"^{re.escape(place)} holds {value}; labels must fit into 32 bits\\.$"
    with pytest.raises(UserError, match=said):
        describe(tmp_path, "mine")
    monkeypatch.setattr(
        "sbvi.data.convert.of_32_bits", lambda label, where: label
    )  # as an earlier version described it
    describe(tmp_path, "mine")
    with pytest.raises(UserError, match=said):
        Shards(path=str(tmp_path)).load()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("none", "none is named validation* among: test.npy, train-a.npy, train-b.npy"),
        ("two", "2 are named test* among"),
        ("compressed", "is compressed and cannot be mapped; write it with numpy.savez"),
        ("float64", "holds float64 of shape (4, 3, 4); it must be uint8 or float32"),
        ("range", "float32 values must be in [0, 1]"),
        ("nan", "ranges over [nan, nan]"),
        ("shapes", "differ in dtype or in the shape of an example"),
        ("objects", "holds objects"),
        ("labels", "labels are float64 of shape (4,), not 4 whole numbers"),
        ("damaged", "cannot be read"),
        ("no x", "There is no item named 'x.npy'"),
    ],
)
def test_shards_that_cannot_be_described_are_one_sentence(tmp_path, how, sentence):
    own(tmp_path)
    file = tmp_path / "train-b.npy"
    x = np.zeros((4, 3, 4), np.float32)
    if how == "none":
        (tmp_path / "validation.npy").unlink()
    elif how == "two":
        np.save(tmp_path / "test-2.npy", np.zeros((2, 3, 4), np.uint8))
    elif how in ("compressed", "objects", "damaged", "no x"):
        file.unlink()
        file = file.with_suffix(".npz")
        if how == "compressed":
            np.savez_compressed(file, x=x)
        elif how == "objects":
            np.savez(file, x=np.array([{}] * 4, dtype=object))
        elif how == "no x":
            np.savez(file, y=x)
        else:
            np.savez(file, x=x)
            file.write_bytes(file.read_bytes()[:-30])
    elif how == "labels":
        np.save(tmp_path / "train-b.label.npy", np.zeros(4))
    else:
        values = {"float64": x.astype(np.float64), "range": x - 1, "nan": x + np.nan, "shapes": x}
        np.save(file, values[how])
    with pytest.raises(UserError) as caught:
        describe(tmp_path, "mine")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "info.json").exists()


@given(st.integers(0, 4000), st.integers(0, 255))
def test_a_damaged_archive_is_never_read_wrong_silently(tmp_path_factory, position, value):
    """One byte of a small archive changed anywhere: a sentence, or the array as it was written. Of a large one the
    checksum is not looked at, since values are mapped and not read."""
    folder, written = tmp_path_factory.mktemp("archive"), np.arange(480, dtype=np.uint8).reshape(40, 12)
    np.savez(folder / "a.npz", x=written)
    content = bytearray((folder / "a.npz").read_bytes())
    content[position % len(content)] = value
    (folder / "a.npz").write_bytes(content)
    try:
        found = shard(folder, {"file": "a.npz:x", "rows": 40})
    except UserError as error:
        assert "\n" not in str(error)
    else:
        np.testing.assert_array_equal(np.array(found), written, strict=True)


def test_a_damaged_header_of_a_large_archive_is_not_read_as_other_rows(tmp_path):
    """Whose checksum is of more than is read for the header: each digit of its shape, and the length of it."""
    written = (np.arange(48_000) % 251).astype(np.uint8).reshape(40, 1200)
    np.savez(tmp_path / "a.npz", x=written)
    good = (tmp_path / "a.npz").read_bytes()
    start = good.index(b"\x93NUMPY")
    digits = range(good.index(b"1200"), good.index(b"1200") + 4)
    for position in [start + 8, *digits]:
        content = bytearray(good)
        content[position] = ord("7") if position in digits else content[position] - 16
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(UserError, match="cannot be read"):
            shard(tmp_path, {"file": "a.npz:x", "rows": 40})
