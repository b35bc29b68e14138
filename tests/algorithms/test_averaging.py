"""The average of weights against the sum that defines it, at decays near 1 in float32, through the algorithm."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.models import dlgm, summary

from sbvi.algorithms import ALGORITHMS, Optimizer, averaging
from sbvi.objectives import FreeEnergy


def algorithm(decay):
    """Gradient ascent with rate 0, so that its parameters stay what they are."""
    model = dlgm((2,), latents=(1,), hidden=(), recognition_hidden=())
    optimizer = Optimizer(name="sgd", learning_rate=1.0, average=decay)
    return ALGORITHMS["gradient_ascent"](objective=FreeEnergy(), optimizer=optimizer).build(model, 10)


@functools.cache
def repeated(decay):
    """The algorithm, its parameters, and a program: the state after so many updates by zero gradients."""
    made = algorithm(decay)
    params = made.model.init(0, summary(np.full(2, 0.3), np.ones(2)))
    hypers = made.hypers(np.arange(1), 10.0, 10)
    hyper = {name: jnp.asarray(value[0]) for name, value in hypers.items()} | {"learning_rate": jnp.float32(0)}
    hyper.pop("prior_precision", None)

    @jax.jit
    def many(state, updates):
        zeros = jax.tree.map(jnp.zeros_like, state.params)
        return jax.lax.fori_loop(0, updates, lambda _, s: made.update(s, zeros, hyper), state)

    return made, params, many


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999, 0.999999])
@pytest.mark.parametrize("updates", [0, 1, 2, 1000])
def test_a_constant_is_its_own_average(decay, updates):
    """Updates as training makes them, in float32: the parameters come back."""
    made, params, many = repeated(decay)
    state = many(made.fresh(params), updates)
    assert int(state.updates) == updates
    for found, wanted in zip(jax.tree.leaves(made.eval_params(state)), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize(("decay", "count"), [(0.999, 20_000), (0.9999, 200_000), (0.999999, 2_000_000)])
def test_what_float32_leaves_of_many_updates(decay, count):
    """Steps below the last digit are lost: 6e-8 / r of the average, as the module says."""
    values = jnp.asarray([1.0, -0.7, 3e-5], jnp.float32)
    rate = jnp.float32(averaging.rate_of(decay))

    @jax.jit
    def many(average):
        return jax.lax.fori_loop(0, count, lambda _, a: averaging.update(a, values, rate), average)

    found = averaging.debiased(many(averaging.init(values)), averaging.rate_of(decay), count)
    np.testing.assert_allclose(found, values, rtol=6e-8 / (1 - decay))


@pytest.mark.parametrize("decay", [0.9, 0.99999])
def test_it_is_the_weighted_mean(decay):
    """sum_i (1 - decay) decay^(n - i) p_i over the same with p = 1, in float64."""
    values = np.random.default_rng(0).normal(size=(300, 4)) + 2
    average = averaging.init(jnp.zeros(4, jnp.float32))
    rate = jnp.float32(averaging.rate_of(decay))
    step = jax.jit(averaging.update)
    for row in values:
        average = step(average, jnp.asarray(row, jnp.float32), rate)
    weights = decay ** np.arange(len(values) - 1, -1, -1)
    found = averaging.debiased(average, averaging.rate_of(decay), len(values))
    np.testing.assert_allclose(found, weights @ values / weights.sum(), rtol=3e-6)
    # What is stored is the sum from zero, as in checkpoints of old.
    np.testing.assert_allclose(average, (1 - decay) * (weights @ values), rtol=3e-6)
