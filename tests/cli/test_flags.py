"""Flags among a command's words: wherever they stand, Hydra reads what was meant."""

import pytest
from support.processes import command

from sbvi.cli.flags import flags_first, words_of
from sbvi.core import UserError

ORDERS = {
    ("posterior=rank_one", "--multirun", "seed=0,1"): ["--multirun", "posterior=rank_one", "seed=0,1"],
    ("a=1", "--cfg", "job", "b=2", "--package=x", "c=3"): ["--cfg", "job", "--package=x", "a=1", "b=2", "c=3"],
    ("a=1", "--config-dir", "my dir", "b=2", "-m"): ["--config-dir", "my dir", "-m", "a=1", "b=2"],
    ("a=1", "--info", "b=2"): ["--info", "all", "a=1", "b=2"],
    ("a=1", "-i", "plugins", "b=2"): ["-i", "plugins", "a=1", "b=2"],
    ("-m", "b=-2", "a=1"): ["-m", "b=-2", "a=1"],
    (): [],
}


@pytest.mark.quick
@pytest.mark.parametrize("arguments", ORDERS, ids=" ".join)
def test_flags_and_their_values_go_first(arguments):
    ordered = flags_first(arguments)
    assert ordered == ORDERS[arguments]
    assert words_of(arguments) == words_of(ordered)
    assert flags_first(ordered) == ordered


@pytest.mark.quick
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cfg"], r"^--cfg: --cfg needs a value; allowed: job, hydra, all, as in --cfg job\.$"),
        (["--cfg", "seed=1"], r"^--cfg seed=1: --cfg needs a value; allowed: job, hydra, all"),
        (["--info=al"], r"^--info al: --info needs a value; allowed: all, config"),
        (["seed=1", "--config-dir"], r"^--config-dir: --config-dir needs a value; allowed: any"),
        (["seed=1", "--multi"], r"^--multi is not a flag \(did you mean --multirun\?\)"),
    ],
)
def test_a_flag_without_its_value(arguments, said):
    with pytest.raises(UserError, match=said):
        flags_first(arguments)


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("train", ("posterior=rank_one", "--cfg", "job", "seed=3", "--package", "_global_"), "seed: 3"),
        ("evaluate", ("run=nowhere", "--multirun", "task=likelihood", "task.chunk=[5]"), "[5]"),
    ],
)
def test_a_flag_between_words(tmp_path, name, words, said):
    done = command(name, *words, cwd=tmp_path)
    assert "usage" not in done.stdout + done.stderr
    assert said in done.stdout + done.stderr
