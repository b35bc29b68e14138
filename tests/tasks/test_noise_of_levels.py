"""Tasks that score dequantised whole numbers score them with uniform noise, as the run's own test does: beside the
closed form of a linear model, log p(x) = log N(x; b, W W^T + sigma^2 I)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from support.small_run import train

from sbvi.core import UserError
from sbvi.runs import Experiment
from sbvi.runs.loaded import load_run
from sbvi.tasks import TASKS
from sbvi.tasks.data import run_dataset

LEVELS, D, SIGMA = 4, 5, 0.1


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    folder = tmp_path_factory.mktemp("linear")
    z = np.random.default_rng(0).normal(size=(120, 1))
    x = np.rint(2 + 1.2 * z * [1, -1, 1, 0.5, 0] + 0.3).clip(0, LEVELS).astype(np.uint8)
    np.savez(folder / "x.npz", x_train=x)
    made = {
        "dataset": {"name": "npz", "path": str(folder / "x.npz"), "maximum": LEVELS},
        "model": {"name": "dlgm", "latents": [2], "hidden": [], "recognition_hidden": []},
        "likelihood": {"name": "gaussian", "scale": "fixed", "fixed_scale": SIGMA},
        "optimizer": {"name": "adam", "learning_rate": 0.02},
        "trainer": {"steps": 300, "batch_size": 20, "log_every": 100, "validate_every": 300, "checkpoint_minutes": 0},
        "evaluation": {"num_samples": 500},
        "runtime": {"compilation_cache": False},
    }
    train(Experiment.from_config(made), folder / "run")
    return load_run(folder / "run")


def with_noise(run, key):
    """The test split as (k + u) / (L + 1)."""
    k = run_dataset(run).test.x.reshape(-1, D)
    return (k + np.asarray(jax.random.uniform(key, k.shape), np.float64)) / (LEVELS + 1)


def density(run, x):
    """log p(x) by the model's map from latents, which is affine, (N,)."""
    points = {"layer_1": jnp.concatenate([jnp.zeros((1, 2)), jnp.eye(2)])}
    start, *ends = np.asarray(run.model.decode(run.params, points), np.float64)
    W = np.stack(ends, 1) - start[:, None]
    return stats.multivariate_normal(start, W @ W.T + SIGMA**2 * np.eye(D)).logpdf(x)


def test_the_gap_is_of_values_with_noise(linear):
    found = TASKS["gap"](examples=1000, steps=60, samples=4, num_samples=400).run(linear)
    exact = density(linear, with_noise(linear, jax.random.fold_in(jax.random.key(1), 1)))
    np.testing.assert_allclose(found.arrays["log_likelihood"], exact, atol=0.1)
    middles = density(linear, (run_dataset(linear).test.x.reshape(-1, D) + 0.5) / (LEVELS + 1))
    tested = -linear.directory.read_result()["metrics"]["test/nll"]
    assert abs(exact.mean() - tested) < 0.3 < 0.5 < middles.mean() - tested


def test_gradients_are_of_values_with_noise(linear, monkeypatch):
    seen = []

    def study(model, params, x, *settings):
        seen.append(np.asarray(x))
        raise UserError("seen")

    monkeypatch.setattr("sbvi.tasks.gradients.study", study)
    with pytest.raises(UserError, match="seen"):
        TASKS["gradients"](examples=1000, seed=5).run(linear)
    expected = with_noise(linear, jax.random.fold_in(jax.random.key(5), 1))
    np.testing.assert_allclose(seen[0], expected, rtol=1e-6)
