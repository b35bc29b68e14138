"""Averages over draws of the parameters, and what is told of the estimates behind them, without a run."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sbvi.core import UserError
from sbvi.evaluation.trust import trust
from sbvi.tasks import draws_curve
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
    assert trust("test", told, True) == {"test/khat_above_0.7": pytest.approx(3 / 6)}
    assert "of 50 % of the examples k-hat is above 0.7" in caplog.text


def test_values_and_values_with_the_places_of_gaps_have_no_average(monkeypatch):
    """The density of what is there, and that of it and of what is not: of one table, and of two things."""

    def run(name, gaps):
        return SimpleNamespace(
            directory=SimpleNamespace(path=Path(name)),
            params={"w": np.array([float(len(name))])},
            data={"digest": "t"},
            model=SimpleNamespace(discrete=False),
            experiment=SimpleNamespace(model=SimpleNamespace(scores_gaps=gaps)),
        )

    others = {"masking": run("masking", True), "alike": run("alike", False)}
    monkeypatch.setattr(draws_curve, "load_run", others.__getitem__)
    first = run("first_run", False)
    draws_curve._check_members(first, ["alike"])
    with pytest.raises(UserError, match=r"masking gives .* with the places of gaps and first_run of the entries alone"):
        draws_curve._check_members(first, ["alike", "masking"])
