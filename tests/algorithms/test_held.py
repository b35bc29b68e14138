"""Samples that are held while both halves of the parameters learn, of tables whose rows have noise in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.gaps import FactorAnalysis

from sbvi.algorithms.held import held_samples
from sbvi.models.noise import hidden
from sbvi.models.rollout import Noise

SAMPLES = 4_000


@pytest.mark.parametrize("noise", [{"missing": 0.4}, {"dropout": 0.3}], ids=["entries hidden", "inputs dropped"])
def test_weights_are_those_of_the_samples_whatever_the_recognition_model_was_shown(noise, x64):
    """Their mean is p of the entries that are left, the closed form of factor analysis; q has seen other numbers."""
    oracle = FactorAnalysis(D=4)
    generator = np.random.default_rng(3)
    recognition = jax.tree.map(lambda a: jnp.asarray(0.2 * generator.normal(size=a.shape)), oracle.params.recognition)
    params = oracle.params._replace(recognition=recognition)
    x, key, given = jnp.asarray(oracle.data(3)[0]), jax.random.key(2), Noise(**jax.tree.map(jnp.asarray, noise))
    left = np.asarray(hidden(key, x, given))
    held = jax.jit(lambda params: held_samples(oracle.model, params, key, x, SAMPLES, given)[0])(params)
    weights = np.exp(np.asarray(held.log_weights()))
    assert (weights.sum(0) ** 2 / (weights**2).sum(0)).min() > 100  # effective samples: else nothing is compared
    exact = np.exp([oracle.conditional(row)[2] for row in left])
    assert (np.abs(weights.mean(0) - exact) < 5 * weights.std(0) / np.sqrt(SAMPLES)).all()
