"""Training from Python, as the command line would."""

import json

import numpy as np
import pytest

import sbvi
from sbvi.core import UserError

WORDS = [
    "dataset=synthetic",
    "dataset.train_size=200",
    "model.latents=[2]",
    "model.hidden=[4]",
    "model.recognition_hidden=[4]",
    "posterior=rank_one",
    "objective.num_samples=2",
    "optimizer.schedule.kind=cosine",
    "trainer.epochs=3",
    "trainer.log_every=5",
    "evaluation.num_samples=5",
]


def test_overrides_are_composed_as_the_command_composes_them(tmp_path):
    made = sbvi.Experiment.from_overrides(WORDS)
    assert made.trainer.epochs == 3
    assert made.trainer.steps is None  # a length given clears the others
    config = made.to_config()
    assert config["model"]["posterior"] == {"name": "rank_one"}
    assert config["model"]["likelihood"] == {"name": "bernoulli"}
    assert config["algorithm"]["objective"]["num_samples"] == 2
    assert config["algorithm"]["optimizer"]["schedule"]["kind"] == "cosine"
    assert sbvi.Experiment.from_config(json.loads(json.dumps(config))) == made
    for words, sentence in (
        (["posterior=ranc_one"], r"posterior=ranc_one is not known \(did you mean rank_one\?\); allowed: auto, "),
        (["posterior="], "posterior= is not known; allowed: auto, diagonal"),
        (["prior=flow", "posterior=null"], "^posterior=null: a group of settings is chosen by a name"),
        (
            ["algorithm.dreams=0.3"],
            "algorithm.dreams is a key of algorithm=reweighted_wake_sleep, and algorithm is grad",
        ),
        (
            ["prior.components=5"],
            "prior.components is a key of prior=mixture, and prior is standard where none is named",
        ),
        (["model=nade", "objective.kl_weight.beta=2"], "and objective is log_likelihood where none is named"),
        (["dataset=npz"], "dataset.path must be given"),
        (["algorithm=expectation_maximisation"], "models that serve: circuit, mixture"),
        (["model.latent=[2]"], "latent"),
        (["model=mixture", "posterior=full"], "posterior=full has no use with model=mixture"),
        (["algorithm=wake_sleep", "objective=renyi"], "objective=renyi has no use with algorithm=wake_sleep"),
        (["model=mixture", "algorithm=wake_sleep"], "models that serve: dlgm"),
        (["objective=log_likelihood"], "models that serve: "),
    ):
        with pytest.raises(UserError, match=sentence):
            sbvi.Experiment.from_overrides(words)


def test_training_gives_back_the_run_and_goes_on(tmp_path):
    run = sbvi.train(WORDS, tmp_path / "run")
    x = run.sample(5)
    assert run.log_likelihood(x, 20).shape == (5,)
    again = sbvi.train(sbvi.Experiment.from_overrides(WORDS), tmp_path / "run")
    np.testing.assert_array_equal(run.log_likelihood(x, 20), again.log_likelihood(x, 20))
    with pytest.raises(UserError, match=r"holds another run: posterior\.name is rank_one there and full here"):
        sbvi.train([*WORDS, "posterior=full"], tmp_path / "run")
    with pytest.raises(UserError, match="must be an Experiment or a list of overrides"):
        sbvi.train("dataset=synthetic", tmp_path / "other")


def test_a_short_run_has_a_rate(tmp_path):
    """A single chunk: compiling is left out of the rate, and counted in the seconds."""
    sbvi.train([*WORDS, "trainer.log_every=1000"], tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["steps"] == 6
    assert result["examples_per_second"] > 100 * result["steps"] / result["train_seconds"]
