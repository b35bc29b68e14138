"""What data takes of memory: nothing is held twice, and no floats are kept of bytes."""

import tracemalloc

import jax
import numpy as np
import pytest

from sbvi.data import Dataset, Preprocessing, Split, aligned
from sbvi.data.binarization import STEPS, fixed_draw
from sbvi.data.formats import decoders
from sbvi.data.rows import BLOCK, ScaledRows
from sbvi.data.splits import blocks, held_out

GENERATOR = np.random.default_rng(0)


def same_memory(values, array):
    return array.unsafe_buffer_pointer() == values.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_training_split_on_the_cpu_is_the_memory_of_the_one_on_the_host(dtype):
    x = (10 * GENERATOR.random((50, 3, 5))).astype(dtype)
    idx = bytes([0, 0, 0x08, 3]) + b"".join(n.to_bytes(4, "big") for n in x.shape) + x.astype("uint8").tobytes()
    read = decoders.idx(idx, "images")
    np.testing.assert_array_equal(read, x.astype("uint8"))
    cut = blocks(x, None, 10, 10, 0)[0]
    drawn, _ = held_out(Split(x), 10, 0)
    np.testing.assert_array_equal(cut.x, x[:30])
    np.testing.assert_array_equal(drawn.x, x[np.random.default_rng(0).permutation(50)[10:]])
    for split in (Split(read[:40]), cut, drawn):
        known = Preprocessing.real((3, 5))
        resident, _ = Dataset("some", split, split, split, known).resident
        assert same_memory(split.x, resident)
        np.testing.assert_array_equal(np.asarray(resident), split.x.reshape(len(split), -1))


def test_aligned_arrays_begin_where_xla_wants_them_whatever_came_before():
    kept = [aligned.copied(GENERATOR.normal(size=(n, 2)), np.float32) for n in range(1, 40)]
    assert {array.ctypes.data % aligned.ALIGNMENT for array in kept} == {0}
    assert same_memory(kept[7], jax.device_put(kept[7]))


def rows_of(count, event, most, known=None):
    x = GENERATOR.integers(0, 256, (count, *event)).astype(np.uint8)
    split = Split(x)
    return ScaledRows(Dataset("some", split, split, split, known or Preprocessing.whole(event, 255)), most), x


@pytest.mark.parametrize("event", [(40, 60), (3,), (1,)])
def test_scaled_rows_are_those_of_the_whole_array_and_so_are_their_moments_bit_for_bit(event):
    """(1000, 2400) floats are more than one block."""
    rows, x = rows_of(2500, event, 1000)
    whole = x.reshape(2500, -1)[np.arange(1000) * 2500 // 1000].astype(np.float32) / np.float32(255)
    assert len(event) == 1 or whole.nbytes > 2 * BLOCK
    assert len(rows) == 1000
    for some in (slice(None), slice(3, 5), np.array([7, 0, 999]), np.array([], int)):
        np.testing.assert_array_equal(rows[some], whole[some])
    for moment, expected in zip(rows.moments(), (whole.mean(0), whole.std(0)), strict=True):
        np.testing.assert_array_equal(moment, expected)


def test_a_spread_beyond_float32_is_infinite_without_a_word_of_numpys():
    split = Split(np.float32([[1e25], [1.0]]))
    mean, spread = ScaledRows(Dataset("some", split, split, split, Preprocessing.real((1,))), 10).moments()
    assert np.isfinite(mean).all()
    assert np.isposinf(spread).all()


def test_where_there_are_fewer_rows_all_are_taken():
    rows, x = rows_of(20, (4,), 1000)
    np.testing.assert_array_equal(rows[:], x.astype(np.float32) / np.float32(255))


def test_no_floats_are_kept_of_bytes_and_few_are_made_at_once():
    x = GENERATOR.integers(0, 256, (4000, 40, 50)).astype(np.uint8)
    split = Split(x)
    dataset = Dataset("some", split, split, split, Preprocessing.whole((40, 50), 255))
    tracemalloc.start()
    try:
        rows = ScaledRows(dataset, 3000)
        rows.moments()
        kept, most = tracemalloc.get_traced_memory()
        assert kept < 100_000
        assert most < 5 * BLOCK < 4 * 3000 * 2000
        tracemalloc.reset_peak()
        drawn = fixed_draw(x, 255, 0)
        assert tracemalloc.get_traced_memory()[1] < 4 * x.nbytes  # the draw, its random halves, and a little
    finally:
        tracemalloc.stop()
    limits = np.rint(np.arange(256) * (STEPS / 255)).astype(np.uint32)
    random = np.random.default_rng(0).integers(0, STEPS, x.shape, np.uint16)
    np.testing.assert_array_equal(drawn, random < limits[x])
