"""A search goes on with a study whose trials had what it has, and with no other."""

from types import SimpleNamespace

import pytest

from sbvi.cli.hydra_app import study
from sbvi.core import UserError
from sbvi.sweeps.studies import check_study
from sbvi.sweeps.study_data import check_returned, study_data

optuna = pytest.importorskip("optuna")
WORDS = ["model.latents=[8, 2]", "trainer.steps=150", "dataset=digits", 'dataset.path="a b.csv"', "+note={a: 1}", "~x"]
#: What the search has that no word says.
DEFAULTS = {"model": "dlgm", "trainer.batch_size": 100, "trainer.steps": 9, "dataset": "mnist", "model.latents": [4]}


def as_kept(words):
    """What the sweeper keeps of words with each trial, by its own function."""
    from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides

    return create_params_from_overrides(words)[1]


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """A study with a completed trial of WORDS over the rate, and a failed one of another model."""
    return with_trials(study(str(tmp_path_factory.mktemp("study"))))


def with_trials(url):
    kept = optuna.storages.RDBStorage(url)
    made = optuna.create_study(study_name="sbvi", storage=kept)
    for words, state in ((WORDS, "COMPLETE"), (["model.latents=[3]", *WORDS[1:]], "FAIL")):
        trial = made.ask()
        trial.suggest_float("optimizer.learning_rate", 0.1, 0.2)
        for key, value in as_kept(words).items():
            trial.set_user_attr(key, value)
        trial.set_user_attr("pruned", True)
        made.tell(trial, 1.0 if state == "COMPLETE" else None, state=optuna.trial.TrialState[state])
    kept.engine.dispose()
    return url


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["optimizer.learning_rate=interval(0.1,0.2)"],
        ["seed=3", "search=optuna", "runtime.platform=cpu", "trainer.log_every=9", "pruning.rule=null"],
        ["optimizer.learning_rate=0.1"],  # where the trials there lie in its space, they are of this search too
        ["optimizer.weight_decay=choice(0.1,0.2)"],
        ["model.latents=[8,2.0]", "dataset='digits'", "trainer.steps=150.0", "note={a: 1}"],  # the last counts
        ["trainer.steps=choice(150,300)"],
    ],
)
def test_the_same_settings_go_on(more, storage, caplog):
    check_study(storage, "sbvi", [*WORDS, *more], DEFAULTS.get)
    assert not caplog.text


@pytest.mark.parametrize(
    ("words", "there", "here"),
    [
        (["model.latents=[3]", *WORDS[1:]], "model.latents=[8,2]", "model.latents=[3]"),
        (WORDS[:2] + WORDS[3:], "dataset=digits", "dataset=mnist"),  # by default
        (
            ["trainer.steps=60", WORDS[0], "dataset=mnist", *WORDS[4:]],
            "trainer.steps=150, dataset=digits, dataset.path='a b.csv'",
            "trainer.steps=60, dataset=mnist, dataset.path=null",
        ),
    ],
)
def test_others_are_refused_by_what_differs(words, there, here, storage):
    with pytest.raises(UserError) as caught:
        check_study(storage, "sbvi", words, DEFAULTS.get)
    assert str(caught.value).replace('"', "'") == (
        f"The study sbvi of {storage} has trials with {there}, and this search is with {here}, so that their scores "
        "cannot be ranked together; give another hydra.sweep.dir or hydra.sweeper.study_name."
    )


def test_each_folder_has_its_own_study_whatever_it_is_called(tmp_path):
    storage = with_trials(study(str(tmp_path / "what?1")))
    check_study(study(str(tmp_path / "what?2")), "sbvi", ["model.latents=[3]"], DEFAULTS.get)
    with pytest.raises(UserError, match="cannot be ranked together"):
        check_study(storage, "sbvi", ["model.latents=[3]"], DEFAULTS.get)


def test_what_was_not_said_there_is_warned_of(storage, caplog):
    """It may have been the default, as a word for it says."""
    check_study(storage, "sbvi", [*WORDS, "model=dlgm", "trainer.batch_size=50"], DEFAULTS.get)
    assert (
        "has trials that were not given model=dlgm, trainer.batch_size=50: where it was otherwise there" in caplog.text
    )


