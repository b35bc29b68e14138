"""Checkpoint files: names and digests of arrays, other libraries' loaders, and which of a run's files is taken."""

import importlib.util
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.flax
import safetensors.numpy
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from sbvi.core import UserError
from sbvi.training import Store, checkpoint
from sbvi.training.checkpoint import DamagedCheckpoint
from sbvi.training.tensor_names import named_leaves, tree_of

TREE = {"a": np.arange(6.0).reshape(2, 3), "b": np.int32(7), "c": np.zeros((0, 2), np.float32), "d": np.array([True])}
# The others' loaders are asked for one call; PyTorch's where it is installed: for most
# machines an index has it with gigabytes of CUDA alone, which scripts/test must not ask of them. It passed with 2.13.0.
# PyTorch is 200 MB that nothing else here needs: scripts/test does not install it, and the last lines of a run say so.
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")


class Key(str):
    """Two that differ and read the same."""

    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__


class Pair(NamedTuple):
    first: object
    second: object


def same(got, expected):
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(np.asarray(got[name]), expected[name])
        assert np.asarray(got[name]).dtype == np.asarray(expected[name]).dtype
        assert np.shape(got[name]) == np.shape(expected[name])


def test_what_was_saved_is_read(tmp_path):
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, TREE, {"step": 7, "progress": {"best": -np.inf, "seconds": 0.1}})
    arrays, metadata = checkpoint.load(path, TREE)
    same(arrays, TREE)
    assert metadata == {"step": 7, "progress": {"best": -np.inf, "seconds": 0.1}}
    for other in ({**TREE, "a": np.arange(3.0)}, {**TREE, "a": np.arange(6).reshape(2, 3)}, {"a": TREE["a"]}):
        with pytest.raises(DamagedCheckpoint, match="belongs to another model"):
            checkpoint.load(path, other)
    with pytest.raises(TypeError, match="w is bfloat16"):
        checkpoint.save(path, {"w": jnp.ones(2, jnp.bfloat16)}, {})


def test_names_are_paths_that_people_read():
    rngs = nnx.Rngs(0)
    state = nnx.state(nnx.List([nnx.Linear(2, 3, rngs=rngs)]))
    found = named_leaves(Pair({"maps": state}, (np.ones(1), [np.ones(2)])))
    assert list(found) == ["first.maps.0.bias", "first.maps.0.kernel", "second.0", "second.1.0"]
    assert list(named_leaves(np.ones(1))) == ["value"]
    with pytest.raises(ValueError, match="two leaves of the tree are called 1"):
        named_leaves({Key("1"): 0, Key("1"): 1})


TREES = st.recursive(
    st.integers(0, 9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("a.%2E1", max_size=4), inner, max_size=3)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=8,
)


@given(TREES)
def test_names_and_trees_are_one_to_one(tree):
    named = named_leaves(tree)
    assert len(named) == len(jax.tree.leaves(tree))
    assert tree_of(dict(reversed(named.items())), tree) == tree


def test_a_flipped_bit_of_any_byte_is_noticed_and_the_array_named(tmp_path):
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {"inner": {"w": np.arange(5.0)}, "n": np.int32(3)}, {"step": 1})
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    for position in range(len(content)):
        altered = bytearray(content)
        altered[position] ^= 1 << position % 8
        path.write_bytes(altered)
        with pytest.raises(DamagedCheckpoint, match=r"is damaged|has format") as error:
            checkpoint.read(path)
        if position >= end:
            assert "inner.w does not match" in str(error.value) or "n does not match" in str(error.value)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedCheckpoint, match="is damaged"):
            checkpoint.read(path)


@pytest.mark.parametrize("load", [safetensors.numpy.load_file, safetensors.flax.load_file], ids=["NumPy", "JAX"])
def test_other_programs_open_it_with_one_call(load, tmp_path):
    path = tmp_path / "x.safetensors"
    tree = {k: v for k, v in TREE.items() if np.asarray(v).dtype != np.float64} | {"w": np.ones((2, 3), np.float32)}
    checkpoint.save(path, {"layers": [tree]}, {"step": 7})
    same(load(path), {f"layers.0.{name}": value for name, value in tree.items()})


@needs_torch
def test_pytorch_opens_it_with_one_call(tmp_path):
    from safetensors.torch import load_file

    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {"layers": [TREE]}, {"step": 7})
    found = load_file(path)
    same({name: value.numpy() for name, value in found.items()}, {f"layers.0.{k}": v for k, v in TREE.items()})


def test_a_file_of_others_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    for notes in (None, {"format": "pt"}):
        safetensors.numpy.save_file({"w": np.ones(3)}, path, notes)
        with pytest.raises(DamagedCheckpoint, match=r"not a whole checkpoint|has format pt"):
            checkpoint.read(path)


def test_the_newest_good_state_is_taken(tmp_path):
    store = Store(tmp_path)
    assert store.load_last(TREE) is None
    for step in (10, 20, 30):
        store.save_last(TREE, {"step": step})
    assert store.load_last(TREE)[1]["step"] == 30
    for name, step in (("last", 20), ("previous", None)):
        store.path(name).write_bytes(store.path(name).read_bytes()[:-1])
        if step is not None:
            assert store.load_last(TREE)[1]["step"] == step
    with pytest.raises(UserError, match=r"No checkpoint in .* can be used"):
        store.load_last(TREE)


def test_one_process_writes(tmp_path):
    store = Store(tmp_path, writes=False)
    store.save_last(TREE, {"step": 1})
    store.save_best(TREE, {})
    assert not list(tmp_path.iterdir())


def test_a_run_that_was_stopped_before_its_first_validation_is_said_to_have_no_parameters(tmp_path):
    """It has a last state, from which it goes on; `best` is what it starts others from, and what is evaluated."""
    store = Store(tmp_path / "run" / "checkpoints")
    (tmp_path / "run").mkdir()
    store.save_last(TREE, {"step": 50})
    with pytest.raises(
        DamagedCheckpoint, match=r"best\.safetensors is not there: a run has parameters .* from its fir"
    ) as e:
        store.load_best(TREE)
    assert f"resume={tmp_path / 'run'} goes on with it;" in str(e.value)
    store.save_best(TREE, {"step": 50, "score": 0.0})
    assert store.load_best(TREE)[1]["step"] == 50
