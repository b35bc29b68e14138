"""Shards: what is converted comes back, damaged directories are told, and the order visits everything once."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbvi.config import UserError
from sbvi.data import Dataset, Split, binarize
from sbvi.data.shards import ShardedArray, Shards, convert
from sbvi.data.streaming import WindowedOrder, shard_sizes, streams


def made(labels=True):
    generator = np.random.default_rng(0)

    def split(count):
        x = generator.integers(0, 256, (count, 3, 4)).astype(np.uint8)
        return Split(x, generator.integers(0, 10, count).astype(np.int32) if labels else None)

    return Dataset("toy", split(25), split(6), split(7), levels=255)


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
        del info["levels"]
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
