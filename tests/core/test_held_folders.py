"""What stands in the place of a run's folder that was moved is not written to."""

import shutil

import numpy as np
import pytest

from sbvi.core import UserError
from sbvi.core.atomic import write_atomically
from sbvi.core.held import check_held
from sbvi.reporting.images import save_png
from sbvi.reporting.loggers import LOGGERS
from sbvi.reporting.loggers.logger import opened
from sbvi.reporting.metrics import MetricsFile
from sbvi.runs.directory import RunDirectory
from sbvi.training import Store
from sbvi.training.draws import DrawStack

pytestmark = pytest.mark.quick

SAID = "is no longer the folder of this run"
GREY = np.zeros((2, 2), np.uint8)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A run that is held, by a path from the working directory."""
    monkeypatch.chdir(tmp_path)
    directory = RunDirectory("run")
    with directory.locked():
        directory.checkpoints.mkdir()
        yield directory


def moved(own):
    own.path.rename("moved")
    own.path.mkdir()
    (own.path / "notes.txt").write_text("mine")


SAVERS = {
    "a checkpoint": lambda own: Store(own.checkpoints).save_last({"a": np.ones(2)}, {"step": 1}),
    "the best": lambda own: Store(own.checkpoints).save_best({"a": np.ones(2)}, {"step": 1}),
    "a draw's folder": lambda own: DrawStack(own.checkpoints).note([]),
    "run.json": lambda own: own.write_run({}),
    "result.json": lambda own: own.write_result({}),
    "no result.json": lambda own: own.clear_result(),
    "a picture": lambda own: save_png(own.figures / "samples.png", GREY),
    "a logger": lambda own: opened(LOGGERS["csv"](), own.path, 0).close(True),
}


@pytest.mark.parametrize("saver", SAVERS)
def test_every_saver_stops(own, saver):
    SAVERS[saver](own)
    moved(own)
    with pytest.raises(UserError, match=SAID):
        SAVERS[saver](own)
    assert [path.name for path in own.path.iterdir()] == ["notes.txt"]


def test_metrics_stop(own):
    file = MetricsFile(own.path / "metrics.jsonl")
    moved(own)
    with pytest.raises(UserError, match=SAID):
        file.write(1, 0.1, {"train/elbo": 1.0})
    file.close()


def test_another_run_that_began_there_is_left_alone(own):
    own.path.rename("moved")
    own.path.mkdir()
    (own.path / ".lock").write_text("process 2 on another\n")
    with pytest.raises(UserError, match=SAID):
        own.write_result({})
    assert [path.name for path in own.path.iterdir()] == [".lock"]


def test_one_process_does_not_begin_another_there(own):
    own.path.rename("moved")
    with pytest.raises(UserError, match=r"was moved and goes on in this process"), RunDirectory("run").locked():
        pass
    with pytest.raises(UserError, match=SAID):
        own.write_result({})


def test_a_folder_that_comes_back_is_the_same(own):
    moved(own)
    shutil.rmtree(own.path)
    own.path.with_name("moved").rename(own.path)
    own.write_result({})
    assert (own.path / "result.json").exists()


def test_a_folder_that_is_gone_is_told_by_the_writing(own):
    own.path.rename("moved")
    with pytest.raises(UserError, match=r"cannot be written \(No such file or directory\)"):
        own.write_result({})


def test_nothing_is_asked_of_other_places_nor_once_the_lock_is_given_back(tmp_path):
    with RunDirectory(tmp_path / "run").locked():
        shutil.rmtree(tmp_path / "run")
        (tmp_path / "run").mkdir()
        write_atomically(tmp_path / "beside", b"")
    check_held(tmp_path / "run" / "result.json")
