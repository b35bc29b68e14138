"""How sentences repeat values: a long one by its beginning, and a name that Hydra reads as a number with its quotes."""

import sys

import pytest
from omegaconf import OmegaConf

from sbvi.cli import evaluate
from sbvi.cli.folders import unusable
from sbvi.core.catalogue import unknown_word
from sbvi.core.errors import MOST, UserError, check_seed, choices, cut, unknown_key

pytestmark = pytest.mark.quick

LONG = "x" * 5000


@pytest.mark.parametrize(
    "error",
    [
        choices("likelihood.scale", LONG, ["shared", "learned"]),
        unknown_key("likelihood.foo", LONG, ["likelihood.scale"]),
        unknown_word("foo", LONG, ["model"], ["seed"]),
        unknown_word("learning_rate", LONG, ["optimizer"], ["seed"]),
        unusable(OSError(36, "File name too long", LONG), ()),
    ],
)
def test_a_long_value_is_cut(error):
    assert "x" * MOST in str(error)
    assert "x" * (MOST + 1) not in str(error)


def test_a_long_seed_is_cut():
    with pytest.raises(UserError, match=r"^seed=x{200}\.\.\. must be a whole number"):
        check_seed(LONG)


def test_a_short_value_stays():
    assert cut("x" * MOST) == "x" * MOST
    assert cut(1.5) == "1.5"


@pytest.mark.parametrize(
    ("key", "typed", "read", "said"),
    [
        ("run", "1", 1, "run=1 is read as a number or a truth value; a folder of .* quotes: 'run=\"1\"'\\.$"),
        ("run", "007", 7, "quotes: 'run=\"007\"'"),
        ("run", "True", True, "quotes: 'run=\"True\"'"),
        ("run", "1,2", 1, "quotes: 'run=\"1\"'"),
        ("decoder", "1.5", 1.5, "a file of that name stands in quotes: 'decoder=\"1.5\"'"),
    ],
)
def test_a_name_that_is_read_as_a_number(monkeypatch, key, typed, read, said):
    monkeypatch.setattr(sys, "argv", ["sbvi-evaluate", f"{key}={typed}"])
    words = {"run": None, "decoder": None, "dataset": {"path": None}, "folder": None, "task": {"name": "samples"}}
    with pytest.raises(UserError, match=said):
        evaluate._checked(OmegaConf.create(words | {key: read}))


def test_of_many_keys_the_nearest_is_named_and_where_the_others_are_listed():
    keys = [f"model.key_{place}" for place in range(50)]
    near = "model.key_3x=1 is not a key (did you mean model.key_3?)"
    assert str(unknown_key("model.key_3x", 1, keys)) == f"{near}; allowed: 50 keys, which --help model lists."
    assert str(unknown_key("model.width", 1, keys)).endswith(f"is not a key; allowed: {', '.join(sorted(keys))}.")
