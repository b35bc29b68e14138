"""Long work shared among cores: the same numbers as in one dispatch, each batch once."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.core.placement import SINGLE, Placement
from sbvi.core.watch import watching
from sbvi.data import Dataset, Preprocessing, Split
from sbvi.evaluation import sharing
from sbvi.evaluation.batched import batched, map_batches
from sbvi.evaluation.sharing import by_core, cores, piece_size


def on(monkeypatch, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(count)), raising=False)


@pytest.mark.quick
def test_pieces_of_a_long_evaluation():
    assert [piece_size(n) for n in (1, 3, 4, 24, 97, 100, 1000)] == [1, 3, 2, 2, 97, 5, 50]
    assert [piece_size(n, 2) for n in (4, 5, 10, 97, 100, 1000)] == [2, 3, 5, 7, 5, 50]
    assert [piece_size(n, 4) for n in (8, 10, 100)] == [2, 3, 5]


@pytest.mark.quick
def test_each_core_has_batches_of_its_own_where_there_are_enough(monkeypatch):
    on(monkeypatch, 1)
    assert cores() == 1
    assert by_core(1, SINGLE)
    on(monkeypatch, 3)
    assert [by_core(n, SINGLE) for n in (1, 5, 6)] == [False, False, True]
    assert not by_core(100, Placement.over(2))
    monkeypatch.setattr(sharing, "for_cpu", lambda: False)
    assert not by_core(100, SINGLE)


def test_what_fills_up_batches_for_two_devices_is_dropped():
    """Of three batches of 5, each of which becomes 6, and the last of which is ragged too."""
    x = np.arange(26, dtype=np.float32).reshape(13, 2)
    whole, placement = Dataset("x", Split(x), Split(x), Split(x), Preprocessing.real((2,))), Placement.over(2)
    sums = map_batches(lambda params, key, batch: batch.x.sum(-1), whole, placement=placement)
    found = sums((), placement.replicated(jax.random.key(0)), batched(whole, "test", 5, None, placement))
    np.testing.assert_array_equal(found, x.sum(-1))


@pytest.mark.parametrize(("count", "dispatches"), [(1, 4), (2, 4), (3, 3)])
def test_shared_work_gives_the_same_numbers(monkeypatch, count, dispatches):
    """Eight batches, the last one ragged: in pieces of 2, 2 and 3, of which the third begins one batch earlier."""
    x = np.random.default_rng(0).normal(size=(38, 3)).astype(np.float32)
    whole = Dataset("x", Split(x), Split(x), Split(x), Preprocessing.real((3,)))

    def function(params, key, batch):
        return {"sum": params * batch.x.sum(-1) + jax.random.normal(key, batch.index.shape), "index": batch.index}

    batches, key, heard = batched(whole, "test", 5), jax.random.key(0), []
    wanted = map_batches(function, whole)(jnp.float32(2), key, batches)
    on(monkeypatch, count)
    with watching(lambda *words: heard.append(words)):
        found = map_batches(function, whole, what="long")(jnp.float32(2), key, batches)
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values)
    np.testing.assert_array_equal(found["index"], np.arange(38))
    assert len(np.unique(np.round(found["sum"] - 2 * x.sum(-1), 3))) > 30  # batches have noise of their own
    assert heard == [
        ("long: compiling", 0, dispatches),
        *(("long", done, dispatches) for done in range(dispatches + 1)),
    ]


def test_a_failure_in_one_core_is_told(monkeypatch):
    x = np.zeros((20, 3), np.float32)
    whole = Dataset("x", Split(x), Split(x), Split(x), Preprocessing.real((3,)))
    on(monkeypatch, 2)

    def function(params, key, batch):
        jax.debug.callback(lambda: 1 / 0)
        return batch.index

    with pytest.raises(Exception, match="division by zero"):
        map_batches(function, whole, what="long")((), jax.random.key(0), batched(whole, "test", 5))
