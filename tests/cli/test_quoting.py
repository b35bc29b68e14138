"""Words that are told to be typed mean what they say, by a shell and by Hydra's own grammar."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from sbvi.cli.quoting import quoted, word

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
]


@pytest.mark.parametrize("how", [word, quoted])
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_read_as_it_is(folder, how):
    (typed,) = shlex.split(how("run", folder))
    (override,) = OverridesParser.create().parse_overrides([typed])
    value = override.value()
    assert isinstance(value, str)
    assert value == folder


def test_what_needs_no_quotes_has_none():
    assert word("run", FOLDERS[0]) == f"run={FOLDERS[0]}"
    assert word("run", FOLDERS[1]) == f"'run={FOLDERS[1]}'"
