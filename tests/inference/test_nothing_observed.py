"""log p of a row without entries is 0, whatever a recognition model makes of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.gaps import FactorAnalysis
from support.models import summary

from sbvi.data.tabular.columns import Column
from sbvi.distributions.likelihoods.mixed import Mixed
from sbvi.inference import importance
from sbvi.models import DLGM
from sbvi.models.values import DataFacts

SAMPLES = 200


@pytest.mark.parametrize("held", [1, importance.HELD])  # weights: the largest alone, or all of them
def test_an_empty_row_has_probability_1_and_the_others_their_estimate(held, monkeypatch):
    monkeypatch.setattr(importance, "HELD", held)
    oracle = FactorAnalysis(K=3, dtype=jnp.float32)  # whose recognition network is at its start, a poor q
    rows, _ = oracle.data(6)
    rows[[1, 4]] = np.nan
    rows[2, 1:] = np.nan

    real = importance.nothing_observed

    @jax.jit  # one program for both, which two would round otherwise
    def estimate(params, x, asked):
        monkeypatch.setattr(importance, "nothing_observed", lambda x, fit: real(x, fit) & asked)
        return importance.importance_sampling(oracle.model.rollout, SAMPLES, 50)(params, jax.random.key(0), x)

    def estimated(asked):
        return jax.device_get(estimate(oracle.params, jnp.asarray(rows, jnp.float32), jnp.asarray(asked)))

    found = estimated(True)
    empty = np.isnan(rows).all(1)
    assert (found.log_likelihood[empty] == 0).all()
    assert (found.effective[empty] == SAMPLES).all()
    assert (found.khat[empty] == 0).all()
    assert (found.elbo[empty] < -1).all()
    before = estimated(False)
    assert (before.effective[empty] < SAMPLES / 2).all()
    for now, then in zip(jax.tree.leaves(found), jax.tree.leaves(before), strict=True):
        np.testing.assert_array_equal(now[~empty], then[~empty])


def test_that_all_entries_are_missing_tells_something_where_they_go_missing_by_their_value():
    columns = tuple(Column(f"c{d}", "continuous") for d in range(4))
    likelihood = Mixed(continuous="gaussian", missingness="self_masking")
    spec = DLGM(latents=(3,), hidden=(), recognition_hidden=(), likelihood=likelihood)
    model = spec.build(DataFacts((4,), False, None, 0, columns))
    params = model.init(0, summary(np.zeros(4), np.ones(4)))
    estimate = importance.importance_sampling(model.rollout, SAMPLES, 50)
    found = jax.jit(estimate)(params, jax.random.key(0), jnp.full((1, 4), jnp.nan))
    # Offset and slope are 0 at the start, so that every entry is missing with probability 1/2 whatever the latents are.
    assert found.expected_log_likelihood[0] == pytest.approx(4 * np.log(0.5), rel=1e-5)
    assert found.log_likelihood[0] < -2
    assert found.effective[0] < SAMPLES
