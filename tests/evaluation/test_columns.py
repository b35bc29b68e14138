"""Each entry is scored by a recognition model that does not see it."""

import logging
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from support.models import batch

from sbvi.evaluation import columns
from sbvi.evaluation.columns import column_nll, left_out


class Echo:
    """A model whose latents are what its recognition model was given, and whose entries are what of these is hidden: 1
    for an entry's own place, and 10 for each other one."""

    def rollout(self, params, key, x, num_samples):
        seen = jnp.broadcast_to(x, (num_samples, *x.shape))
        return SimpleNamespace(latents={"z": seen}, log_weights=lambda: jnp.zeros((num_samples, len(x))))

    def column_log_probs(self, params, latents, x):
        hidden = jnp.isnan(latents["z"]).astype(x.dtype)
        return hidden + 10 * (jnp.sum(hidden, -1, keepdims=True) - hidden)


class OneFactor:
    """x_d = a_d z + e_d, z of N(0, 1) and e_d of N(0, 1/4); its samples are of N(0.5, 1.5^2), whatever is seen."""

    loadings, noise = np.array([1.0, -0.5, 2.0]), 0.5

    def rollout(self, params, key, x, num_samples):
        z = 0.5 + 1.5 * jax.random.normal(key, (num_samples, len(x)), x.dtype)
        ratio = -0.5 * z**2 + 0.5 * ((z - 0.5) / 1.5) ** 2 + np.log(1.5)
        seen = jnp.sum(self.column_log_probs(params, {"z": z}, x), -1)
        return SimpleNamespace(latents={"z": z}, log_weights=lambda: ratio + seen)

    def column_log_probs(self, params, latents, x):
        means = latents["z"][..., None] * jnp.asarray(self.loadings)[None, None]
        log_p = -0.5 * ((x[None] - means) / self.noise) ** 2 - np.log(self.noise * np.sqrt(2 * np.pi))
        return jnp.where(jnp.isnan(x)[None], 0.0, log_p)

    def exact(self, row, column):
        """log p(x_d | the row's other entries)."""
        covariance = np.outer(self.loadings, self.loadings) + self.noise**2 * np.eye(3)

        def log_p(kept):
            return multivariate_normal(cov=covariance[np.ix_(kept, kept)]).logpdf(row[kept]) if kept.any() else 0.0

        there = ~np.isnan(row)
        return log_p(there) - log_p(there & (np.arange(3) != column))


@pytest.mark.parametrize("samples", [1, 7])
def test_the_recognition_model_sees_all_entries_but_the_one_that_is_scored(samples):
    found = jax.jit(lambda x: left_out(Echo(), samples, 3)((), jax.random.key(0), batch(x)))(jnp.zeros((3, 4)))
    np.testing.assert_allclose(found["log_prob"], np.ones((3, 4)), rtol=1e-5)
    np.testing.assert_allclose(found["effective"], np.full((3, 4), samples), rtol=1e-5)


def test_an_entry_has_its_conditional_density(x64):
    """Of a linear Gaussian model, gaps among the others too, by more samples than a chunk has and not a multiple."""
    model, x = OneFactor(), np.random.default_rng(0).normal(size=(5, 3))
    x[0, 1] = x[1, 2] = x[1, 0] = np.nan
    found = jax.jit(lambda x: left_out(model, 19_999, 1000)((), jax.random.key(0), batch(x)))(jnp.asarray(x))
    there = ~np.isnan(x)
    wanted = np.array([[0.0 if np.isnan(row[d]) else model.exact(row, d) for d in range(3)] for row in x])
    error = np.where(there, 3 / np.sqrt(np.asarray(found["effective"])), 1e-9)
    assert (np.abs(found["log_prob"] - wanted) < error).all()
    assert (error < 0.1).all()


@pytest.mark.parametrize("size", [0.0, -1e4, 1e6])
def test_a_density_is_not_rounded_by_the_size_of_weights(size):
    """Which they have where a row is unlike any other, or very wide."""

    class Large(Echo):
        def rollout(self, params, key, x, num_samples):
            weights = size + jax.random.normal(key, (num_samples, len(x)))
            return SimpleNamespace(latents={"z": weights}, log_weights=lambda: weights)

        def column_log_probs(self, params, latents, x):
            return jnp.full((*latents["z"].shape, 2), -0.3)

    found = jax.jit(lambda x: left_out(Large(), 100, 50)((), jax.random.key(0), batch(x)))(jnp.zeros((3, 2)))
    np.testing.assert_allclose(found["log_prob"], -0.3, rtol=1e-5)


class Fixed:
    """A data set of one split, and scores of it that are known."""

    x = np.array([[0.0, 0, np.nan], [np.nan, 0, np.nan]])
    log_probs = np.array([[-1.0, -2, 0], [0, -4, 0]], np.float32)

    def __init__(self, monkeypatch, effective):
        self.preprocessing = SimpleNamespace(table=[SimpleNamespace(name=name) for name in "abc"])
        found = {"log_prob": self.log_probs, "effective": np.array(effective)}
        monkeypatch.setattr(columns, "batched", lambda *_: None)
        monkeypatch.setattr(columns, "left_out", lambda model, samples, chunk: self.taken.append(samples))
        monkeypatch.setattr(columns, "map_batches", lambda *_, **__: lambda *_: found)
        self.taken = []

    def evaluated(self, split, rows):
        return SimpleNamespace(x=self.x)

    def nll(self, samples):
        return column_nll(Echo(), (), self, "test", jax.random.key(0), samples, 100, 10)


def test_a_column_s_mean_is_over_the_rows_that_have_it(monkeypatch, caplog):
    """Of a gap log p is 0, which is no entry's; a column without entries is left out, and its gaps' samples too."""
    found = Fixed(monkeypatch, [[50.0, 50, 1], [1, 50, 1]]).nll(1000)
    assert {name: mean for name, (mean, _) in found.items()} == {"a": 1, "b": 3}
    assert np.isnan(found["a"][1])
    assert found["b"][1] == pytest.approx(1.0)  # sd sqrt(2), of two
    assert not caplog.records


def test_few_samples_that_count_are_told(monkeypatch, caplog):
    with caplog.at_level(logging.WARNING):
        Fixed(monkeypatch, [[9.0, 50, 50], [50, 50, 50]]).nll(1000)
    assert "for 33 % of the entries fewer than 10 of the 1000 importance samples count" in caplog.text
    assert "may be off by more than their standard errors" in caplog.text


def test_entries_of_a_large_table_share_the_samples(monkeypatch):
    data = Fixed(monkeypatch, np.full((2, 3), 50.0))
    monkeypatch.setattr(columns, "TOGETHER", 2 * 3 * 400)
    for asked in (30, 100, 1000):
        data.nll(asked)
    monkeypatch.setattr(columns, "TOGETHER", 60)
    data.nll(1000)
    assert data.taken == [30, 100, 400, columns.LEAST]
