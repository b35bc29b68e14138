"""The bound and its estimates against the exact likelihood of a linear-Gaussian DLGM."""

import jax
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian
from support.models import view

from sbvi.inference.importance import importance_sampling
from sbvi.objectives import FreeEnergy


def elbo(oracle, x, num_samples, kl="analytic", key=0):
    @jax.jit
    def report(params, x):
        seen = view(oracle.model, params, jax.random.key(key), x)
        return FreeEnergy(num_samples=num_samples, kl=kl)(seen, {"kl_weight": 1.0})[1]

    return report(oracle.params, x)


GENERATOR = np.random.default_rng(7)
ORTHOGONAL = np.linalg.qr(GENERATOR.normal(size=(6, 3)))[0] * np.array([0.5, 1.0, 2.0])
CONTAINED = {
    "diagonal": ORTHOGONAL,  # W^T W is diagonal
    "rank_one": GENERATOR.normal(size=(1, 4)),  # scalar v: one direction
    "joint_rank_one": GENERATOR.normal(size=(1, 4)),
    "low_rank": GENERATOR.normal(size=(3, 5)),
    "full": GENERATOR.normal(size=(6, 4)),
}


@pytest.mark.parametrize("posterior", CONTAINED)
def test_elbo_is_the_exact_likelihood_where_the_family_contains_the_posterior(posterior, x64):
    oracle = LinearGaussian(CONTAINED[posterior], posterior=posterior)
    oracle.set_recognition(oracle.exact_constants())
    x = oracle.data(20)
    exact = oracle.log_likelihood(x)
    # With the exact posterior every weight is p(v), so even one sample has no error.
    np.testing.assert_allclose(elbo(oracle, x, 1, "sampled")["elbo"], exact, rtol=1e-9)
    found = jax.jit(oracle.model.rollout, static_argnums=3)(oracle.params, jax.random.key(0), x[:5], 50_000)
    values = np.asarray(found.log_likelihood) - sum(np.asarray(kl) for kl in found.kl.values())
    stderr = values.std(0) / np.sqrt(len(values))
    assert (np.abs(values.mean(0) - exact[:5]) < 5 * stderr).all()


@pytest.mark.parametrize("posterior", ["diagonal", "rank_one"])
def test_importance_sampling_converges_to_the_exact_likelihood(posterior, x64):
    oracle = LinearGaussian(GENERATOR.normal(size=(6, 3)), posterior=posterior)
    size = oracle.family.outputs(3) - 3
    oracle.set_recognition(np.full(size, 0.1 if posterior == "rank_one" else -0.4))
    x = oracle.data(10)
    exact = oracle.log_likelihood(x)
    gaps = []
    for num_samples in (1, 100, 20_000):
        estimate = importance_sampling(oracle.model.rollout, num_samples, 1000)
        found = jax.jit(estimate)(oracle.params, jax.random.key(1), x)
        gaps.append(np.mean(exact - np.asarray(found.log_likelihood)))
    assert abs(gaps[-1]) < 0.02
    assert gaps[0] > 3 * max(abs(gaps[1]), abs(gaps[2]))
    assert (np.asarray(found.elbo) < exact).all()


def test_importance_sampling_in_chunks_is_exact_for_any_chunk(x64):
    """A chunk that does not divide the number of samples counts each sample once."""
    oracle = LinearGaussian(GENERATOR.normal(size=(6, 3)))
    oracle.set_recognition(np.full(3, -0.4))
    x = oracle.data(4)

    @jax.jit
    def both(params, key):
        return [importance_sampling(oracle.model.rollout, 7, chunk)(params, key, x) for chunk in (7, 3)]

    @jax.jit
    def log_weights(number):
        key = jax.random.fold_in(jax.random.key(3), number)
        return oracle.model.rollout(oracle.params, key, x, 3).log_weights()

    whole, parts = both(oracle.params, jax.random.key(3))
    weights = np.concatenate([log_weights(number) for number in range(3)])[:7]
    top = weights.max(0)
    expected = top + np.log(np.exp(weights - top).mean(0))
    np.testing.assert_allclose(parts.log_likelihood, expected, rtol=1e-10)
    np.testing.assert_allclose(parts.elbo, weights.mean(0), rtol=1e-10)
    w = np.exp(weights - top)
    np.testing.assert_allclose(parts.effective, w.sum(0) ** 2 / (w**2).sum(0), rtol=1e-10)
    assert whole.elbo.shape == parts.elbo.shape


def test_free_energy_gradient_is_the_exact_one_at_the_optimum(x64):
    """At the exact posterior the recognition gradient of the expected bound is zero."""
    oracle = LinearGaussian(CONTAINED["full"], posterior="full")
    oracle.set_recognition(oracle.exact_constants())
    x = oracle.data(5)

    def loss(recognition, key):
        params = oracle.params._replace(recognition=recognition)
        return FreeEnergy(num_samples=100)(view(oracle.model, params, key, x), {"kl_weight": 1.0})[0]

    keys = jax.random.split(jax.random.key(0), 200)
    gradient = jax.grad(loss)
    found = jax.jit(lambda keys: jax.lax.map(lambda k: gradient(oracle.params.recognition, k), keys, batch_size=50))
    for leaf in map(np.asarray, jax.tree.leaves(found(keys))):
        stderr = leaf.std(0) / np.sqrt(len(keys))
        assert (np.abs(leaf.mean(0)) <= 5 * stderr + 1e-12).all()
