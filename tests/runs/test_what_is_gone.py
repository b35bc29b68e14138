"""Runs whose files were taken away or edited by hand: what was reached is tested or refused, and never trained over."""

import errno
import json
import logging
import shutil

import pytest
from support.small_run import experiment, interrupted, leaves, same, train

from sbvi.core import UserError
from sbvi.runs import load_run
from sbvi.runs.context import RunContext
from sbvi.runs.directory import RunDirectory
from sbvi.training import Store

LONGER = RunContext(longer=True)
TESTED = {"evaluation": {"num_samples": 7}}


@pytest.fixture
def folder(small_run, tmp_path):
    """A completed run."""
    return shutil.copytree(small_run, tmp_path / "run")


class Killed(BaseException):
    pass


def kill(*_):
    raise Killed


def take(folder, *names):
    for name in names:
        (folder / "checkpoints" / f"{name}.safetensors").unlink(missing_ok=True)


def kept(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.*") if path.is_file() and path.suffix != ".log"}


def test_a_run_whose_state_is_gone_is_tested_again_without_it(folder, small_run, tmp_path, caplog):
    whole = shutil.copytree(small_run, tmp_path / "whole")
    expected = train(experiment(**TESTED), whole, session=LONGER)
    take(folder, "last", "previous")
    caplog.set_level(logging.INFO)
    found = train(experiment(**TESTED), folder, session=LONGER)
    assert "last.safetensors is gone: nothing is trained, and the best parameters are tested." in caplog.text
    for key in ("status", "steps", "epochs", "best_step", "train_seconds"):
        assert found[key] == expected[key]
    assert found["best_validation"] == pytest.approx(expected["best_validation"])
    assert found["examples_per_second"] == pytest.approx(expected["examples_per_second"])
    assert found["metrics"]["test/nll"] == expected["metrics"]["test/nll"]
    same(leaves(folder, "best"), leaves(small_run, "best"))
    assert not (folder / "checkpoints" / "last.safetensors").exists()
    assert train(experiment(**TESTED), folder) == found  # completed


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device"), Killed()])
def test_a_test_without_a_state_that_is_cut_short_leaves_the_result_and_is_done_again(folder, failure, monkeypatch):
    """The result is all that says that the run was completed, and the settings of before are those that it is of."""
    take(folder, "last", "previous")
    before = kept(folder)

    def cut(*_):
        raise failure

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr("sbvi.runs.stages.finish", cut)
            with pytest.raises(UserError if isinstance(failure, OSError) else type(failure)):
                train(experiment(**TESTED), folder, session=LONGER)
        for name in ("result.json", "run.json", "best.safetensors"):
            assert kept(folder)[name] == before[name]
    result = train(experiment(**TESTED), folder, session=LONGER)
    assert result["metrics"]["test/nll"] != json.loads(before["result.json"])["metrics"]["test/nll"]
    assert RunDirectory(folder).read_result() == result
    record = RunDirectory(folder).read_run()
    assert record["config"]["evaluation"]["num_samples"] == 7
    assert [change["step"] for change in record["history"]] == [60]


def test_a_run_that_goes_on_keeps_who_may_read_its_result(folder):
    path = folder / "result.json"
    path.chmod(0o600)
    train(experiment(**TESTED), folder, session=LONGER)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("status", ["completed", "stopped", None])
def test_a_run_whose_state_is_gone_does_not_train_over_what_it_reached(folder, status):
    take(folder, "last", "previous")
    path = folder / "result.json"
    if status is None:  # of a session that was killed
        path.unlink()
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"status": status}))
    before = kept(folder)
    longer = experiment(trainer={"steps": 80}) if status == "completed" else experiment()
    sentence = rf"last\.safetensors is gone.* put it back, or train in another .* with init_from={folder}; without best"
    with pytest.raises(UserError, match=sentence):
        train(longer, folder, session=LONGER)
    assert kept(folder) == before
    if status != "completed":
        with pytest.raises(UserError, match=sentence):
            train(experiment(**TESTED), folder, session=LONGER)
        assert kept(folder) == before
    take(folder, "best")
    if status == "completed":
        with pytest.raises(UserError, match=r"put it back, or train in another directory; without best"):
            train(longer, folder, session=LONGER)
        path.unlink()
    assert train(experiment(), folder)["status"] == "completed"  # as the sentence has it; nothing is left of others


