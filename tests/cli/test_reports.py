"""What users of such tools report: numbers that are no numbers, curves that overlap, images the other way round."""

import json
import math
import shutil
import subprocess

import numpy as np
import pytest
from support.models import dlgm, summary
from support.processes import start
from support.small_run import experiment, train
from support.tiny_run import WORDS
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sbvi.cli import evaluate
from sbvi.core import UserError
from sbvi.data.sources.npz import Npz
from sbvi.data.sources.synthetic import Synthetic
from sbvi.evaluation import Evaluation, Evaluator
from sbvi.reporting.metrics import read_lines
from sbvi.reporting.tensorboard import TensorBoard
from sbvi.runs.stages import result_of
from sbvi.tasks.likelihood import LikelihoodTask
from sbvi.tasks.task import TaskResult
from sbvi.training import Outcome, Plan, Progress, Trainer

ODD = {"test/nll": math.nan, "test/elbo": -1.5, "test/kl": math.inf}


def refused(constant):
    raise AssertionError(f"{constant} is not JSON")


def test_a_test_metric_that_is_not_finite_is_null_and_named():
    outcome = Outcome("completed", "", Progress(step=3), None)
    result = result_of(outcome, Plan(Trainer(steps=3), 100), ODD, (0.0, 1.0))
    assert result["metrics"] == {"test/nll": None, "test/elbo": -1.5, "test/kl": None}
    assert result["not_finite"] == ["test/kl", "test/nll"]
    json.dumps(result, allow_nan=False)


def test_an_evaluation_that_is_not_finite_is_null(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(LikelihoodTask, "run", lambda self, run: TaskResult(ODD, {"nll": np.zeros(3)}))
    monkeypatch.setattr("sys.argv", ["sbvi-evaluate", f"run={tiny_run}", "task=likelihood", f"folder={tmp_path / 'e'}"])
    evaluate.main()
    (path,) = (tmp_path / "e").glob("likelihood-test-*.json")

    found = json.loads(path.read_text(), parse_constant=refused)
    assert found["metrics"] == {"test/nll": None, "test/elbo": -1.5, "test/kl": None}


def test_nothing_is_written_of_what_is_no_result(tiny_run, tmp_path, monkeypatch, capsys):
    """As a task of an installed package may give."""
    monkeypatch.setattr(LikelihoodTask, "run", lambda self, run: TaskResult({}, {}, about={"seen": {1}}))
    monkeypatch.setattr("sys.argv", ["sbvi-evaluate", f"run={tiny_run}", "task=likelihood", f"folder={tmp_path / 'e'}"])
    with pytest.raises(SystemExit):
        evaluate.main()
    assert capsys.readouterr().err.startswith("LikelihoodTask.run gives {1} as about['seen']; allowed: what JSON holds")
    assert list((tmp_path / "e").iterdir()) == []


def test_a_run_whose_test_is_not_finite_completes_with_lines_that_are_json(small_run, tmp_path, monkeypatch):
    folder = shutil.copytree(small_run, tmp_path / "run")
    (folder / "result.json").unlink()
    monkeypatch.setattr(Evaluator, "summary", lambda *_: (dict(ODD), {}))
    assert train(experiment(), folder)["status"] == "completed"
    lines = [json.loads(line, parse_constant=refused) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert {name: lines[-1][name] for name in ODD} == {"test/nll": None, "test/elbo": -1.5, "test/kl": None}
    (last,) = [line for line in read_lines(folder / "metrics.jsonl") if "test/elbo" in line]
    assert last.keys() & ODD.keys() == {"test/elbo"}


def test_estimates_that_are_not_finite_are_told_without_a_warning_of_numpys():
    model = dlgm((4,), latents=(3,), hidden=(3,), recognition_hidden=(3,))
    data = Synthetic(dimensions=4, train_size=10, validation_size=10, test_size=6).load()
    evaluator = Evaluator(model, data, Evaluation())
    evaluator.likelihood = lambda *_: {"nll": np.array([1.0, math.inf]), "elbo": np.array([math.nan, -2.0])}
    means = np.array([[1.0, math.inf, math.nan], [2.0, 1.0, 1.0]])
    evaluator.posterior_means = lambda *_: {"layer_1": (means, np.zeros_like(means))}
    scalars, _ = evaluator.summary(model.init(0, summary(np.full(4, 0.4), np.ones(4))), "test")
    assert scalars["test/active_units/layer_1"] == 1
    assert not any(math.isfinite(scalars[f"test/{name}"]) for name in ("nll", "nll_stderr", "elbo", "elbo_stderr"))


def test_a_reader_who_leaves_stops_nothing(tiny_run, tmp_path):
    """As `sbvi-evaluate ... | head` does, which has seen enough: lines of the log and the end are told to nobody."""
    shutil.copytree(tiny_run, tmp_path / "run")
    for name, words in (
        ("train", (*WORDS, "hydra.run.dir=run")),
        ("train", ("--help", "dataset")),
        ("evaluate", ("run=run", "task=samples", "task.num=2", "folder=found")),
    ):
        process = start(*words, cwd=tmp_path, name=name, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (0, ""), words
    assert len(list((tmp_path / "found").glob("samples-*.json"))) == 1


def test_a_curve_begun_again_before_its_first_checkpoint_does_not_overlap_itself(tmp_path):
    """As after a kill at step 30 of a run that saves at step 100: the second session starts at step 0."""
    for values in ({10: 1.0, 20: 2.0, 30: 3.0}, {10: 1.5, 20: 2.5}):
        board = TensorBoard(tmp_path, 0)
        for step, value in values.items():
            board.scalars(step, {"train/elbo": value})
        board.close()
    shown = EventAccumulator(str(tmp_path)).Reload().Scalars("train/elbo")
    assert [(event.step, event.value) for event in shown] == [(10, 1.5), (20, 2.5)]


def test_channels_first_is_refused_with_what_to_do(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((20, 3, 8, 8), np.uint8))
    with pytest.raises(UserError, match=r"shape \(3, 8, 8\), channels first; channels must come last: x\.transpose"):
        Npz(path=str(tmp_path / "x.npy")).load()
