"""A run that goes on for longer is the run that was longer from the start, and its record says what was changed."""

import datetime
import json
import logging
import shutil

import pytest
from support.processes import command
from support.small_run import experiment, leaves, same, train

from sbvi.core import UserError
from sbvi.reporting.loggers import LOGGERS
from sbvi.runs import Experiment, load_run
from sbvi.runs.changes import MAY_CHANGE, changed, difference
from sbvi.runs.context import RunContext
from sbvi.runs.directory import RunDirectory

LONGER = RunContext(longer=True)
CONSTANT = {"optimizer": {"schedule": {"kind": "constant"}}}


def test_a_completed_run_goes_on_bit_for_bit(tmp_path):
    train(experiment(**CONSTANT), tmp_path / "longer")
    result = train(experiment(trainer={"steps": 100}, **CONSTANT), tmp_path / "longer", session=LONGER)
    train(experiment(trainer={"steps": 100}, **CONSTANT), tmp_path / "whole")
    assert result["steps"] == 100
    same(leaves(tmp_path / "longer"), leaves(tmp_path / "whole"))
    record = json.loads((tmp_path / "longer" / "run.json").read_text())
    (line,) = record["history"]
    assert line["step"] == 60
    assert datetime.timedelta() < datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(line["when"])
    assert line["changed"] == {"trainer.steps": [60, 100]}
    assert record["config"]["trainer"]["steps"] == 100
    lines = [json.loads(text) for text in (tmp_path / "longer" / "metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in lines if "test/nll" in entry] == [100]  # the earlier test is not left standing
    again = train(experiment(trainer={"steps": 100}, **CONSTANT), tmp_path / "longer", session=LONGER)
    assert again == json.loads((tmp_path / "longer" / "result.json").read_text())


def test_what_is_changed_is_told_as_it_is_written(tmp_path, caplog):
    train(experiment(trainer={"patience": 3}), tmp_path / "run")
    with caplog.at_level(logging.INFO):
        train(experiment(trainer={"steps": 70, "patience": None}), tmp_path / "run", session=LONGER)
    assert "Changed as the run goes on: trainer.patience=null, trainer.steps=70." in caplog.text


def test_what_a_killed_session_was_writing_is_taken_away(tmp_path):
    for folder in (tmp_path, tmp_path / "checkpoints", tmp_path / "figures"):
        folder.mkdir(exist_ok=True)
        (folder / ".half.1.tmp").write_text("half")
    with RunDirectory(tmp_path).locked():
        assert not list(tmp_path.glob("**/.*.tmp"))


class Killed(BaseException):
    """What leaves a run as it stands."""


def test_a_length_given_before_a_kill_is_the_runs(small_run, tmp_path):
    """The checkpoint that a session which was killed before its own first one left says that training has ended; it had
    for the length before."""
    folder = shutil.copytree(small_run, tmp_path / "run")

    def kill():
        raise Killed

    with pytest.raises(Killed):
        train(experiment(trainer={"steps": 80}), folder, session=RunContext(longer=True, trained=kill, stop=kill))
    assert json.loads((folder / "run.json").read_text())["history"][-1]["step"] == 60
    whole = shutil.copytree(small_run, tmp_path / "whole")
    train(experiment(trainer={"steps": 80}), whole, session=LONGER)
    assert train(experiment(trainer={"steps": 80}), folder)["steps"] == 80
    same(leaves(folder), leaves(whole))


def test_a_budget_that_is_spent_trains_no_further(small_run, tmp_path, caplog):
    folder = shutil.copytree(small_run, tmp_path / "run")
    more = {"steps": 80, "max_minutes": 1e-9}
    with caplog.at_level(logging.INFO):
        assert train(experiment(trainer=more), folder, session=LONGER)["steps"] == 60
    assert "Training ends at step 60 of 80: trainer.max_minutes=1e-09 is over." in caplog.text
    assert train(experiment(trainer=more | {"max_minutes": 9.0}), folder, session=LONGER)["steps"] == 80


def test_a_run_that_saved_nothing_says_that_it_begins_anew(small_run, tmp_path, caplog):
    folder = shutil.copytree(small_run, tmp_path / "run")
    with caplog.at_level(logging.INFO):
        shutil.rmtree(folder / "checkpoints")
        (folder / "result.json").unlink()
        train(experiment(), folder)
    assert f"{folder} was begun before and saved no checkpoint: it begins anew." in caplog.text
    same(leaves(folder), leaves(small_run))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        train(experiment(), tmp_path / "new")
    assert "begun before" not in caplog.text


@pytest.mark.parametrize("content", ["{", "[]", '{"status": "stopped", "steps": "x"}'])
def test_a_damaged_result_is_told_with_what_to_do(small_run, tmp_path, content):
    """And what is said holds: without the file the run goes on from its checkpoint."""
    folder = shutil.copytree(small_run, tmp_path / "run")
    result = folder / "result.json"
    metrics = json.loads(result.read_text())["metrics"]
    result.write_text(content)
    sentence = rf"{result} .*; the file may be deleted: resume={folder} then goes on from the last checkpoint"
    with pytest.raises(UserError, match=sentence):
        train(experiment(), folder)
    assert result.read_text() == content
    result.unlink()
    assert train(experiment(), folder)["metrics"]["test/nll"] == pytest.approx(metrics["test/nll"])


def test_a_schedule_of_the_whole_run_is_spoken_of(small_run, tmp_path, caplog):
    folder = shutil.copytree(small_run, tmp_path / "run")
    new = {"steps": 80, "validate_every": 40, "max_minutes": 9.0}
    with caplog.at_level(logging.WARNING):
        train(experiment(trainer=new), folder, session=LONGER)
    assert "optimizer.schedule.kind=cosine spans the whole run" in caplog.text
    (line,) = json.loads((folder / "run.json").read_text())["history"]
    before = {"steps": 60, "validate_every": 20, "max_minutes": None}
    assert line["changed"] == {f"trainer.{name}": [before[name], value] for name, value in new.items()}


def test_what_may_not_change_is_refused_and_nothing_is_touched(small_run, tmp_path):
    folder = shutil.copytree(small_run, tmp_path / "run")
    files = ("run.json", "result.json", "metrics.jsonl")
    before = [(folder / name).read_bytes() for name in files]
    config = json.loads(before[0])["config"]
    with pytest.raises(UserError, match=r"trainer\.batch_size=7 was given; what may change is runtime"):
        changed(config, {"trainer.batch_size": 7})
    for made, sentence in (
        (experiment(trainer={"steps": 80, "batch_size": 10}), "holds another run: trainer.batch_size is 20 there"),
        (experiment(trainer={"steps": 30}), "has taken 60 steps already"),
    ):
        with pytest.raises(UserError, match=sentence):
            train(made, folder, session=LONGER)
    with pytest.raises(UserError, match=r"holds another run: trainer\.steps is 60 there and 80 here; use"):
        train(experiment(trainer={"steps": 80}), folder)
    many = {"steps": 80, "log_every": 7, "validate_every": 7, "batch_size": 10}
    said = r": trainer\.batch_size is 20 there and 10 here, trainer\.log_every is .* here, trainer\.steps is 60 there"
    with pytest.raises(UserError, match=rf"{said} and 80 here, and 1 more differ; use another"):
        train(experiment(trainer=many), folder)
    assert [(folder / name).read_bytes() for name in files] == before  # the metrics of a completed run too


def test_another_final_test_of_a_run_that_ended_early_trains_no_further(tmp_path):
    short = {"max_minutes": 1e-9}  # which ends it as patience does
    first = train(experiment(trainer=short, evaluation={"test": False}), tmp_path)
    tested = train(experiment(trainer=short), tmp_path, session=LONGER)
    assert tested["steps"] == first["steps"] == 10
    assert tested["best_step"] == first["best_step"]
    assert "test/nll" in tested["metrics"]
    assert train(experiment(), tmp_path, session=LONGER)["steps"] == 60


def test_a_refused_length_leaves_a_stopped_run_as_it_was(tmp_path, caplog):
    stop = RunContext(stop=lambda: "SIGINT")
    assert train(experiment(), tmp_path, session=stop)["status"] == "stopped"
    before = (tmp_path / "result.json").read_bytes()
    caplog.set_level("INFO")
    steps = json.loads(before)["steps"]
    with pytest.raises(UserError, match=f"has taken {steps} steps already, and the length now given is {steps - 5}"):
        train(experiment(trainer={"steps": steps - 5}), tmp_path, session=LONGER)
    assert (tmp_path / "result.json").read_bytes() == before
    assert "Going on" not in caplog.text


def test_a_folder_that_holds_other_things_is_told(tmp_path, caplog):
    for name in ("notes.txt", "sbvi-train.log"):
        (tmp_path / name).write_text("mine")
    train(experiment(trainer={"steps": 5}, evaluation={"test": False}), tmp_path)
    assert f"{tmp_path} is no run and holds notes.txt; the run's files are put beside them." in caplog.text
    caplog.clear()
    train(experiment(trainer={"steps": 5}, evaluation={"test": False}), tmp_path / "new")
    assert "put beside them" not in caplog.text
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_length_clears_the_others():
    config = experiment().to_config()
    new = changed(config, {"trainer.epochs": 20.0, "evaluation.num_samples": 7})
    made = Experiment.from_config(new)
    assert (made.trainer.steps, made.trainer.epochs, made.evaluation.num_samples) == (None, 20.0, 7)
    assert {key.partition(".")[0] for key in MAY_CHANGE} == {"trainer", "evaluation"}


def test_where_a_run_is_logged_and_computed_may_be_given_anew():
    config = experiment().to_config()
    new = changed(config, {"logger.uri": "runs.db", "logger": "mlflow", "runtime.devices": 1})
    made = Experiment.from_config(new)
    assert (type(made.logger), made.logger.uri, made.runtime.devices) == (LOGGERS["mlflow"], "runs.db", 1)
    assert difference(config, new) == {}
    with pytest.raises(UserError, match=r"logger.name=paper is not known"):
        Experiment.from_config(changed(config, {"logger": "paper"}))


def test_the_command_goes_on(tmp_path, tiny_run):
    """From the command line, on a copy of a finished run."""
    shutil.copytree(tiny_run, tmp_path / "run")
    steps = json.loads((tmp_path / "run" / "result.json").read_text())["steps"]
    done = command("train", "resume=run", f"trainer.steps={steps + 20}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["steps"] == steps + 20
    done = command("train", "resume=run", "optimizer.learning_rate=1e-4", cwd=tmp_path)
    assert done.returncode == 1
    assert "what may change is runtime.*" in done.stderr


def test_a_run_begun_before_its_pair_was_refused_is_read_and_goes_on(tmp_path, monkeypatch):
    pair = {
        "model": {"latent_noise": 0.2},
        "objective": {"name": "importance_weighted", "num_samples": 2, "estimator": "doubly_reparameterised"},
    }
    refusal = "latent_noise=0.2 moves samples off q"
    with monkeypatch.context() as earlier:
        earlier.setattr(Experiment, "check", lambda _: None)  # as it was before
        begun = experiment(**pair)
        train(begun, tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert len(run.log_likelihood(run.sample(3, seed=0))) == 3
    longer = changed(begun.to_config(), {"trainer.steps": 80})
    assert train(Experiment.from_config(longer, recorded=True), tmp_path / "run", session=LONGER)["steps"] == 80
    with pytest.raises(UserError, match=refusal):
        Experiment.from_config(longer)
    with pytest.raises(UserError, match=refusal):
        train(begun, tmp_path / "another")
    assert not (tmp_path / "another").exists()
