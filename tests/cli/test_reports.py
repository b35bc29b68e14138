"""What users of such tools report: numbers that are no numbers, curves that overlap, images the other way round."""

import json
import math

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sbvi.cli import evaluate
from sbvi.core import UserError
from sbvi.data.sources.npz import Npz
from sbvi.reporting.tensorboard import TensorBoard
from sbvi.runs.stages import result_of
from sbvi.tasks.likelihood import LikelihoodTask
from sbvi.tasks.task import TaskResult
from sbvi.training import Outcome, Plan, Progress, Trainer

ODD = {"test/nll": math.nan, "test/elbo": -1.5, "test/kl": math.inf}


def test_a_test_metric_that_is_not_finite_is_null_and_named():
    outcome = Outcome("completed", "", Progress(step=3), None)
    result = result_of(outcome, Plan(Trainer(steps=3), 100), ODD, 1.0)
    assert result["metrics"] == {"test/nll": None, "test/elbo": -1.5, "test/kl": None}
    assert result["not_finite"] == ["test/kl", "test/nll"]
    json.dumps(result, allow_nan=False)


def test_an_evaluation_that_is_not_finite_is_null(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(LikelihoodTask, "run", lambda self, run: TaskResult(ODD, {"nll": np.zeros(3)}))
    monkeypatch.setattr("sys.argv", ["sbvi-evaluate", f"run={tiny_run}", "task=likelihood", f"folder={tmp_path / 'e'}"])
    evaluate.main()
    (path,) = (tmp_path / "e").glob("likelihood-test-*.json")

    def refused(constant):
        raise AssertionError(f"{constant} is not JSON")

    found = json.loads(path.read_text(), parse_constant=refused)
    assert found["metrics"] == {"test/nll": None, "test/elbo": -1.5, "test/kl": None}


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
