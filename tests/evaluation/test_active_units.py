"""Active units: Var_x(E_q[z | x]) without the noise of means that are estimated from samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.enumerable import machine
from support.models import dlgm, summary
from support.two_latents import sized

from sbvi.evaluation.active_units import THRESHOLD, active_units, variance_of_means
from sbvi.posteriors import GAUSSIAN, POSTERIORS

D, EXAMPLES = 6, 1000
SAMPLED = [name for name in POSTERIORS if name not in GAUSSIAN]


def model_of(posterior):
    sizes = {"latents": (3, 2), "hidden": (3,), "recognition_hidden": (4,)}
    model = dlgm((D,), posterior=sized(POSTERIORS, posterior), activation="tanh", initial_posterior_scale=0.9, **sizes)
    return model, model.init(0, summary(np.full(D, 0.4), np.ones(D)))


def pairs(moments):
    return {node: (np.asarray(m.mean), np.asarray(m.error)) for node, m in moments.items()}


def test_few_examples_are_no_bias():
    """Many pairs of means, with noise of their own beside what x moves them by."""
    noise = np.random.default_rng(0).normal(size=(2, 2, 20_000))
    mean, error = 0.7 * noise[0] + 0.5 * noise[1], np.full((2, 20_000), 0.25)
    assert variance_of_means(mean, error).mean() == pytest.approx(0.49, abs=0.03)
    assert active_units({"a": (mean[:1], error[:1])}) == {}  # of one there is nothing to say


QUICK = ("planar", "top_down", "diagonal")


@pytest.mark.parametrize(
    "posterior", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SAMPLED if name not in QUICK)]
)
def test_latents_that_say_nothing_of_x_are_not_active(posterior):
    """The same x a thousand times: what its means differ by is noise of the samples, which is above the threshold."""
    model, params = model_of(posterior)
    found = pairs(jax.jit(model.encode)(params, jnp.tile(jnp.asarray([[1.0, 0, 1, 1, 0, 0]]), (EXAMPLES, 1))))
    assert active_units(found) == dict.fromkeys(model.latent_sizes(), 0)
    noise = max(np.var(mean, axis=0).max() for mean, _ in found.values())
    assert (noise > THRESHOLD) == (posterior != "diagonal")


def many_means(model, params, x):
    """node -> means of 16,384 samples, (N, K)."""

    @jax.jit
    def means(params, key):
        drawn = model.posterior(params, x).draw(key, 512)
        return {node: jnp.mean(points, 0) for node, points in drawn.items()}

    parts = [means(params, jax.random.key(seed)) for seed in range(1, 33)]
    return {node: np.mean([part[node] for part in parts], 0) for node in parts[0]}


@pytest.mark.parametrize("posterior", [pytest.param("planar", marks=pytest.mark.slow), "hierarchical", "helmholtz"])
def test_the_variance_of_means_is_that_of_exact_ones(posterior, optimised):
    x = jnp.asarray(np.random.default_rng(1).integers(0, 2, (500, 4 if posterior == "helmholtz" else D)), jnp.float32)
    model, params = machine(seed=3) if posterior == "helmholtz" else model_of(posterior)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    found, exact = pairs(jax.jit(model.encode)(params, x)), many_means(model, params, x)
    for node, (mean, error) in found.items():
        wanted = np.var(exact[node], axis=0)
        slack = 5 * np.sqrt(2 * error.mean(0) ** 2 + 4 * wanted * error.mean(0)) / np.sqrt(len(x))
        assert (np.abs(variance_of_means(mean, error) - wanted) < slack + 1e-4).all()
        np.testing.assert_allclose(((mean - exact[node]) ** 2).mean(0), error.mean(0), rtol=0.25, atol=1e-4)
