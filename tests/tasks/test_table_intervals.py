"""Intervals of the table task, by a model whose draws are too wide."""

import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy.stats import norm

from sbvi.core import UserError
from sbvi.data.tabular.columns import Column
from sbvi.evaluation.filling import fill
from sbvi.inference.resampling import Resampled
from sbvi.tasks import table_intervals
from sbvi.tasks.table_imputation import TableImputation
from sbvi.tasks.table_intervals import calibrated

COLUMNS = (Column("length", "continuous", 3.0, 2.0), Column("price", "positive", 0.7, 1.5, 0.01, 900.0))
SPREAD = np.array([0.5, 0.7])  # of the truth, in held numbers, where draws have 1


def draw(params, key, x):
    draws = np.random.default_rng(np.asarray(jax.random.key_data(key))).normal(size=(400, *x.shape))
    return Resampled(draws.mean(0), draws, np.full(len(x), 400.0), np.ones(len(x)))


def run_with(monkeypatch, rows, at_random=True):
    """A run with so many validation rows, without a model but for its draws."""
    x = (SPREAD * np.random.default_rng(3).normal(size=(rows, 2))).astype(np.float32)

    def found(run):
        if not rows:
            raise UserError("There is no such file.")
        return SimpleNamespace(evaluated=lambda split: {"validation": SimpleNamespace(x=x)}[split])

    monkeypatch.setattr(table_intervals, "run_dataset", found)
    return SimpleNamespace(model=SimpleNamespace(at_random=lambda: at_random), params=())


@pytest.mark.parametrize("interval", [0.6, 0.9])
def test_they_cover_what_is_missing(monkeypatch, interval):
    tails = calibrated(run_with(monkeypatch, 490), None, COLUMNS, draw, interval, 0.5, 1)
    by_column = tails.about.pop("by_column")
    assert tails.about == {
        "calibrated": True,
        "entries": pytest.approx(2 * 490, rel=0.1),  # half of each row's two, of two copies
        "rows": 490,
        "hidden": 0.5,
    }
    assert by_column == {column.name: pytest.approx(490, rel=0.15) for column in COLUMNS}
    assert sum(by_column.values()) == tails.about["entries"]
    table = SimpleNamespace(table=COLUMNS, to_source=lambda values: values)
    said = fill(draw, (), table, np.full((1000, 2), np.nan, np.float32), 0, interval, tails=tails.sides)
    for d, column in enumerate(COLUMNS):
        below, above = (norm.cdf(column.store(bound[:, d]) / SPREAD[d]) for bound in (said.lower, said.upper))
        assert (above - below).mean() == pytest.approx(interval, abs=0.06)
        plain = 2 * norm.cdf(norm.ppf((1 + interval) / 2) / SPREAD[d]) - 1
        assert plain > interval + 0.07


def test_rows_are_those_that_were_used(monkeypatch):
    about = calibrated(run_with(monkeypatch, 2500), None, COLUMNS, draw, 0.9, 0.1, 1).about
    assert about["rows"] == 1000
    assert about["entries"] == pytest.approx(0.1 * 2 * 1000, rel=0.2)


@pytest.mark.parametrize(
    ("rows", "at_random", "why"),
    [
        (10, True, r"numbers of validation rows could be hidden, fewer than 50$"),
        (0, True, r"^There is no such file$"),
        (250, False, r"^what is missing is no random part"),
    ],
)
def test_where_they_cannot_be_it_is_said_why(monkeypatch, caplog, rows, at_random, why):
    caplog.set_level("INFO")
    tails = calibrated(run_with(monkeypatch, rows, at_random), None, COLUMNS, draw, 0.9, None, 1)
    assert tails.sides is None
    assert set(tails.about) == {"calibrated", "why"}
    assert not tails.about["calibrated"]
    assert re.search(why, tails.about["why"])
    assert ("or with a greater dataset.validation_size, has more." in caplog.text) == (rows == 10)


def test_rows_that_are_scored_calibrate_nothing(monkeypatch):
    task = TableImputation(
        draws="importance",
        samples=10,
        interval=0.9,
        guess="mean",
        fraction=0.5,
        split="validation",
        examples=10,
        input=None,
        output=None,
        imputations=1,
        seed=1,
    )
    tails = task._tails(run_with(monkeypatch, 250), None, COLUMNS, draw)
    assert tails.sides is None
    assert "task.split=validation" in tails.about["why"]
