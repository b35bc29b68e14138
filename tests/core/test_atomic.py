"""A file that cannot be written: where what was there before is found is told."""

import os

import pytest

from sbvi.core import UserError
from sbvi.core.atomic import write_atomically

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("renamings", [0, 1], ids=["none done", "the old file set aside"])
def test_what_was_there_before_is_where_the_sentence_says(tmp_path, monkeypatch, renamings):
    path, spare = tmp_path / "last", tmp_path / "previous"
    path.write_bytes(b"old")
    rename, done = os.replace, []

    def fails(source, target):
        if len(done) == renamings:
            raise OSError(5, "Input/output error")
        done.append(target)
        rename(source, target)

    monkeypatch.setattr("sbvi.core.atomic.os.replace", fails)
    kept = "untouched" if renamings == 0 else f"now {spare}"
    with pytest.raises(UserError, match=rf"\(Input/output error\); what was there before is {kept}\.$"):
        write_atomically(path, b"new", spare)
    assert (path if renamings == 0 else spare).read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last" if renamings == 0 else "previous"]
