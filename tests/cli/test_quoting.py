"""Words that are told to be typed mean what they say, by a shell and by Hydra's own grammar."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from sbvi.cli.quoting import quoted, text, word

pytestmark = pytest.mark.quick

FOLDERS = [
    "outputs/2026-01-31/12-00-00-000000",
    "/home/Ann B/runs",
    "g/run (1)",
    "my runs, #1 <b>/x=1",
    "2026",
    "1e5",
    "null",
    "True",
    "nan",
    "[a]",
    "{a:1}",
    "it's",
    'a "b"',
    "größe",
    "a:b",
    " a ",
    "$HOME",
    "-x",
    "a\\b",
    "100%",
    "~x",
    "${a}",
    'c"${a}\\${b}',
    "a\\",
    "a\\\\",
    'a\\"b',
    'a\\\\"',
    "\\${a}\\",
    '"',
    "'",
]


def as_read(typed):
    """By a shell, Hydra's grammar and OmegaConf."""
    (argument,) = shlex.split(typed)
    (override,) = OverridesParser.create().parse_overrides([argument])
    return OmegaConf.create({"run": override.value()})["run"]


@pytest.mark.parametrize("how", [word, quoted])
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_read_as_it_is(folder, how):
    typed = how("run", folder)
    assert as_read(typed) == folder
    (argument,) = shlex.split(typed)
    assert text(argument.partition("=")[2]) == folder  # where Hydra has no part, as in resume=DIR dataset.path=FILE


@given(st.text(st.sampled_from("ab \\\"'${}()[],:=#~%&1.-/"), min_size=1, max_size=8))
def test_any_folder_is_read_as_it_is(folder):
    assert as_read(typed := word("run", folder)) == folder
    assert text(shlex.split(typed)[0].partition("=")[2]) == folder


def test_what_needs_no_quotes_has_none():
    assert word("run", FOLDERS[0]) == f"run={FOLDERS[0]}"
    assert word("run", FOLDERS[1]) == f"'run={FOLDERS[1]}'"
