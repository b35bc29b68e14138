"""Runs that many tests look at, each trained once for all workers of a test run."""

import contextlib
import fcntl

import pytest

from sbvi.cli.train import main
from support.processes import command
from support.small_run import experiment, no_pictures, train
from support.tiny_run import HELMHOLTZ_WORDS, WORDS

DIGITS = ("posterior=rank_one", "model.latents=[2]", "trainer.steps=300", "trainer.validate_every=100")


def made_once(factory, name, make):
    """The folder of all workers, after `make(folder)` ran in one of them; beside it NAME.txt has what that returned. To
    be read alone: tests that write into a run take a copy."""
    folder = factory.getbasetemp()
    if folder.name.startswith("popen-"):  # one of several workers
        folder = folder.parent
    folder = folder / "runs"
    folder.mkdir(exist_ok=True)
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = folder / f"{name}.txt"
        if not said.exists():
            said.write_text(make(folder) or "")
    return folder


def trained_once(factory, name, *words):
    """The directory of `sbvi-train WORDS`, made once, and beside it NAME.txt with what it printed."""

    def train_here(folder):
        done = command("train", *words, f"hydra.run.dir={name}", cwd=folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return made_once(factory, name, train_here) / name


def trained_in_process(factory, name, *words, before=lambda folder: None, pictures=True):
    """The same in the test's own process, after `before(folder)`: what it printed is not kept."""

    def train_here(folder):
        before(folder)
        drawn = contextlib.nullcontext() if pictures else no_pictures()
        with drawn, pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setattr("sys.argv", ["sbvi-train", *words, f"hydra.run.dir={name}"])
            main()

    return made_once(factory, name, train_here) / name


@pytest.fixture(scope="module")
def without_pictures():
    """For modules whose runs are trained in the test's process and whose pictures nobody looks at."""
    with no_pictures():
        yield


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """The digits: 8 x 8 binary images, 2 latents, rectifiers, a rank-one posterior."""
    return trained_once(tmp_path_factory, "digits", *DIGITS, "evaluation.num_samples=20")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """The run of `small_run.experiment()`, trained in this process."""
    folder = tmp_path_factory.mktemp("small") / "run"
    train(experiment(), folder, pictures=True)
    return folder


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A tiny run on synthetic data, validated fifteen times."""
    return trained_once(tmp_path_factory, "tiny", *WORDS)


@pytest.fixture(scope="session")
def tiny_helmholtz_run(tmp_path_factory):
    """The same of a Helmholtz machine."""
    return trained_once(tmp_path_factory, "tiny_helmholtz", *HELMHOLTZ_WORDS)
