"""What never began is taken away with the folders that were made for it; those that were there stay."""

import fcntl

import pytest

from sbvi.core.leftovers import JOB_LEAVINGS, SWEEP_LEAVINGS, Before, forget

pytestmark = pytest.mark.quick


def begun(folder):
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").touch()
    (folder / ".lock").touch()


def left(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("inside", [True, False])
def test_folders_that_the_user_had_made_stay(tmp_path, monkeypatch, inside):
    monkeypatch.chdir(tmp_path if inside else "/")
    (tmp_path / "mine" / "empty").mkdir(parents=True)
    run = tmp_path / "mine" / "empty" / "a" / "b"
    stood = Before.of([run])
    begun(run)
    forget(run, JOB_LEAVINGS, stood)
    assert left(tmp_path) == ["mine", "mine/empty"]
    stood = Before.of([tmp_path / "mine"])  # such as a sweep's folder, with a job's that was there
    begun(tmp_path / "mine" / "empty")
    forget(tmp_path / "mine" / "empty", JOB_LEAVINGS, stood)
    assert left(tmp_path) == ["mine", "mine/empty"]


def test_of_a_place_that_was_not_looked_at_nothing_is_known(tmp_path):
    stood = Before.of([tmp_path / "elsewhere"])
    begun(tmp_path / "a" / "b")
    forget(tmp_path / "a" / "b", JOB_LEAVINGS, stood)
    assert left(tmp_path) == ["a", "a/b"]


def test_what_was_made_below_the_working_directory_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stood = Before.of([tmp_path])
    begun(tmp_path / "outputs" / "sweep" / "job")
    (tmp_path / "outputs" / "sweep" / "multirun.yaml").touch()
    forget(tmp_path / "outputs" / "sweep" / "job", JOB_LEAVINGS, stood)
    assert left(tmp_path) == ["outputs", "outputs/sweep", "outputs/sweep/multirun.yaml"]
    forget(tmp_path / "outputs" / "sweep", SWEEP_LEAVINGS, stood)
    assert left(tmp_path) == []
    begun(tmp_path)
    forget(tmp_path, JOB_LEAVINGS, stood)
    assert ".lock" in left(tmp_path)


def test_what_another_holds_or_has_filled_stays(tmp_path):
    stood = Before.of([tmp_path])
    begun(tmp_path / "held")
    with open(tmp_path / "held" / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        forget(tmp_path / "held", JOB_LEAVINGS, stood)
    begun(tmp_path / "filled")
    (tmp_path / "filled" / "notes.txt").touch()
    forget(tmp_path / "filled", JOB_LEAVINGS, stood)
    assert {"held/.lock", "filled/.lock", "filled/notes.txt"} <= set(left(tmp_path))


def test_links_in_a_circle_hide_no_folder_beside_them(tmp_path):
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to("first")
    for name in ("afolder", "zfolder"):
        (tmp_path / name).mkdir()
    stood = Before.of([tmp_path, tmp_path / "first"])
    assert {tmp_path / "afolder", tmp_path / "zfolder"} <= stood.there
    begun(tmp_path / "zfolder")
    forget(tmp_path / "zfolder", JOB_LEAVINGS, stood)
    assert left(tmp_path) == ["afolder", "first", "second", "zfolder"]
