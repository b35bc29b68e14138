"""Disks that fill up, refuse, or go away: one sentence, whole files, and a run that goes on elsewhere."""

import contextlib
import os
import shutil
import subprocess

import pytest
from support.processes import command, finish, run, start, wait_until
from support.tiny_run import TINY, WORDS, assert_same, tree

from sbvi.training import checkpoint


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own, of a given size.

    A full disk cannot be had without mounting one, which is for root: elsewhere the test is left out, and the last
    lines of the run say so.
    """
    folder = tmp_path / "disk"
    folder.mkdir()

    def mounted(size):
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if os.geteuid() or subprocess.run(words, capture_output=True).returncode:
            pytest.skip("mounting a small file system needs root")
        return folder

    yield mounted
    subprocess.run(["umount", "-l", str(folder)], capture_output=True)


def one_sentence(output):
    assert "Traceback" not in output, output
    return output.strip().splitlines()[-1]


def whole(folder):
    """Every checkpoint there is can be read."""
    found = list((folder / "checkpoints").glob("*.safetensors"))
    for path in found:
        checkpoint.read(path)
    return found


@pytest.mark.promise(
    "A full disk stops the run with a sentence; files stay whole; a copy elsewhere goes on to the same bits", "disks"
)
def test_a_full_disk(small_disk, tiny_run, tmp_path, tally):
    disk = small_disk("64k")
    code, output = run(*WORDS, f"hydra.run.dir={disk / 'run'}", cwd=tmp_path)
    assert code == 1, output
    assert "No space left on device" in one_sentence(output), output
    whole(disk / "run")
    shutil.copytree(disk / "run", tmp_path / "elsewhere")
    words = (
        ["resume=elsewhere"] if (tmp_path / "elsewhere" / "run.json").exists() else [*WORDS, "hydra.run.dir=elsewhere"]
    )
    code, output = run(*words, cwd=tmp_path)
    assert code == 0, output
    assert_same(tiny_run, tmp_path / "elsewhere")
    tally(1)


@pytest.mark.promise("A directory that cannot be written is refused in a sentence, and left as it was", "directories")
def test_a_read_only_directory(small_disk, tmp_path, tally):
    disk = small_disk("10m")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    code, output = run(*WORDS, f"hydra.run.dir={disk / 'run'}", cwd=tmp_path)
    assert code == 1
    assert "Read-only file system" in one_sentence(output), output
    assert not list(disk.iterdir())
    tally(1)


@pytest.mark.promise("A run that cannot be written to is evaluated, into a folder that is named", "runs")
def test_a_read_only_run_is_evaluated(small_disk, tiny_run, tmp_path, tally):
    """Before any work is done the command says that it needs a folder."""
    disk = small_disk("10m")
    shutil.copytree(tiny_run, disk / "run")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    words = (f"run={disk / 'run'}", "task=samples", "task.num=3")
    done = command("evaluate", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert "evaluations cannot be written (Read-only file system); name another folder" in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"disk"}
    done = command("evaluate", *words, "folder=found", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "found").glob("samples-*.json"))) == 1
    tally(1)


@pytest.mark.promise("A disk that fills up in mid-run stops it with a sentence; what was saved is whole", "disks")
def test_a_disk_that_fills_up_in_mid_run(small_disk, tmp_path, tally):
    disk = small_disk("10m")
    words = (*TINY, "trainer.steps=20000000", "trainer.log_every=500", "trainer.validate_every=1000")
    process = start(*words, f"hydra.run.dir={disk / 'run'}", cwd=tmp_path)
    wait_until((disk / "run" / "checkpoints" / "previous.safetensors").exists, process)
    filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(filler, bytes(4096))
    os.close(filler)
    code, output = finish(process)
    assert code == 1, output
    assert "No space left on device" in one_sentence(output), output
    assert whole(disk / "run")
    tally(1)


@pytest.mark.promise("A directory removed in mid-run stops it with a sentence; it is not made again", "directories")
def test_a_directory_removed_in_mid_run(tmp_path, tally):
    words = (*TINY, "trainer.steps=20000000", "trainer.log_every=500", "hydra.run.dir=run")
    process = start(*words, cwd=tmp_path)
    wait_until((tmp_path / "run" / "checkpoints" / "previous.safetensors").exists, process)
    before = tree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run").rename(tmp_path / "moved")
    code, output = finish(process)
    assert code == 1, output
    assert "No such file or directory" in one_sentence(output), output
    assert not (tmp_path / "run").exists()
    assert before.keys() == {p.relative_to(tmp_path / "moved" / "checkpoints") for p in whole(tmp_path / "moved")}
    tally(1)
