"""Folders that words name, and those that cannot be made."""

from pathlib import Path

import pytest
from support.processes import command

from sbvi.cli.folders import named, unusable

pytestmark = pytest.mark.quick

NEEDED = "it must be a directory, one that is there or can be made."


def test_folders_are_known_as_far_as_they_are_told():
    words = ["seed=1", "hydra.run.dir=a/b", "hydra.sweep.dir='s/x y/${now:%H}'", "+hydra.sweep.dir=r/t-${seed}"]
    assert list(named(words).values()) == [Path("a/b"), Path("s/x y"), Path("r")]
    assert named(["hydra.run.dir=${oc.env:HOME}", "hydra.sweep.subdir=x"]) == {}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("hydra.run.dir=afile", f"hydra.run.dir=afile is a file; {NEEDED}"),
        ("hydra.run.dir=afile/x/y", f"hydra.run.dir=afile/x/y is below afile, which is a file; {NEEDED}"),
        (
            "hydra.run.dir=/proc/x1",
            f"hydra.run.dir=/proc/x1 cannot be made or written in (No such file or directory); {NEEDED}",
        ),
    ],
)
def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch, word, said):
    monkeypatch.chdir(tmp_path)
    Path("afile").touch()
    with pytest.raises(OSError) as error:  # noqa: PT011  (whichever the system raises)
        Path(word.partition("=")[2]).mkdir(parents=True, exist_ok=True)
    assert unusable(error.value, ["seed=1", word]) == said
    assert unusable(error.value, []) == f"{error.value.filename} cannot be used ({error.value.strerror})."


def test_a_sweep_into_a_file_is_one_sentence(tmp_path):
    (tmp_path / "afile").touch()
    done = command("train", "--multirun", "seed=1,2", "hydra.sweep.dir=afile", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, f"hydra.sweep.dir=afile is a file; {NEEDED}\n")
