"""Files that are written whole or not at all: where what was there before is found is told, and a new name is never
seen with half a content."""

import fcntl
import os
import resource

import pytest

from sbvi.core import UserError
from sbvi.core.atomic import new_file, new_files, write_atomically

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


def test_a_file_that_is_written_anew_may_be_read_by_whom_it_was(tmp_path):
    path = tmp_path / "curves.png"
    write_atomically(path, b"first")
    path.chmod(0o640)
    write_atomically(path, b"second")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"second", 0o640)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "none of them"])
def test_a_new_file_has_its_name_once_it_is_whole(tmp_path, monkeypatch, links):
    path = tmp_path / "filled.csv"
    if not links:
        monkeypatch.setattr("sbvi.core.atomic.os.link", no_links)
    with new_file(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert names(tmp_path) == ["filled.csv"]
    with pytest.raises(FileExistsError), new_file(path) as file:
        file.write(b"other")
    assert path.read_bytes() == b"half and half"
    assert names(tmp_path) == ["filled.csv"]


def no_links(*_):
    raise OSError(95, "Operation not supported")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_leaves_nothing(tmp_path, error):
    def half(path):
        with new_file(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        half(tmp_path / "filled.csv")
    assert names(tmp_path) == []


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "none of them"])
def test_of_files_that_belong_together_all_are_there_or_none(tmp_path, monkeypatch, links):
    paths = [tmp_path / name for name in ("x.csv", "x.lower.csv", "x" * 200, "x" * 199)]
    if not links:
        monkeypatch.setattr("sbvi.core.atomic.os.link", no_links)

    def write():
        with new_files(paths) as files:
            for number, file in enumerate(files):
                file.write(b"%d" % number)
            assert sum(path.exists() for path in paths) < 2  # none but what stood there

    for there in paths:
        there.write_bytes(b"mine")
        with pytest.raises(FileExistsError) as met:
            write()
        assert met.value.filename == str(there)
        assert names(tmp_path) == [there.name]
        assert there.read_bytes() == b"mine"
        there.unlink()
    write()
    assert [path.read_bytes() for path in paths] == [b"0", b"1", b"2", b"3"]
    assert names(tmp_path) == sorted(path.name for path in paths)


def test_what_a_killed_process_left_goes_and_what_another_writes_stays(tmp_path):
    left, written, other = (
        tmp_path / f".{name}.tmp" for name in ("x.csv.0123abcd", "x.csv.aaaaaaaa", "y.csv.0123abcd")
    )
    for path in (left, written, other):
        path.write_bytes(b"half")
    with open(written, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with new_file(tmp_path / "x.csv") as file:
            file.write(b"whole")
    assert names(tmp_path) == [written.name, other.name, "x.csv"]


def test_a_name_as_long_as_names_can_be(tmp_path):
    with new_file(tmp_path / ("x" * 255)) as file:
        file.write(b"whole")
    assert names(tmp_path) == ["x" * 255]


def test_more_files_than_may_be_open_are_written(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    paths = [tmp_path / f"{number}.csv" for number in range(100)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 50, hard))
    try:
        with new_files(paths) as files:
            for file in files:
                file.write(b"x")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert all(path.read_bytes() == b"x" for path in paths)
