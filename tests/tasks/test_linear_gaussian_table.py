"""A linear-Gaussian table with gaps: a trained model says of missing entries what factor analysis does."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from support.factor_analysis import Factors, fitted

import sbvi
from sbvi.evaluation.filling import drawing
from sbvi.tasks.data import run_dataset

#: A recognition network must follow every pattern of gaps closely, which takes long.
pytestmark = pytest.mark.slow

D, K, N = 5, 2, 1200


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Means and variances of entries that a run's training rows miss: exact ones of the most likely factors of these
    rows, and the run's."""
    generator = np.random.default_rng(0)
    z = generator.normal(size=(N, K))
    W = generator.normal(size=(D, K))
    x = (z @ W.T + 0.5 * generator.normal(size=(N, D))) * [1, 3, 0.2, 1, 50] + [0, 10, -5, 2, 700]
    x[generator.random((N, D)) < 0.3] = np.nan
    folder = tmp_path_factory.mktemp("linear")
    pd.DataFrame(x, columns=list("abcde")).to_csv(folder / "linear.csv", index=False)
    words = [
        "dataset=table",
        f"dataset.path={folder / 'linear.csv'}",
        "dataset.validation_size=60",
        "dataset.test_size=60",
        "likelihood=mixed",
        "likelihood.continuous=gaussian",
        "likelihood.scale=learned",
        "posterior=full",
        "objective=importance_weighted",
        "objective.num_samples=40",
        f"model.latents=[{K}]",
        "model.hidden=[]",
        "model.recognition_hidden=[64]",
        "model.recognition_activation=tanh",
        "optimizer.learning_rate=0.005",
        "optimizer.schedule.kind=cosine",
        "trainer.epochs=null",
        "trainer.steps=3000",
        "trainer.batch_size=240",
        "trainer.validate_every=3000",
        "evaluation.num_samples=20",
        "runtime.compilation_cache=false",
    ]
    run = sbvi.train(words, folder / "run")
    held = np.asarray(run_dataset(run).train.x[:], np.float64)
    oracle = fitted(held, K, iterations=1000)
    rows = held[np.isnan(held).any(1)][:100]
    exact = [np.stack(part) for part in zip(*(oracle.conditional(row) for row in rows), strict=True)]
    draw = drawing(run.model, 4000, 4000)
    found = jax.device_get(draw(run.params, jax.random.key(0), jnp.asarray(rows, jnp.float32)))
    columns = run.preprocessing.table
    scale = np.array([c.scale for c in columns])
    return held, oracle, rows, exact, (found.mean / scale, found.draws.var(0))  # means are told less their location


def test_the_oracle_is_at_a_maximum(told):
    held, oracle, *_ = told
    best = oracle.log_prob(held)
    generator = np.random.default_rng(1)
    for _ in range(5):
        moved = Factors(*(part + 1e-3 * generator.normal(size=part.shape) for part in oracle))
        assert moved.log_prob(held) < best


def test_means_and_variances_are_the_exact_ones(told):
    """Within 2 %: means, of a column's deviation; variances, of what they are, a mean over a column's gaps."""
    _, _, rows, (mean, variance), (means, variances) = told
    gaps = np.isnan(rows)
    assert np.sqrt(np.mean((means - mean)[gaps] ** 2)) < 0.02
    for d in range(D):
        own = gaps[:, d]
        assert own.sum() > 15
        assert np.mean(variances[own, d]) == pytest.approx(np.mean(variance[own, d]), rel=0.02)
