"""A streamed training set: every example once an epoch, exact after a resume, and the loop's other promises."""

import json

import numpy as np
import pytest
from support.small_run import experiment, interrupted, leaves, same, train

from sbvi.core import UserError
from sbvi.core.placement import Placement
from sbvi.data import Dataset, Preprocessing, Split
from sbvi.data.convert import convert
from sbvi.runs import Experiment
from sbvi.runs.directory import RunDirectory
from sbvi.runs.train import train as trained
from sbvi.training import StreamedBatches, streamed

STREAM = {"dataset": {"stream": True}}


def toy(count=50):
    x = np.arange(count, dtype=np.uint8)[:, None] * np.ones((1, 3), np.uint8)
    split = Split(x, np.arange(count, dtype=np.int32))
    return Dataset("toy", split, split, split, Preprocessing.whole((3,), 255))


@pytest.mark.parametrize("devices", [1, 2])
def test_pieces_hold_what_their_indices_say(devices, monkeypatch):
    """Pieces of two steps, over an epoch's end, prefetched and not."""
    monkeypatch.setattr(streamed, "PIECE_BYTES", 2 * 20 * 3)
    batches = StreamedBatches(toy(), 20, 0, placement=Placement.over(devices))
    assert batches.length(7) == 2
    seen = []
    for start, end in ((0, 5), (5, 8), (3, 4)):
        for piece in batches.pieces(start, end, 7, end + 3):
            data, label = piece.operands
            assert data.shape == (2, 20, 3)
            if devices == 2:
                assert [shard.data.shape for shard in data.addressable_shards] == [(2, 10, 3)] * 2
            rows = piece.indices[: piece.steps]
            np.testing.assert_array_equal(np.asarray(data)[: piece.steps, :, 0], rows)
            np.testing.assert_array_equal(np.asarray(label)[: piece.steps], rows)
            seen.append((piece.start, piece.steps, rows))
    assert [(start, steps) for start, steps, _ in seen] == [(0, 2), (2, 2), (4, 1), (5, 2), (7, 1), (3, 1)]
    stream = np.concatenate([rows.ravel() for _, _, rows in seen[:5]])
    np.testing.assert_array_equal(np.sort(stream[:50]), np.arange(50))
    np.testing.assert_array_equal(np.sort(stream[50:100]), np.arange(50))
    np.testing.assert_array_equal(seen[5][2][0], stream[60:80])
    batches.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(experiment(**STREAM), folder)
    return folder


def test_a_streamed_run_ends_bit_for_bit_after_interruptions(whole, tmp_path):
    made = experiment(**STREAM)
    for step in (30, 50):
        interrupted(made, tmp_path / "cut", step)
    train(made, tmp_path / "cut")
    for name in ("last", "best"):
        same(leaves(whole, name), leaves(tmp_path / "cut", name))


def test_short_pieces_change_nothing(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(streamed, "PIECE_BYTES", 3 * 20 * 12)
    pieces = train(experiment(**STREAM), tmp_path / "pieces")
    same(leaves(whole), leaves(tmp_path / "pieces"))
    metrics = RunDirectory(whole).read_result()["metrics"]
    assert pieces["metrics"]["train/elbo"] == pytest.approx(metrics["train/elbo"], rel=1e-6)


@pytest.mark.slow  # shards of commands train in test_commands.py
def test_converted_shards_train_and_a_changed_set_is_noticed(tmp_path):
    folder = tmp_path / "shards"
    convert(experiment().dataset.load(), folder, 50)
    config = experiment().to_config() | {"dataset": {"name": "shards", "path": str(folder), "stream": True}}
    made = Experiment.from_config(config)
    interrupted(made, tmp_path / "run", 30)
    info = folder / "info.json"
    text = info.read_text()
    info.write_text(text.replace(json.loads(text)["train"][0]["sha256"], "0" * 64))
    with pytest.raises(UserError, match="other data"):
        trained(made, tmp_path / "run")  # in a process that has not read it before
    info.write_text(text)
    assert train(made, tmp_path / "run")["status"] == "completed"