def test_where_there_is_no_study_nothing_is_refused_or_made(storage, tmp_path):
    words = ["model.latents=[3]"]
    check_study(storage, "another", words, DEFAULTS.get)
    check_study(None, "sbvi", words, DEFAULTS.get)
    check_study("redis://nowhere:1/0", "sbvi", words, DEFAULTS.get)
    check_study(f"sqlite:///{tmp_path / 'none.db'}", "sbvi", words, DEFAULTS.get)
    assert not list(tmp_path.iterdir())


def test_two_ways_to_one_file_are_the_same_setting(storage, tmp_path, monkeypatch):
    """As a study of data.csv has it that is gone on with by the whole path; of another file it is refused."""
    monkeypatch.chdir(tmp_path)
    for name in ("a b.csv", "other.csv"):
        (tmp_path / name).touch()
    words = [word for word in WORDS if "path" not in word]
    check_study(storage, "sbvi", [*words, f"dataset.path='{tmp_path / 'a b.csv'}'"], DEFAULTS.get)
    with pytest.raises(UserError, match="other"):
        check_study(storage, "sbvi", [*words, f"dataset.path={tmp_path / 'other.csv'}"], DEFAULTS.get)


def on_data(split_seed, path="t.csv"):
    """As much of an experiment as its data is known by."""
    dataset = {"name": "table", "path": path, "split_seed": split_seed}
    return SimpleNamespace(to_config=lambda: {"dataset": dataset}, model=SimpleNamespace(binary=False))


def test_trials_of_other_data_are_refused(storage):
    """And those that differ by a setting of the data, which may be searched over, are not."""
    tell = study_data(SimpleNamespace(storage=storage, study_name="sbvi"))
    tell(on_data(0), "a")
    tell(on_data(0, "other/t.csv"), "a")
    tell(on_data(1), "b")
    with pytest.raises(UserError) as caught:
        tell(on_data(0), "b")
    assert str(caught.value) == (
        f"The study sbvi of {storage} has trials on other data than is found now in t.csv, so that their scores cannot "
        "be ranked together; give another hydra.sweep.dir or hydra.sweeper.study_name."
    )
    kept = optuna.storages.RDBStorage(storage)
    sampled = optuna.load_study(study_name="sbvi", storage=kept, sampler=optuna.samplers.RandomSampler(0))
    jobs, begun = [], []
    for value in (1.5, caught.value, ValueError("x")):  # as a batch of a search comes back
        trial = sampled.ask()
        trial.suggest_float("lr", 0.1, 1.0)
        begun.append(trial.number)
        jobs.append(SimpleNamespace(overrides=["seed=1", f"lr={trial.params['lr']}"], _return_value=value))
    check_returned(storage, "sbvi", [jobs[0], jobs[2]])
    assert _states(storage, begun) == [("RUNNING", None)] * 3  # which the sweeper tells itself
    with pytest.raises(UserError, match=r"in t\.csv, so that"):  # which ends the search
        check_returned(storage, "sbvi", jobs)
    assert _states(storage, begun) == [("COMPLETE", 1.5), ("FAIL", None), ("FAIL", None)]
    kept.engine.dispose()


def _states(storage, numbers):
    """Of trials, as another process reads them: a handle may keep what it has read."""
    kept = optuna.storages.RDBStorage(storage)
    trials = optuna.load_study(study_name="sbvi", storage=kept).trials
    kept.engine.dispose()
    return [(trials[number].state.name, trials[number].value) for number in numbers]


def test_data_of_which_no_trial_is_complete_binds_none(tmp_path, caplog):
    url = study(str(tmp_path))
    kept = optuna.storages.RDBStorage(url)
    made = optuna.create_study(study_name="sbvi", storage=kept)
    made.tell(made.ask(), state=optuna.trial.TrialState.FAIL)
    kept.engine.dispose()
    tell = study_data(SimpleNamespace(storage=url, study_name="sbvi"))
    tell(on_data(0), "a")
    tell(on_data(0), "b")
    assert "cannot be asked" not in caplog.text
    study_data(SimpleNamespace(storage=url, study_name="none"))(on_data(0), "a")
    assert "cannot be asked what data its trials are of" in caplog.text
    assert study_data(None) is None
