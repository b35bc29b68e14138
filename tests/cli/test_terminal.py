"""What a person at a terminal sees while a command works, in real pseudo-terminals of some widths."""

import re
import sys

import pytest
from support.processes import command
from support.terminals import terminal
from support.tiny_run import TINY

from sbvi.cli.progress import TrainingBar, WorkBar
from sbvi.training import Plan, Progress, Trainer

VALUES = {"train/elbo": -126.32, "train/examples_per_second": 29687.0, "validation/elbo": -124.94}


def last_line(columns, monkeypatch, values, monitor="elbo", runs=1):
    """The last state of a run's bar in a terminal, 40 of its 100 steps done."""
    plan = Plan(Trainer(steps=100, batch_size=10), 50)
    with terminal(columns) as seen, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", seen.stream)
        bar = TrainingBar(runs)
        bar.show(plan, Progress(step=20, best=-124.5), values, monitor)
        bar.show(plan, Progress(step=40, best=-124.5), values, monitor)
        bar.close()
        states = seen.states()
    assert all(len(state) < columns for state in states)
    return states[-1]


@pytest.mark.quick
@pytest.mark.parametrize("columns", [80, 100, 120, 160])
def test_a_runs_numbers_are_whole_at_every_usual_width(columns, monkeypatch):
    line = last_line(columns, monkeypatch, VALUES)
    number = r"elbo -126\.32, valid(ation)? -124\.94, best -124\.50, 29,687( examples)?/s$"
    assert re.search(number, line), line
    assert line.startswith("epoch 8 of 20") == (columns >= 100)
    assert " 40%" in f" {line}"
    assert re.search(r"\d\d:\d\d( left|, elbo)", line), line
    assert ("|" in line) == (columns >= 120)
    assert ("|########            |" in line or "|████████            |" in line) == (columns == 160)


@pytest.mark.quick
def test_long_numbers_and_names_keep_the_bounds(monkeypatch):
    values = {"train/log_likelihood": -12345.67, "train/examples_per_second": 1234567.0}
    line = last_line(80, monkeypatch, values | {"validation/log_likelihood": -12345.89}, "log_likelihood")
    assert "log_likelihood -12345.67, valid -12345.89, best -124.50, 1,234,567/s" in line
    assert last_line(30, monkeypatch, VALUES) == "elbo -126.32, valid -124.94,"[:29]


@pytest.mark.quick
@pytest.mark.parametrize("columns", [80, 30, 18])
def test_other_long_work_is_whole_too(columns, monkeypatch):
    with terminal(columns) as seen, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", seen.stream)
        bar = WorkBar()
        bar("likelihood", 0, 4)
        bar("likelihood", 1, 4)
        bar.close()
        states = seen.states()
    assert states[-1].startswith("likelihood  25%")
    assert all(len(state) < columns for state in states)
    assert ("|" in states[-1]) == (columns == 80)
    assert ("left" in states[-1]) == (columns == 30)
