"""What makes a process start faster changes nothing else."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.core.imports import uncollected
from sbvi.core.xla.once import jit_once
from sbvi.models import DLGM
from sbvi.models.values import DataFacts, DataSummary

FACTS = DataFacts((4,), True, None, 0, None)


def test_a_program_that_runs_once_has_the_bits_of_one_that_is_optimised():
    def made(key, scale):
        return {"kernel": scale * jax.random.uniform(key, (30, 20), minval=-1.0), "bias": jnp.full(20, scale)}

    key, scale = jax.random.key(3), jnp.float32(0.3)
    once = jit_once(made)
    jax.tree.map(np.testing.assert_array_equal, once(key, scale), jax.jit(made)(key, scale))
    within = jax.jit(lambda key: once(key, scale))(key)  # options are not for a program within another
    jax.tree.map(np.testing.assert_array_equal, within, once(key, scale))


def test_a_models_first_values_are_traced_once_for_their_shapes_and_for_themselves(monkeypatch):
    model = DLGM(latents=(2,), hidden=(3,), recognition_hidden=(3,)).completed("bernoulli").build(FACTS)
    traced, init = [], model._posterior.init
    monkeypatch.setattr(model._posterior, "init", lambda key: traced.append(key) or init(key))
    shapes = jax.eval_shape(lambda: model.init(0, summary(0.5)))
    values = [model.init(seed, summary(mean)) for seed, mean in ((0, 0.25), (0, 0.75), (1, 0.25))]
    assert len(traced) == 1
    assert jax.tree.map(jnp.shape, values[0]) == jax.tree.map(lambda leaf: leaf.shape, shapes)
    leaves = [[np.asarray(leaf) for leaf in jax.tree.leaves(one)] for one in values]
    logits = [np.log(mean / (1 - mean)) for mean in (0.25, 0.75, 0.25)]
    for found, logit in zip(leaves, logits, strict=True):  # data and seed are not those of the first call
        assert any(leaf.shape == (4,) and np.allclose(leaf, logit, rtol=1e-6) for leaf in found)
    assert not all(np.array_equal(a, b) for a, b in zip(leaves[0], leaves[2], strict=True))


def summary(mean):
    return DataSummary(np.zeros((2, 4), np.float32), None, np.full(4, mean), np.ones(4), 2)


def test_the_collector_is_on_again_after_imports_even_where_they_fail():
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
    with pytest.raises(ImportError), uncollected():
        raise ImportError
    assert gc.isenabled()
    gc.unfreeze()


def test_what_is_left_in_cycles_is_collected_after_imports_that_bring_nothing_new():
    class Left:
        def __init__(self):
            self.own = self

    left = weakref.ref(Left())
    with uncollected():
        pass
    gc.collect()
    assert left() is None
