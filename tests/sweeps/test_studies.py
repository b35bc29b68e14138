"""A search goes on with a study whose trials had what it has, and with no other."""

import pytest

from sbvi.core import UserError
from sbvi.sweeps.studies import check_study

optuna = pytest.importorskip("optuna")
FIXED = {"model.latents": [8], "trainer.steps": 150, "dataset": "digits", "dataset.path": "a b.csv"}
WORDS = ["model.latents=[8]", "trainer.steps=150", "dataset=digits", 'dataset.path="a b.csv"']


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """A study with a completed trial of FIXED over the rate, and a failed one of another model."""
    url = f"sqlite:///{tmp_path_factory.mktemp('study') / 'optuna-study.db'}"
    kept = optuna.storages.RDBStorage(url)
    study = optuna.create_study(study_name="sbvi", storage=kept)
    for fixed, state in ((FIXED, "COMPLETE"), (FIXED | {"model.latents": [3]}, "FAIL")):
        trial = study.ask()
        trial.suggest_float("optimizer.learning_rate", 0.1, 0.2)
        for key, value in fixed.items():
            trial.set_user_attr(key, value)
        trial.set_user_attr("pruned", True)
        study.tell(trial, 1.0 if state == "COMPLETE" else None, state=optuna.trial.TrialState[state])
    kept.engine.dispose()
    return url


@pytest.mark.parametrize(
    ("more", "searched"),
    [
        ([], ["optimizer.learning_rate"]),
        (["seed=3", "search=optuna", "runtime.platform=cpu", "trainer.log_every=9", "pruning.rule=null"], []),
        (["optimizer.learning_rate=0.1"], []),  # where the trials there lie in its space, they are of this search too
        (["optimizer.weight_decay=choice(0.1,0.2)"], []),
        ([], ["model.hidden"]),
    ],
)
def test_the_same_settings_go_on(more, searched, storage):
    check_study(storage, "sbvi", [*WORDS, *more], searched)


@pytest.mark.parametrize(
    ("words", "there", "here"),
    [
        (["model.latents=[3]", *WORDS[1:]], "model.latents=[8]", "model.latents=[3]"),
        ([*WORDS, "trainer.batch_size=50"], "no trainer.batch_size", "trainer.batch_size=50"),
        (WORDS[:2] + WORDS[3:], "dataset=digits", "no dataset"),
        (["trainer.steps=60", WORDS[0], "dataset=mnist"], "trainer.steps=150, dataset=digits, dataset.path=a b.csv",
         "trainer.steps=60, dataset=mnist, no dataset.path"),
    ],
)  # fmt: skip
def test_others_are_refused_by_what_differs(words, there, here, storage):
    with pytest.raises(UserError) as caught:
        check_study(storage, "sbvi", words, ["optimizer.learning_rate"])
    assert str(caught.value) == (
        f"The study sbvi of {storage} has trials with {there}, and this search is with {here}, so that their scores "
        "cannot be ranked together; give another hydra.sweep.dir or hydra.sweeper.study_name."
    )


def test_where_there_is_no_study_nothing_is_refused_or_made(storage, tmp_path):
    words = ["model.latents=[3]"]
    check_study(storage, "another", words, ())
    check_study(None, "sbvi", words, ())
    check_study("redis://nowhere:1/0", "sbvi", words, ())
    check_study(f"sqlite:///{tmp_path / 'none.db'}", "sbvi", words, ())
    assert not list(tmp_path.iterdir())
