"""What a person at a terminal sees while a command works, in real pseudo-terminals of some widths."""

import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.processes import finish, start
from support.terminals import terminal
from support.tiny_run import TINY

from sbvi.cli.progress import TrainingBar, WorkBar
from sbvi.core.watch import watching
from sbvi.data import Dataset, Preprocessing, Split
from sbvi.evaluation.batched import batched, map_batches
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


@pytest.mark.parametrize("cores", [{0}, None], ids=["one core", "all cores"])
def test_an_evaluation_says_first_that_it_compiles(cores, monkeypatch):
    """It is told before the function is traced, and the count begins once the program is there."""
    x = np.zeros((40, 3), np.float32)
    whole = Dataset("x", Split(x), Split(x), Split(x), Preprocessing.real((3,)))
    heard = []

    def function(params, key, batch):
        heard.append("traced")
        return batch.x.sum(-1)

    if cores is not None:
        monkeypatch.setattr("sbvi.evaluation.batched.cores", lambda: 1)
        monkeypatch.setattr("sbvi.evaluation.sharing.cores", lambda: 1)
    with watching(lambda *words: heard.append(words)):
        map_batches(function, whole, what="work")(jnp.float32(0), jax.random.key(0), batched(whole, "test", 10))
    begun, total = heard[0][0], heard[0][2]
    assert begun == "work: compiling"
    assert "traced" in heard[1:-1]
    assert [word for word in heard[1:] if word != "traced"] == [("work", done, total) for done in range(total + 1)]
    assert heard.index(("work", 0, total)) > heard.index("traced")


def test_a_run_in_a_terminal_of_80_columns(tmp_path):
    words = [*TINY, "trainer.steps=200", "trainer.log_every=20", "trainer.validate_every=40", "hydra.run.dir=run"]
    words += ["evaluation.batch_size=10"]
    with terminal(80) as seen:
        process = start(*words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=seen.stream)
        output = finish(process)
        states = seen.states()
    assert output[0] == 0, states
    ends = [state for state in states if re.fullmatch(r".* left, elbo -\S+, valid\S* -\S+, best -\S+, \S+/s", state)]
    assert ends, states
    assert all(len(state) < 80 for state in ends)
    compiles, counts = (
        next(place for place, state in enumerate(states) if state.startswith(text))
        for text in ("likelihood: compiling   0%", "likelihood   0%")
    )
    assert compiles < counts
