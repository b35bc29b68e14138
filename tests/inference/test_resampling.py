"""Filling gaps by importance sampling, against factor analysis, whose conditionals are exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.gaps import FactorAnalysis

from sbvi.inference.importance import importance_sampling
from sbvi.inference.resampling import independence_chain, resampled, spread_order, systematic
from sbvi.models.rollout import Rollout
from sbvi.models.values import Samples


@pytest.fixture(scope="module")
def filled():
    """Exact conditionals of rows with gaps, and what sampling finds of them by both ways."""
    oracle = FactorAnalysis(dtype=jnp.float32)
    rows, _ = oracle.data(40)
    exact = [np.stack(part) for part in zip(*(oracle.conditional(row) for row in rows), strict=True)]
    x = jnp.asarray(rows, jnp.float32)

    @jax.jit
    def both(key):
        by = [resampled(oracle.model, oracle.params, key, x, 6000, 4000, 500, how) for how in ("importance", "chain")]
        return by, importance_sampling(oracle.model.rollout, 6000, 500)(oracle.params, key, x).log_likelihood

    # The recognition network is at its start, a poor q of standard deviation 0.14: widened to the prior's.
    head = oracle.params.recognition["heads"][0]
    head["kernel"].set_value(0 * head["kernel"][...])
    head["bias"].set_value(0 * head["bias"][...])
    return rows, exact, jax.device_get(both(jax.random.key(0)))


def test_means_and_variances_are_the_exact_ones(filled):
    rows, (mean, variance, _), (ways, _) = filled
    gaps = np.isnan(rows)
    spread = np.sqrt(variance[gaps])
    for found in ways:
        enough = (found.effective > 300)[:, None] & gaps
        assert enough.sum() > 30
        assert (np.abs(found.mean - mean)[enough] / np.sqrt(variance[enough])).max() < 0.25
        drawn = found.draws.std(0)[enough] / np.sqrt(variance[enough])
        assert abs(drawn.mean() - 1) < 0.02
        assert np.abs(drawn - 1).max() < 0.35
        assert np.corrcoef(found.mean[gaps], mean[gaps])[0, 1] > 0.995
        bias = (found.draws.mean(0) - mean)[gaps] / spread
        assert abs(bias.mean()) < 0.02


def test_the_likelihood_is_the_marginal_models(filled):
    _, (_, _, log_p), (_, found) = filled
    assert abs(np.mean(found - log_p)) < 0.02
    assert np.abs(found - log_p).max() < 0.5


def test_the_chain_tells_what_it_accepts(filled):
    _, _, (ways, _) = filled
    assert (ways[0].accepted == 1).all()
    assert ways[1].accepted.min() > 0.005
    assert 0.1 < ways[1].accepted.mean() < 0.9


def test_systematic_positions_come_as_often_as_their_weights():
    weights = np.random.default_rng(0).dirichlet(np.ones(7), 3).T
    found = np.asarray(systematic(jax.random.key(0), jnp.asarray(weights, jnp.float32), 1000))
    counts = np.stack([(found == s).sum(0) for s in range(7)])
    assert (np.abs(counts - 1000 * weights) < 1 + 1e-3).all()
    first = np.stack([(found[:100] == s).sum(0) for s in range(7)])  # draws like any others, in no order
    assert (np.abs(first - 100 * weights) < 5 * np.sqrt(100 * weights) + 1).all()


def test_the_chain_visits_positions_by_weight():
    weights = np.array([0.1, 0.2, 0.7])
    offered = np.random.default_rng(0).integers(0, 3, 40_000)
    log_weights = jnp.asarray(np.log(weights)[offered][:, None], jnp.float32)
    places, accepted = independence_chain(jax.random.key(0), log_weights, 30_000)
    visited = offered[np.asarray(places)[:, 0]]
    np.testing.assert_allclose([(visited == s).mean() for s in range(3)], weights, atol=0.02)
    wanted = np.sum(weights[:, None] / 3 * np.minimum(1, weights[None] / weights[:, None]))
    assert abs(float(accepted[0]) - wanted) < 0.02


@pytest.mark.parametrize("count", [1, 2, 7, 500])
def test_the_first_of_the_chain_s_places_are_spread_along_all_of_it(count):
    order = spread_order(count)
    assert sorted(order) == list(range(count))
    for first in range(1, count + 1):
        edges = np.sort(order[:first]) / count
        gaps = np.diff(np.concatenate([edges, edges[:1] + 1]))
        assert gaps.max() <= 2.7 / first + 2 / count, first


def test_a_few_draws_of_a_chain_differ_as_much_as_all():
    """Of N(0, 1) by proposals of N(2, 1), of which one in six is taken: neighbours are often the same."""
    z = np.random.default_rng(0).normal(size=(2000, 500)) + 2
    log_weights = jnp.asarray(-0.5 * z**2 + 0.5 * (z - 2) ** 2, jnp.float32)
    places, accepted = independence_chain(jax.random.key(1), log_weights, 500)
    assert 0.1 < float(accepted.mean()) < 0.2
    draws = np.take_along_axis(z, np.asarray(places), 0)
    assert 0.9 < draws[:5].var(0, ddof=1).mean() / draws.var(0, ddof=1).mean() < 1.1


def test_chunks_are_samples_of_their_own_and_the_chain_is_followed_to_its_end():
    """Of samples of one weight, of which each is chosen once; the chain takes every one."""

    class Alike:
        def rollout(self, params, key, x, count):
            zeros = jnp.zeros((count, len(x)))
            return Rollout({"z": jax.random.normal(key, (count, len(x), 1))}, zeros, {"z": zeros}, {"z": zeros}, None)

        def missing_columns(self, params, key, latents):
            return Samples(latents["z"], latents["z"])

    run = jax.jit(lambda key: resampled(Alike(), None, key, jnp.zeros((2, 1)), 40, 40, 10).draws)
    draws = np.asarray(run(jax.random.key(0)))
    assert [len(np.unique(draws[:, row])) for row in (0, 1)] == [40, 40]
    places, accepted = independence_chain(jax.random.key(0), jnp.zeros((40, 2)), 4)
    np.testing.assert_array_equal(np.sort(np.asarray(places)[:, 0]), [10, 20, 29, 39])
    assert (np.asarray(accepted) == 1).all()


def test_a_bound_over_observed_entries_is_the_bound_of_the_marginal_model(x64):
    """With q the exact posterior given what is observed, every sample's weight is the likelihood."""
    oracle = FactorAnalysis(D=4, K=2, scale=2.5, location=-1.0)
    row = np.array([0.4, np.nan, -0.7, np.nan])
    o = ~np.isnan(row)
    W, s = oracle.W[o], oracle.sigma[o]
    precision = np.eye(2) + W.T @ (W / s[:, None] ** 2)
    mean = np.linalg.solve(precision, W.T @ ((row - oracle.b)[o] / s**2))
    z = np.random.default_rng(3).normal(size=(50, 2))
    points = {"layer_1": jnp.asarray(z)[:, None]}

    @jax.jit
    def program(x):
        model, params = oracle.model, oracle.params
        missing = model.missing_columns(params, jax.random.key(0), points).mean
        return model.log_joint(params, points, x), model.column_log_probs(params, points, x), missing

    joint, entries, means = (np.asarray(v) for v in program(jnp.asarray(row)[None]))
    joint, means = joint[:, 0], means[:, 0]
    offset = z - mean
    log_q = -0.5 * np.einsum("si,ij,sj->s", offset, precision, offset) + 0.5 * np.linalg.slogdet(precision)[1]
    log_q -= np.log(2 * np.pi)
    exact = oracle.conditional(row)[2] - 2 * np.log(2.5)  # nats of the columns' own units
    np.testing.assert_allclose(joint - log_q, exact, rtol=1e-9)
    assert (entries[:, 0, ~o] == 0).all()
    np.testing.assert_allclose(means, (z @ oracle.W.T + oracle.b) * 2.5, rtol=1e-9)
