"""Draws of the parameters from the command line, of a model with continuous latents."""

import json

import numpy as np
import pytest
from support.processes import command
from support.tiny_run import TINY

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
    "hydra.run.dir=run",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("dlgm")
    done = command("train", *WORDS, cwd=place)
    assert done.returncode == 0, done.stderr
    return place


def evaluated(folder, *words, title):
    """The metrics of each evaluation by its settings, oldest first."""
    done = command("evaluate", *words, "run=run", f"folder={title}", cwd=folder)
    assert done.returncode == 0, done.stderr
    return [json.loads(path.read_text()) for path in sorted((folder / title).glob("*.json"))]


def test_a_run_keeps_its_draws_and_their_mean(folder):
    config = json.loads((folder / "run" / "run.json").read_text())["config"]
    assert config["algorithm"]["proposal"] == "pathwise"
    metrics = json.loads((folder / "run" / "result.json").read_text())["metrics"]
    assert np.isfinite(metrics["mean_of_draws/bound"])
    assert len(list((folder / "run" / "checkpoints" / "draws").glob("*.safetensors"))) == 3


def test_likelihoods_by_the_number_of_draws(folder):
    words = ("-m", "task=likelihood", "task.num_samples=20", "task.draws=[1,3]", "task.parameters=mean,average")
    found = {e["task"]["parameters"]: e["metrics"] for e in evaluated(folder, *words, title="curves")}
    for metrics in found.values():
        assert metrics["test/draws_3/nll"] == pytest.approx(metrics["test/nll"], rel=1e-6)
    one = [metrics["test/draws_1/nll"] for metrics in found.values()]
    assert one[0] != one[1]  # the mean of one has a recognition model fitted to it
    assert one[0] == pytest.approx(one[1], abs=1)
    assert len(list((folder / "curves").glob("likelihood-test-draws*.png"))) == 2
    (last,) = evaluated(folder, "task=likelihood", "task.num_samples=20", "task.parameters=last", title="last")
    assert last["metrics"]["test/nll"] not in [metrics["test/nll"] for metrics in found.values()]


def test_samples_and_imputations_averaged_and_the_chain(folder):
    words = ("-m", "task=samples,imputation", "task.parameters=average")
    titles = [e["task"]["name"] for e in evaluated(folder, *words, title="averages")]
    assert sorted(titles) == ["imputation", "samples"]
    (chain,) = evaluated(folder, "task=chain", "task.examples=20", "task.num_samples=10", title="chain")
    assert {"chain/log_likelihood/mean", "chain/thermostat/mean"} <= set(chain["metrics"])
    for kind in ("png", "pdf"):
        assert len(list((folder / "chain").glob(f"chain*.{kind}"))) == 1
