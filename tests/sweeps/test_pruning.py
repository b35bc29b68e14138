"""A run finds its trial in the study of its search, and stops by the rule that was asked for."""

from types import SimpleNamespace

import pytest

from sbvi.core import UserError
from sbvi.sweeps.pruning import pruner_of

optuna = pytest.importorskip("optuna")
EVERY = 10


@pytest.fixture
def search(tmp_path):
    """A study, and Hydra's config of the sweeper that keeps it."""
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage, study_name="rates", direction="maximize")
    return study, SimpleNamespace(storage=storage, study_name="rates")


def asked(search, rule, rate, **settings):
    """A new trial, and what a run with its settings asks."""
    study, sweeper = search
    trial = study.ask()
    trial.suggest_float("optimizer.learning_rate", rate, rate)
    words = ["dataset=mnist", *(f"{name}={value}" for name, value in trial.params.items())]
    return trial, pruner_of({"rule": rule, **settings}, sweeper, words, EVERY)


def test_halving_goes_on_with_the_best_quarter(search):
    """At 10 and 40 steps: of four trials that have come there the best alone goes on."""
    values, ends = [-9.0, -8.0, -7.0, -6.0, -8.5], []
    for rate, value in enumerate(values, 1):
        trial, gives_up = asked(search, "halving", rate / 100)
        end = next((step for step in range(EVERY, 50, EVERY) if gives_up(step, value)), None)
        search[0].tell(trial, value)
        ends.append(end)
    # Fewer than four are not cut: the best of those that came is the best quarter.
    assert ends == [None, None, None, None, 10]


def test_the_newest_trial_with_the_runs_settings_is_its_own(search):
    """A sweep that was killed leaves one that seems to run."""
    asked(search, "median", 0.01)
    trial, gives_up = asked(search, "median", 0.01)
    gives_up(EVERY, -3.0)
    left, own = optuna.load_study(study_name="rates", storage=search[1].storage).trials
    assert (left.intermediate_values, own.intermediate_values) == ({}, {EVERY: -3.0})
    assert own.number == trial.number


def test_a_run_without_a_trial_is_refused(search):
    _, sweeper = search
    asked(search, "median", 0.01)
    with pytest.raises(UserError, match=r"study rates has no trial of optimizer.learning_rate=0.5"):
        pruner_of({"rule": "median"}, sweeper, ["optimizer.learning_rate=0.5"], EVERY)
    with pytest.raises(UserError, match="pruning is for searches whose study is kept"):
        pruner_of({"rule": "median"}, SimpleNamespace(storage=None, study_name=None), [], EVERY)
    with pytest.raises(UserError, match=r"pruning.startup_trials"):
        pruner_of({"rule": "median", "startup_trials": -1}, sweeper, [], EVERY)
    assert pruner_of({"rule": None}, None, [], EVERY) is None
