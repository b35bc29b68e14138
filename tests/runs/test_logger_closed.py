"""A logger that was opened is closed, and told that the run failed, wherever a run ends after that."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from support.extras import needs_extra
from support.small_run import experiment, train

from sbvi.core import UserError, spec
from sbvi.reporting.loggers import LOGGERS, LoggerSpec
from sbvi.reporting.loggers.logger import Service
from sbvi.runs import stages
from sbvi.runs.directory import RunDirectory
from sbvi.training import Outcome

told = []


class _Double:
    def start(self, settings):
        told.append("start")

    def scalars(self, step, values): ...

    def image(self, step, name, picture): ...

    def stopped(self):
        told.append("stopped")

    def close(self, success):
        told.append(("close", success))


@spec
class Double(LoggerSpec):
    """A logger that says what it was told."""

    def open(self, folder: Path, resume_step: int) -> Service:
        told.append("open")
        return Service("double", _Double, "try again")


@pytest.fixture
def double(monkeypatch):
    monkeypatch.setitem(LOGGERS, "double", Double)
    told.clear()
    return experiment(logger={"name": "double"}, trainer={"steps": 10})


def refused(*_):
    raise UserError("run.json cannot be written (No space left on device).")


def unwritable(monkeypatch, folder):
    monkeypatch.setattr(RunDirectory, "write_run", refused)


def no_result_cleared(monkeypatch, folder):
    monkeypatch.setattr(RunDirectory, "clear_result", refused)


def no_metrics(monkeypatch, folder):
    (folder / "metrics.jsonl").mkdir(parents=True)


@pytest.mark.parametrize("fails", [unwritable, no_result_cleared, no_metrics])
def test_what_fails_between_opening_and_training(fails, double, tmp_path, monkeypatch):
    fails(monkeypatch, tmp_path / "run")
    with pytest.raises(UserError, match=r"cannot be written|metrics\.jsonl"):
        train(double, tmp_path / "run")
    assert told == ["open", ("close", False)]


@pytest.mark.parametrize(
    ("given", "said"), [(None, "None"), (Path(), "a PosixPath without start, scalars, image, close")]
)
def test_what_is_no_logger_is_refused(given, said, double, tmp_path, monkeypatch):
    """Such as of an `open` that forgets to return it."""
    monkeypatch.setattr(Double, "open", lambda *_: given)
    with pytest.raises(UserError) as caught:
        train(double, tmp_path / "run")
    assert str(caught.value) == (
        f"Double.open gives {said}; allowed: a logger, which has start, scalars, image, close."
    )
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_run_that_trains_is_closed_once(double, tmp_path):
    train(double, tmp_path / "run")
    assert told == ["open", "start", ("close", True)]


@pytest.mark.parametrize("where", ["_trained", "finish"])
def test_a_run_that_is_stopped_is_not_told_as_failed(where, double, tmp_path, monkeypatch):
    """In training, which hears signals, and in the final test, where they are exceptions."""

    def ended(assembly, store, recorder, show, session, state, progress):
        return Outcome("completed" if where == "finish" else "stopped", "SIGINT", progress, state)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "_trained", ended)
    monkeypatch.setattr(stages, "finish", interrupted)
    with pytest.raises(KeyboardInterrupt) if where == "finish" else nullcontext():
        train(double, tmp_path / "run")
    assert told == ["open", "start", "stopped", ("close", True)]
    assert RunDirectory(tmp_path / "run").read_result()["status"] == "stopped"


def test_a_logger_that_fails_as_it_hears_of_a_stop_is_closed(double, tmp_path, monkeypatch):
    """And what it says is told."""

    def no_answer(self):
        raise RuntimeError("no answer")

    monkeypatch.setattr(_Double, "stopped", no_answer)
    monkeypatch.setattr(stages, "_trained", lambda *words: Outcome("stopped", "SIGINT", words[-1], words[-2]))
    with pytest.raises(UserError, match=r"logger=double failed \(no answer\)"):
        train(double, tmp_path / "run")
    assert told == ["open", "start", ("close", True)]


def test_a_logger_that_does_not_close_leaves_no_file_open(double, tmp_path, monkeypatch):
    """And what it says is told, since the run went well."""
    opened = []

    class Kept(stages.RunRecorder):
        def __init__(self, *words):
            super().__init__(*words)
            opened.append(self.metrics._file)

    def no_answer(self, success):
        raise RuntimeError("no answer")

    monkeypatch.setattr(stages, "RunRecorder", Kept)
    monkeypatch.setattr(_Double, "close", no_answer)
    with pytest.raises(UserError, match=r"logger=double failed \(no answer\)"):
        train(double, tmp_path / "run")
    assert [file.closed for file in opened] == [True]


def test_mlflow_is_told(tmp_path, monkeypatch):
    """Where run.json cannot be written, and where the file that names the run cannot."""
    needs_extra("mlflow")
    import mlflow

    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    made = experiment(logger={"name": "mlflow", "uri": uri}, trainer={"steps": 10})
    with monkeypatch.context() as patch:
        unwritable(patch, None)
        with pytest.raises(UserError, match=r"run\.json"):
            train(made, tmp_path / "run")
    (tmp_path / "other" / "mlflow_run.txt").mkdir(parents=True)
    monkeypatch.setattr(Path, "read_text", lambda self, **_: "0123456789abcdef0123456789abcdef\n")
    with pytest.raises(UserError, match=r"logger=mlflow cannot be opened \(.*mlflow_run.txt"):
        made.logger.open(tmp_path / "other", 0)
    client = mlflow.MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("sbvi").experiment_id])
    assert [run.info.status for run in runs] == ["FAILED", "FAILED"]
