"""Averages over draws of the parameters, and what is told of the estimates behind them, without a run."""

from types import SimpleNamespace

import numpy as np
import pytest

from sbvi.evaluation.trust import trust
from sbvi.tasks.draws_curve import Told, of_draws

KHAT = {"a": [0.1, 0.9, 0.2], "b": [0.8, 0.75, 0.3]}
NLL = {"a": [3.0, 1.0, 2.0], "b": [2.0, 4.0, 2.5]}


def scored(params, split, num_samples):
    return {"nll": np.array(NLL[params]), "khat": np.array(KHAT[params]), "elbo": np.zeros(3)}


def test_an_average_tells_of_every_draw_s_weights(caplog):
    run = SimpleNamespace(
        draws=SimpleNamespace(entries=lambda: [0, 1]),
        each_draw=lambda count: [SimpleNamespace(params=name) for name in "ab"[:count]],
    )
    told = Told()
    curve = of_draws(run, SimpleNamespace(likelihood=scored), "test", 500, (1,), told)
    np.testing.assert_allclose(curve[1], NLL["a"])
    np.testing.assert_allclose(curve[2], -np.log((np.exp(-np.array(NLL["a"])) + np.exp(-np.array(NLL["b"]))) / 2))
    assert trust("test", told) == {"test/khat_above_0.7": pytest.approx(3 / 6)}
    assert "of 50 % of the examples k-hat is above 0.7" in caplog.text
