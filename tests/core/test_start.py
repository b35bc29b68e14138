"""What makes a process start faster changes nothing else."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.core.imports import uncollected
from sbvi.core.xla.once import jit_once


def test_a_program_that_runs_once_has_the_bits_of_one_that_is_optimised():
    def made(key, scale):
        return {"kernel": scale * jax.random.uniform(key, (30, 20), minval=-1.0), "bias": jnp.full(20, scale)}

    key, scale = jax.random.key(3), jnp.float32(0.3)
    once = jit_once(made)
    jax.tree.map(np.testing.assert_array_equal, once(key, scale), jax.jit(made)(key, scale))
    within = jax.jit(lambda key: once(key, scale))(key)  # options are not for a program within another
    jax.tree.map(np.testing.assert_array_equal, within, once(key, scale))


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
