"""A place that is only read is never said to be one that cannot be written."""

from pathlib import Path

import pytest

from sbvi.core import UserError
from sbvi.data.convert import describe
from sbvi.data.formats.own_files import read_own
from sbvi.runs.directory import RunDirectory
from sbvi.runs.summaries import find_runs

READERS = {
    "a file": lambda path: read_own(f"{path}.csv", "input"),
    "a run": lambda path: RunDirectory(path).read_run(),
    "runs": lambda path: find_runs([path]),
    "shards to describe": lambda path: describe(Path(path), "x"),
}


@pytest.mark.quick
@pytest.mark.parametrize("what", READERS)
def test_a_name_that_is_too_long_cannot_be_read(what, tmp_path):
    with pytest.raises(UserError, match=r"cannot be read \(.*File name too long") as caught:
        READERS[what](str(tmp_path / ("x" * 300)))
    assert "\n" not in str(caught.value)
