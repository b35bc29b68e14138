"""Draws of the parameters of a model with continuous latents, by the commands and from Python."""

import json

import numpy as np
import pytest
from support.processes import command
from support.tiny_run import TINY

from sbvi.runs import load_run
from sbvi.tasks import TASKS

WORDS = (
    *TINY,
    "model.latents=[3,2]",
    "algorithm=sgmcmc",
    "algorithm.num_samples=3",
    "algorithm.burn_in=40",
    "algorithm.thinning=20",
    "algorithm.tuning_epochs=1",
    "trainer.steps=100",
    "trainer.log_every=20",
    "trainer.validate_every=50",
    "evaluation.num_samples=10",
    "hydra.run.dir=run",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("dlgm")
    done = command("train", *WORDS, cwd=place)
    assert done.returncode == 0, done.stderr
    return place


def test_a_run_keeps_its_draws_and_their_mean(folder):
    config = json.loads((folder / "run" / "run.json").read_text())["config"]
    assert config["algorithm"]["proposal"] == "pathwise"
    metrics = json.loads((folder / "run" / "result.json").read_text())["metrics"]
    assert np.isfinite(metrics["mean_of_draws/bound"])
    assert "Testing the mean of the draws with 10 samples" in (folder / "run" / "sbvi-train.log").read_text()
    assert len(list((folder / "run" / "checkpoints" / "draws").glob("*.safetensors"))) == 3


@pytest.mark.slow  # averages over draws are tested in test_sgmcmc_runs.py
def test_every_task_of_its_draws(folder):
    words = ("task=likelihood", "task.num_samples=20", "task.draws=[1,3]", "task.parameters=average")
    done = command("evaluate", "run=run", "folder=told", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "told").glob("*.json")
    average = json.loads(path.read_text())["metrics"]
    assert average["test/draws_3/nll"] == average["test/nll"]
    for kind in ("png", "pdf"):
        assert len(list((folder / "told").glob(f"likelihood-test-draws*.{kind}"))) == 1
    run = load_run(folder / "run")
    last = TASKS["likelihood"](num_samples=20, parameters="last").run(run).scalars
    assert len({last["test/nll"], average["test/draws_1/nll"], average["test/nll"]}) == 3
    x = run.experiment.dataset.load().test.x
    each = np.array([one.log_likelihood(x, 20) for one in run.each_draw()], np.float64)
    assert average["test/nll"] == pytest.approx(np.log(3) - np.logaddexp.reduce(each, 0).mean(), rel=1e-4)
    drawn = TASKS["samples"](parameters="average", num=6).run(run)
    assert drawn.arrays["x"].shape == (6, *run.event_shape)
    filled = TASKS["imputation"](parameters="average", iterations=8, warmup=2, examples=10).run(run)
    assert np.isfinite(filled.scalars["imputation/rmse"])
    chain = TASKS["chain"](examples=20, num_samples=10).run(run)
    assert {"chain/log_likelihood/mean", "chain/thermostat/mean"} <= set(chain.scalars)
    assert chain.pictures["chain"].get_axes()