def test_a_run_that_was_killed_in_its_first_save_begins_anew(small_run, tmp_path, monkeypatch, caplog):
    """The best parameters are written before the state."""
    folder = tmp_path / "run"
    late = {"checkpoint_minutes": 9.0}
    with monkeypatch.context() as patch:
        patch.setattr(Store, "save_last", kill)
        with pytest.raises(Killed):
            train(experiment(trainer=late), folder)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["best.safetensors"]
    caplog.set_level(logging.INFO)
    assert train(experiment(trainer=late), folder)["status"] == "completed"
    assert "saved no checkpoint: it begins anew" in caplog.text
    same(leaves(folder), leaves(small_run))


def test_a_run_that_began_anew_and_is_killed_before_its_first_save_begins_anew_again(small_run, tmp_path, monkeypatch):
    """What the first session's cut save left is not the second's."""
    folder, late, at = tmp_path / "run", experiment(trainer={"checkpoint_minutes": 9.0}), []
    with monkeypatch.context() as patch:
        patch.setattr(Store, "save_last", kill)
        stop = RunContext(stop=lambda: "SIGTERM" if 20 in at else None)
        with pytest.raises(Killed):
            train(late, folder, lambda plan, progress, values, monitor: at.append(progress.step), stop)
    assert Store(folder / "checkpoints").notes("best")["first_save"] == 20
    interrupted(late, folder, 50)
    assert train(late, folder)["status"] == "completed"
    same(leaves(folder), leaves(small_run))


@pytest.mark.parametrize("saving", [False, True])
def test_a_run_that_is_interrupted_before_its_first_save_begins_anew(saving, small_run, tmp_path, monkeypatch, caplog):
    """By an exception, as of a program's own handler of the signal; the run's own ends it with a state."""

    def interrupt(*_):
        raise KeyboardInterrupt

    def show(plan, progress, values, monitor):
        if progress.step == 30 and not saving:
            raise KeyboardInterrupt

    folder, late = tmp_path / "run", experiment(trainer={"checkpoint_minutes": 9.0})
    caplog.set_level(logging.INFO)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "save_last", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(late, folder, show)
    assert f"resume={folder} begins anew, since nothing was saved." in caplog.text
    result = RunDirectory(folder).read_result()
    assert (result["status"], result["steps"], result["metrics"]) == ("stopped", 0, {})
    assert Store(folder / "checkpoints").has_best() == saving
    assert train(late, folder)["status"] == "completed"
    same(leaves(folder), leaves(small_run))


def test_where_the_best_parameters_are_gone_a_test_is_refused_and_a_longer_run_keeps_others(folder, caplog):
    take(folder, "best")
    before = kept(folder)
    with pytest.raises(UserError, match=r"goes on with it; where it has ended, trainer\.steps=N beside that trains"):
        load_run(folder)
    for _ in range(2):
        with pytest.raises(UserError, match=rf"best\.safetensors is gone.* by resume={folder} trainer\.steps=120"):
            train(experiment(**TESTED), folder, session=LONGER)
        assert kept(folder) == before
    result = train(experiment(trainer={"steps": 80}), folder, session=LONGER)
    assert "best.safetensors is gone: the best parameters from step 60 on are kept." in caplog.text
    assert (result["status"], result["steps"], result["best_step"]) == ("completed", 80, 80)
    assert load_run(folder).experiment.trainer.steps == 80


def test_damaged_best_parameters_are_told_before_the_result_is_cleared(folder):
    path = folder / "checkpoints" / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    before = kept(folder)
    with pytest.raises(UserError, match=r"best\.safetensors is damaged.*, the parameters that would be tested"):
        train(experiment(**TESTED), folder, session=LONGER)
    assert kept(folder) == before


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("history", "x", "'x' as history; it must be a list of changes"),
        ("history", [1], r"\[1\] as history"),
        ("history", [{"step": "60", "changed": {}}], "as history"),
        ("history", [{"step": 60, "changed": ["trainer.steps"]}], "as history"),
        ("history", None, "None as history"),
        ("identity", 7, "7 as identity, which must be a text"),
        ("identity", None, "None as identity"),
    ],
)
def test_an_edited_name_or_history_is_told(folder, key, value, said):
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {key: value}))
    for used in (lambda: train(experiment(**TESTED), folder, session=LONGER), lambda: load_run(folder)):
        with pytest.raises(UserError, match=rf"run\.json holds .*{said}"):
            used()


@pytest.mark.parametrize("value", ["done", "", None, 3, ["completed"]])
def test_a_status_that_no_run_has_is_told(folder, value):
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(result | {"status": value}))
    with pytest.raises(UserError, match=r"as status; allowed: completed, stopped, failed; the file may be deleted"):
        RunDirectory(folder).read_result()
