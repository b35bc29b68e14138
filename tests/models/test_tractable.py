"""What every model with an exact likelihood promises: a new one is a row."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.processes import command
from support.small_run import interrupted, leaves, same

import sbvi
from sbvi.core import build
from sbvi.tasks import TASKS

# Model -> its words, small.
ROWS = {"mixture": ["model.count=3"], "nade": ["model.hidden=4"]}
D = 8
WORDS = [
    "dataset=synthetic", f"dataset.dimensions={D}", "dataset.train_size=120", "dataset.validation_size=40",
    "dataset.test_size=40", "trainer.steps=24", "trainer.batch_size=20", "trainer.log_every=6",
    "trainer.validate_every=12", "trainer.checkpoint_minutes=0", "runtime.compilation_cache=false",
]  # fmt: skip
KEY = jax.random.key(0)
BITS = np.array(list(itertools.product((0, 1), repeat=D)), np.float32)


def words(name):
    return [f"model={name}", *ROWS[name], *WORDS]


@pytest.fixture(scope="module", params=ROWS)
def run(request, tmp_path_factory):
    """A trained run of each."""
    folder = tmp_path_factory.mktemp(request.param)
    return sbvi.train(words(request.param), folder / "run")


def name_of(run):
    return run.directory.read_run()["config"]["model"]["name"]


def test_it_is_exact_and_sums_to_one(run):
    found = run.model.log_prob(run.params, KEY, jnp.asarray(BITS))
    assert found.kind == "exact"
    assert np.exp(np.asarray(found.value, np.float64)).sum() == pytest.approx(1, abs=1e-5)
    assert run.model.discrete


def test_training_raises_the_likelihood_that_the_test_reports(run):
    metrics = run.directory.read_result()["metrics"]
    lines = [json.loads(line) for line in (run.directory.path / "metrics.jsonl").read_text().splitlines()]
    logged = [line["train/log_likelihood"] for line in lines if "train/log_likelihood" in line]
    assert logged[-1] > logged[0]
    likelihood = build(TASKS, "task", {"name": "likelihood"}).run(run)
    assert likelihood.scalars["test/nll"] == pytest.approx(metrics["test/nll"], rel=1e-5)
    assert "test/elbo" not in metrics
    own = -np.mean(run.log_likelihood(run.experiment.dataset.load().test.x), dtype=np.float64)
    assert own == pytest.approx(metrics["test/nll"], rel=1e-5)


def test_killed_and_resumed_it_ends_on_the_same_bits(run, tmp_path):
    made = run.experiment
    interrupted(made, tmp_path / "run", 12)
    sbvi.train(made, tmp_path / "run")
    for name in ("last", "best"):
        same(leaves(run.directory.path, name), leaves(tmp_path / "run", name))


def test_its_tasks(run):
    samples = build(TASKS, "task", {"name": "samples", "num": 30, "means": False}).run(run).arrays["x"]
    assert samples.shape == (30, D)
    assert set(np.unique(samples)) <= {0, 1}
    words = {"name": "imputation", "iterations": 40, "warmup": 0, "fraction": 0.5, "examples": 20}
    filled = build(TASKS, "task", words).run(run)
    assert filled.scalars["imputation/accepted"] == 1
    # Chance is log 2; what a model that was trained says is not far above it at worst.
    assert filled.scalars["imputation/log_loss"] < 1.1
    gaps = np.where(np.arange(D) % 2, np.nan, BITS[:5].astype(float))
    whole = run.impute(gaps)
    np.testing.assert_array_equal(whole[:, ::2], BITS[:5, ::2])
    assert ((whole >= 0) & (whole <= 1)).all()


@pytest.mark.slow  # sweeps are tested in test_sweeps.py, and each of these models by its tasks above
@pytest.mark.parametrize("run", ["mixture", "nade"], indirect=True)
def test_a_sweep_and_its_comparison(run, tmp_path):
    given = ["--multirun", *words(name_of(run)), "seed=0,1", "hydra.sweep.dir=sweep"]
    done = command("train", *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = command("compare", "sweep", "--metric", "test/nll", "--format", "json", cwd=tmp_path)
    (group,) = json.loads(done.stdout)["groups"]
    first = run.directory.read_result()["metrics"]["test/nll"]
    assert len(group["runs"]) == 2
    assert any(value == pytest.approx(first, rel=1e-5) for value in group["runs"].values())
