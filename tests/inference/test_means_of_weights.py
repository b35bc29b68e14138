"""Means of log weights and of their parts keep float32's digits, however low log p is and however many the samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.inference.importance import importance_sampling
from sbvi.models.rollout import Rollout

pytestmark = pytest.mark.quick

SPREAD = 0.3


def at_level(level):
    """Weights level + 0.3 n by example, the fit of which is thrice the level; in two nodes."""

    def rollout(params, key, x, samples):
        noise = SPREAD * jax.random.normal(key, (samples, x.shape[0]), x.dtype)
        prior = {"first": jnp.full_like(noise, level), "second": noise}
        posterior = {"first": jnp.full_like(noise, 2 * level), "second": jnp.full_like(noise, level)}
        return Rollout({}, jnp.full_like(noise, 3 * level), prior, posterior, None)

    return rollout


@pytest.mark.parametrize("level", [-3.7, -9987.3, -51234.5, 51234.5])
@pytest.mark.parametrize(("samples", "chunk"), [(1, 20), (20_000, 20), (20_003, 50)])
def test_means_are_those_of_double_precision(level, samples, chunk):
    x = jnp.zeros((3, 1))
    found = jax.jit(importance_sampling(at_level(level), samples, chunk))((), jax.random.key(0), x)
    size = -(-samples // -(-samples // chunk))
    keys = [jax.random.fold_in(jax.random.key(0), i) for i in range(-(-samples // size))]
    noise = np.concatenate(jax.vmap(lambda key: SPREAD * jax.random.normal(key, (size, 3)))(jnp.stack(keys)))
    noise = noise[:samples].astype(float)
    digit = np.spacing(np.float32(3 * abs(level)))
    np.testing.assert_allclose(found.elbo, np.float32(level) + noise.mean(0), rtol=0, atol=2 * digit)
    np.testing.assert_allclose(found.expected_log_likelihood, np.full(3, 3 * np.float32(level)), rtol=0, atol=2 * digit)
    np.testing.assert_allclose(found.kl["first"], np.full(3, np.float32(level)), rtol=0, atol=2 * digit)
    np.testing.assert_allclose(found.kl["second"], np.float32(level) - noise.mean(0), rtol=0, atol=2 * digit)
    assert (np.asarray(found.effective) <= samples).all()
    assert (np.asarray(found.elbo) <= np.asarray(found.log_likelihood) + 2 * digit).all()


def test_impossible_values_have_a_bound_of_minus_infinity():
    def rollout(params, key, x, samples):
        zeros = jnp.zeros((samples, x.shape[0]))
        impossible = jnp.where(jnp.arange(samples)[:, None] == jnp.array([[0, 3, -1]]), -jnp.inf, zeros)
        return Rollout({}, impossible, {"z": zeros}, {"z": zeros}, None)

    found = importance_sampling(rollout, 10, 5)((), jax.random.key(0), jnp.zeros((3, 1)))
    np.testing.assert_array_equal(found.elbo, [-np.inf, -np.inf, 0.0])
    np.testing.assert_allclose(found.log_likelihood, [np.log(0.8), np.log(0.8), 0.0], atol=1e-6)
