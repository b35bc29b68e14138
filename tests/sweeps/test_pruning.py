"""A run finds its trial in the study of its search, and stops by the rule that was asked for."""

import sqlite3
from types import SimpleNamespace

import pytest

from sbvi.core import UserError
from sbvi.sweeps import pruning
from sbvi.sweeps.pruning import trial_of

optuna = pytest.importorskip("optuna")
EVERY = 10


@pytest.fixture
def search(tmp_path):
    """A study, and Hydra's config of the sweeper that keeps it."""
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=storage, study_name="rates", direction="maximize")
    return study, SimpleNamespace(storage=storage, study_name="rates")


def asked(search, rule, rate, **settings):
    """A new trial, and what a run with its settings asks."""
    study, sweeper = search
    trial = study.ask()
    trial.suggest_float("optimizer.learning_rate", rate, rate)
    words = ["dataset=mnist", *(f"{name}={value}" for name, value in trial.params.items())]
    return trial, trial_of({"rule": rule, **settings}, sweeper, words, EVERY)()


def read(search):
    """The trials as another process sees them."""
    return optuna.load_study(study_name="rates", storage=search[1].storage).trials


def test_halving_goes_on_with_the_best_quarter(search):
    """A trial is cut where it is not the best quarter, one at least, of those that came so far."""
    for rate, (value, ends) in enumerate([(-9.0, None), (-8.0, None), (-8.5, 10), (-7.0, None), (-7.5, 10)], 1):
        trial, own = asked(search, "halving", rate / 100)
        end = None
        for step in range(EVERY, 50, EVERY):
            own.report(step, value)
            if own.stops(step):
                end = step
                break
        search[0].tell(trial, value)
        assert end == ends
    assert [t.user_attrs.get("pruned", False) for t in read(search)] == [False, False, True, False, True]


def test_a_run_is_its_own_trial(search):
    """Not the one that a killed sweep left, and not one of another program that has no settings yet."""
    asked(search, "median", 0.01)
    trial, own = asked(search, "median", 0.01)
    search[0].ask()
    sweeper, words = search[1], [f"optimizer.learning_rate={trial.params['optimizer.learning_rate']}"]
    trial_of({"rule": "median"}, sweeper, words, EVERY)().report(EVERY, -3.0)
    assert [t.intermediate_values for t in read(search)] == [{}, {EVERY: -3.0}, {}]
    assert own.trial.number == trial.number == 1


def test_earlier_sessions_are_recalled(search):
    """A run that goes on tells the study of what it had validated, so that its first rung is its first validation."""
    _, own = asked(search, "halving", 0.01)
    own.recall([(10, -9.0), (20, -8.0)])
    own.report(30, -2.0)
    assert not own.stops(30)
    trial, other = asked(search, "halving", 0.02)
    other.report(10, -5.0)
    assert not other.stops(10)
    trial, again = asked(search, "median", 0.03)
    again.recall([(10, -5.0)], pruned=True)
    assert read(search)[trial.number].user_attrs == {"pruned": True}
    assert read(search)[trial.number].intermediate_values == {10: -5.0}


def test_a_study_that_does_not_answer_ends_no_run(search, caplog, monkeypatch):
    monkeypatch.setattr(pruning, "PATIENCE", 0.2)
    trial, own = asked(search, "median", 0.01, startup_trials=0)
    busy = sqlite3.connect(search[1].storage.removeprefix("sqlite:///"), isolation_level=None)
    busy.execute("begin exclusive")
    own.report(10, -3.0)
    assert not own.stops(10)
    busy.close()
    assert "The study of this search does not answer" in caplog.text
    assert "the trial goes on" in caplog.text
    own.report(20, -2.0)
    assert read(search)[trial.number].intermediate_values == {20: -2.0}


def test_what_cannot_prune_is_refused(search):
    _, sweeper = search
    asked(search, "median", 0.01)
    with pytest.raises(UserError, match=r"study rates has no trial of optimizer.learning_rate=0.5"):
        trial_of({"rule": "median"}, sweeper, ["optimizer.learning_rate=0.5"], EVERY)()
    with pytest.raises(UserError, match=r"the study other of sqlite:.* cannot be read"):
        trial_of({"rule": "median"}, SimpleNamespace(storage=sweeper.storage, study_name="other"), [], EVERY)()
    with pytest.raises(UserError, match="pruning is for searches whose study is kept"):
        trial_of({"rule": "median"}, SimpleNamespace(storage=None, study_name=None), [], EVERY)
    with pytest.raises(UserError, match=r"pruning.startup_trials"):
        trial_of({"rule": "median", "startup_trials": -1}, sweeper, [], EVERY)
    with pytest.raises(UserError, match=r"pruning=median must be a group of settings: give pruning.rule=median"):
        trial_of("median", sweeper, [], EVERY)
    assert trial_of({"rule": None}, None, [], EVERY) is None
    assert trial_of(None, None, [], EVERY) is None
