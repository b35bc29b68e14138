"""A single run's config is composed once, and is the one that Hydra composes in two passes."""

import sys

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from sbvi.cli import composing, hydra_app
from sbvi.cli.train import COMMAND

TWO_PASSES, ONCE = Hydra.get_mode, composing.compose_once


@pytest.fixture
def composed(tmp_path, monkeypatch):
    """words, whether in one pass -> (the configs of the jobs with Hydra's own part, how often one was composed)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "sweep.yaml").write_text("# @package _global_\nhydra: {mode: MULTIRUN}\n")
    compose, seen, times = ConfigLoaderImpl._load_configuration_impl, [], []

    def counted(*args, **kwargs):
        config = compose(*args, **kwargs)
        times.append(1)
        return config

    monkeypatch.setattr(ConfigLoaderImpl, "_load_configuration_impl", counted)

    def task(config):
        seen.append((OmegaConf.to_yaml(config), OmegaConf.to_yaml(HydraConfig.get())))

    def run(*words, once):
        seen.clear(), times.clear()
        monkeypatch.setattr(Hydra, "get_mode", TWO_PASSES)
        monkeypatch.setattr(composing, "compose_once", ONCE if once else lambda: None)
        own = ["hydra.run.dir=run", "hydra.sweep.dir=sweep", "hydra/job_logging=none", "hydra/hydra_logging=none"]
        monkeypatch.setattr(sys, "argv", ["sbvi-train", *words, *own])
        hydra_app.run(
            lambda c: seen.append((OmegaConf.to_yaml(c), OmegaConf.to_yaml(HydraConfig.get()))), "train", COMMAND
        )
        return list(seen), len(times)

    return run


@pytest.mark.parametrize(
    ("words", "times"),
    [
        (["dataset=synthetic", "trainer.steps=3"], (2, 1)),
        (["hydra.mode=RUN", "dataset=synthetic"], (2, 1)),
        (["--multirun", "seed=7"], (4, 4)),
        (["--config-dir", "mine", "experiment=sweep"], (4, 4)),
    ],
    ids=["run", "mode", "sweep", "mode_of_a_file"],
)
def test_one_pass_gives_the_config_of_two(composed, words, times):
    (twice, second), (once, first) = (composed(*words, once=once) for once in (False, True))
    assert once == twice
    assert len(once) == 1
    assert (second, first) == times


@pytest.mark.parametrize("word", ["trainer.step=3", "dataset=nothing"])
def test_a_mistake_has_the_same_sentence(composed, word, capsys):
    said = []
    for once in (False, True):
        with pytest.raises(SystemExit):
            composed(word, once=once)
        said.append(capsys.readouterr().err)
    assert said[0] == said[1] != ""


def test_debug_shortens_whatever_experiment_is_chosen(composed):
    ((config, _),), _ = composed("experiment=quick_mnist", "debug=quick", once=True)
    assert OmegaConf.create(config).trainer.steps == 20
    assert OmegaConf.create(config).trainer.epochs is None
