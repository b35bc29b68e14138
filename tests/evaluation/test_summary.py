"""What an evaluation makes of the numbers of single examples."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from support.enumerable import machine
from support.models import dlgm

from sbvi.data import Dataset, Preprocessing, Split
from sbvi.evaluation import Evaluation, Evaluator

NLL, BOUND = np.array([3.0, 5.0, 4.5]), np.array([2.0, 4.0, 4.2])


def summarised(model, preprocessing, arrays, monkeypatch):
    split = Split(np.zeros((3, *preprocessing.event_shape), np.uint8))
    evaluator = Evaluator(model, Dataset("x", split, split, split, preprocessing), Evaluation())
    monkeypatch.setattr(evaluator, "likelihood", lambda *_: arrays)
    monkeypatch.setattr(evaluator, "partition", lambda *_: (-0.2, 0.3))
    monkeypatch.setattr(evaluator, "posterior_means", lambda *_: {})
    return evaluator.summary(None, "validation")[0]


def test_the_geometric_mean_has_the_errors_of_its_bound_and_of_its_constant(monkeypatch):
    arrays = {"nll": NLL, "nll_geometric_bound": BOUND}
    found = summarised(machine()[0], Preprocessing.whole((4,), 1), arrays, monkeypatch)
    assert found["validation/nll"] == pytest.approx(NLL.mean())
    assert found["validation/nll_stderr"] == pytest.approx(stats.sem(NLL))
    assert found["validation/nll_geometric"] == pytest.approx(BOUND.mean() - 0.2)
    assert found["validation/nll_geometric_stderr"] == pytest.approx(np.hypot(stats.sem(BOUND), 0.3))


def test_bits_of_a_dimension_are_of_levels_of_the_unit_range(monkeypatch):
    """A level of 16 has the width 1/16 of what a density of dequantised values is of."""
    levels = replace(Preprocessing.whole((2,), 15), dequantize=True)
    found = summarised(dlgm((2,), "gaussian", latents=(3,)), levels, {"nll": -NLL}, monkeypatch)
    assert found["validation/bits_per_dimension"] == pytest.approx(-NLL.mean() / 2 / np.log(2) + 4)
