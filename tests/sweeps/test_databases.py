"""Searches that begin at once make their study's database one after another."""

import threading

import pytest

from sbvi.sweeps.databases import create_alone
from sbvi.sweeps.pruning import opened

optuna = pytest.importorskip("optuna")
AT_ONCE = 4


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.setattr(optuna, "create_study", optuna.create_study)  # what it was stands again
    for _ in range(2):  # as of two searches in one process
        create_alone()


def at_once(*calls):
    """Call each in a thread of its own, all together; gives what they raised."""
    raised, ready = [], threading.Barrier(len(calls))

    def called(call):
        ready.wait()
        try:
            call()
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=called, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.usefixtures("alone")
def test_searches_that_begin_at_once_share_a_study(tmp_path):
    """Beside one that looks at the database as soon as there is a file."""
    storage, made = f"sqlite:///{tmp_path / 'study.db'}", []

    def create():
        study = optuna.create_study(study_name="sbvi", storage=storage, load_if_exists=True)
        made.append(study._study_id)
        study._storage._backend.remove_session()
        study._storage._backend.engine.dispose()  # by the thread that opened it, as SQLite asks

    def look():
        kept = opened(storage)
        kept.remove_session()
        kept.engine.dispose()

    assert at_once(*[create] * AT_ONCE, look) == []
    assert len(made) == AT_ONCE
    assert len({*made}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


@pytest.mark.usefixtures("alone")
def test_studies_elsewhere_are_made_as_before(tmp_path):
    assert optuna.create_study().trials == []
    with pytest.raises(Exception, match="unable to open database file"):
        opened(f"sqlite:///{tmp_path / 'none' / 'study.db'}")
    assert list(tmp_path.iterdir()) == []
