"""A single run's config is composed once, and is the one that Hydra composes in two passes."""

import pickle
import sys

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from sbvi.cli import composing, hydra_app
from sbvi.cli.job_names import differing, told
from sbvi.cli.train import COMMAND
from sbvi.core.configs import hydra_defaults
from sbvi.core.merging import InJobs, replacing
from sbvi.core.rewording import reworded
from sbvi.runs import compose

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


# Under Hydra 1.4 nothing is changed, which a test below holds, so that there are no two ways to compare.
@pytest.mark.skipif(not hydra_defaults(), reason="Hydra 1.4 composes once by itself")
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


GEOMETRIC = "model.layers={first: 20,count: 3,last: 5}"


def test_words_that_hydra_would_read_otherwise(composed):
    """A file whose name is a number's, and settings in the place of a list; what was typed stays."""
    words = ["debug=nan", "model=helmholtz", GEOMETRIC]
    ((config, _),), _ = composed(*words, once=True)
    assert OmegaConf.create(config).runtime.debug_nans
    assert OmegaConf.create(config).model.layers == {"first": 20, "count": 3, "last": 5}
    assert sys.argv[1:4] == words


def test_they_are_swept_over():
    """Jobs, which a launcher's process composes by itself, have the words of Hydra's reading, and settings as typed."""
    typed = ["debug=nan,quick", "model=helmholtz", GEOMETRIC]
    words = reworded(["--multirun", *typed])
    ((first, second),) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(words[1:]), None)
    assert compose.composed(first)["model"]["layers"] == {"first": 20, "count": 3, "last": 5}
    assert [told(differing(job, words)) for job in (first, second)] == ["debug_nan", "debug_quick"]
    assert words[2:] == typed[1:]


def test_a_job_in_a_process_of_its_own_merges_as_its_sweep():
    """Where it has what the sweep handed to it."""
    config = OmegaConf.create({"model": {"layers": [8, 4]}})
    with replacing():  # which takes back what is done within
        assert isinstance(pickle.loads(pickle.dumps(InJobs())), InJobs)
        OmegaConf.update(config, "model.layers", {"first": 9})
        assert config.model.layers == {"first": 9}
    with pytest.raises(TypeError, match="Cannot merge"):
        OmegaConf.update(config, "model.layers", [3])


def test_a_hydra_that_reads_arguments_otherwise_is_left_as_it_is(monkeypatch):
    main = sys.modules["hydra.main"]
    made = main.get_args_parser
    with composing.read_instead(["seed=1"]):
        assert main.get_args_parser().parse_args().overrides == ["seed=1"]
    assert main.get_args_parser is made
    monkeypatch.delattr(main, "get_args_parser")
    with composing.read_instead(["seed=1"]):
        assert not hasattr(main, "get_args_parser")


def test_a_hydra_that_reads_the_mode_otherwise_is_left_as_it_is(monkeypatch):
    """That of 1.4, which is told the parsed words too and composes nothing for it."""

    class Later:
        def get_mode(self, config_name, overrides, parsed_overrides=None):
            raise AssertionError

    asked = Later.get_mode
    monkeypatch.setattr(composing, "Hydra", Later)
    composing.compose_once()
    assert Later.get_mode is asked


@pytest.mark.parametrize(
    ("version", "words"), [("1.3.2", {"version_base": "1.3"}), ("1.4.0", {}), ("1.4.0rc3", {}), ("1.30.0", {})]
)
def test_hydra_is_told_whose_defaults_where_it_asks_for_that(version, words, monkeypatch):
    monkeypatch.setattr("hydra.__version__", version)
    assert hydra_defaults() == words


def test_resolvers_are_registered_by_the_name_that_omegaconf_has_for_it(monkeypatch):
    """2.4 warns of the old one."""
    told = []
    monkeypatch.setattr(
        OmegaConf, "register_resolver", lambda name, _, *, replace: told.append((name, replace)), raising=False
    )
    hydra_app.register_resolvers([])
    assert told == [("sbvi.job", True), ("sbvi.study", True)]
