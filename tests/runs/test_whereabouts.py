"""Data of one's own that has moved since its run was trained."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import sbvi
from sbvi.cli.resume import resumed
from sbvi.core import UserError
from sbvi.data.tabular import kinds
from sbvi.data.tabular.removal import Removal
from sbvi.runs.assembly import load_dataset
from sbvi.runs.changes import changed
from sbvi.runs.context import RunContext
from sbvi.runs.experiment import Experiment
from sbvi.runs.train import train
from sbvi.runs.whereabouts import same_place, with_gaps
from sbvi.tasks.data import run_dataset

pytestmark = pytest.mark.usefixtures("without_pictures")

#: A mixture, which is soonest compiled.
WORDS = ["model=mixture", "model.count=2", "trainer.steps=2", "trainer.batch_size=20", "evaluation.test=false"]


@pytest.fixture
def values():
    return np.random.default_rng(0).integers(0, 2, (40, 6))


@pytest.fixture(autouse=True)
def _no_log_that_outlives_its_test(monkeypatch):
    monkeypatch.setattr("logging.basicConfig", lambda **options: None)
    monkeypatch.setattr("sbvi.cli.hydra_app.log_to", lambda folder: None)


def gone_on(folder, *words):
    experiment, folder, longer = resumed([f"resume={folder}"], words)
    return train(experiment, folder, session=RunContext(longer=longer))


def test_a_run_goes_on_with_its_data_elsewhere(values, tmp_path):
    folder, there, here = tmp_path / "run", tmp_path / "x.npy", tmp_path / "moved=2.npy"
    np.save(there, values)
    sbvi.train([*WORDS, "dataset=npz", f"dataset.path={there}"], folder)
    shutil.move(there, here)
    assert gone_on(folder)["steps"] == 2  # which needs no data
    with pytest.raises(UserError, match=r"x\.npy, which .*run was trained on, is not there; dataset\.path=FILE says"):
        gone_on(folder, "trainer.steps=4")
    record = (folder / "run.json").read_bytes()
    np.save(tmp_path / "other.npy", 1 - values)
    with pytest.raises(
        UserError, match=r"was trained on other data than is found now in .*other\.npy; dataset\.path=FILE says"
    ):
        gone_on(folder, "trainer.steps=4", f"dataset.path={tmp_path / 'other.npy'}")
    assert (folder / "run.json").read_bytes() == record
    # A place alone is nothing to train for, and is looked at all the same.
    result = (folder / "result.json").read_bytes()
    np.save(tmp_path / "wider.npy", np.zeros((40, 7)))
    for wrong, said in (
        ("other", "other data than"),
        ("wider", "other data than"),
        ("none", r"^dataset\.path=.*none\.npy is not a file\.$"),
    ):
        with pytest.raises(UserError, match=said):
            gone_on(folder, f"dataset.path={tmp_path / wrong}.npy")
        with pytest.raises(UserError, match=said):
            gone_on(folder, f"dataset.path={tmp_path / wrong}.npy", "trainer.steps=4")
        with pytest.raises(UserError, match=said):
            sbvi.train([*WORDS, "dataset=npz", f"dataset.path={tmp_path / wrong}.npy"], folder)
    assert (folder / "run.json").read_bytes() == record
    gone_on(folder, f"dataset.path={here}")
    assert (folder / "result.json").read_bytes() == result
    assert json.loads((folder / "run.json").read_text())["config"]["dataset"]["path"] == str(here)
    shutil.move(here, again := tmp_path / "again, [1].npy")
    assert gone_on(folder, "trainer.steps=4", f'dataset.path="{again}"')["steps"] == 4
    first, second = json.loads((folder / "run.json").read_text())["history"]
    assert first["changed"] == {"dataset.path": [str(there), str(here)]}
    assert second["changed"] == {"dataset.path": [str(here), str(again)], "trainer.steps": [2, 4]}
    assert len(run_dataset(sbvi.load_run(folder)).split("test").x) == 4


def test_a_completed_run_is_of_the_data_that_is_there(values, tmp_path, caplog):
    """Its command given again has its results, which are of the file as it was: seen by its size and time, and read
    only where these differ."""
    path, words = tmp_path / "x.npy", [*WORDS, "dataset=npz", f"dataset.path={tmp_path / 'x.npy'}"]
    np.save(path, values)
    recorded = tmp_path / "run" / "run.json"
    sbvi.train(words, recorded.parent)
    before = recorded.read_bytes()
    sbvi.train(words, recorded.parent)
    assert recorded.read_bytes() == before
    os.utime(path, (1, 1))  # the same data, written again
    sbvi.train(words, recorded.parent)
    assert json.loads(recorded.read_text())["data_file"] == {"bytes": path.stat().st_size, "modified": 10**9}
    assert not [line for line in caplog.records if line.levelname == "WARNING"]
    np.save(path, 1 - values)
    said = r"run was trained on other data than is found now in .*x\.npy; dataset\.path=FILE says where"
    for again in (lambda: sbvi.train(words, recorded.parent), lambda: gone_on(recorded.parent)):
        with pytest.raises(UserError, match=said):
            again()
    path.write_bytes(b"junk")  # or a table with a category that the run's has not: the reader's words say too little
    with pytest.raises(
        UserError, match=r"than is found now in .*x\.npy \(.* is not a readable .*\); dataset\.path=FILE"
    ):
        sbvi.train(words, recorded.parent)
    np.save(path, 1 - values)
    record = json.loads(recorded.read_text())  # of an earlier version, whose results still are had
    del record["data_file"]
    recorded.write_text(json.dumps(record))
    sbvi.train(words, recorded.parent)
    assert "other data than is found now" in caplog.text
    path.unlink()
    assert gone_on(recorded.parent)["steps"] == 2
    assert f"{path}, which {recorded.parent} was trained on, is not there; the run's results stand" in caplog.text


def test_data_in_memory_moves_with_its_run(values, tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    sbvi.train(WORDS, before, x=values)
    shutil.move(before, after)
    assert run_dataset(sbvi.load_run(after)).digest()
    assert sbvi.train(WORDS, after, x=values).directory.path == after
    with pytest.raises(UserError, match="holds other data than x"):
        sbvi.train(WORDS, after, x=1 - values)
    (tmp_path / "link").symlink_to(after, target_is_directory=True)
    record = (after / "run.json").read_bytes()
    assert sbvi.train(WORDS, tmp_path / "link", x=values).directory.path == tmp_path / "link"
    assert (after / "run.json").read_bytes() == record
    assert gone_on(after, "trainer.steps=4")["steps"] == 4
    # Whatever lies in its old place now.
    sbvi.train(WORDS, before, x=1 - values)
    assert run_dataset(sbvi.load_run(after)).digest() != run_dataset(sbvi.load_run(before)).digest()
    # A copy of the run has its data beside it, too.
    shutil.copytree(after, tmp_path / "copy")
    shutil.rmtree(after)
    assert gone_on(tmp_path / "copy", "trainer.steps=6")["steps"] == 6
    np.savez(tmp_path / "copy" / "data.npz", x_train=1 - values)
    with pytest.raises(UserError, match="was trained on other data than is found now"):
        gone_on(tmp_path / "copy", "trainer.steps=8")


def test_data_without_a_path_has_no_other_place():
    config = {"dataset": {"name": "digits"}, "trainer": {}}
    with pytest.raises(UserError, match=r"dataset\.path=x\.npy is for runs on files of one's own"):
        changed(config, {"dataset.path": "x.npy"})


def test_columns_are_taken_for_what_the_run_recorded(tmp_path, monkeypatch, caplog):
    """Whatever another version takes them for: its data is read, and trained on, as before. Its record also says
    whether there are gaps to fill."""
    generator = np.random.default_rng(0)
    frame = {"a": [*generator.normal(size=57), None, None, None], "site": ["x", "y", "z"] * 20, "rank": [1, 2, 5] * 20}
    pd.DataFrame(frame).to_csv(tmp_path / "t.csv", index=False)
    words = ["experiment=table", f"dataset.path={tmp_path / 't.csv'}", "model.latents=[1]", "model.hidden=[4]"]
    words += ["model.recognition_hidden=[4]", "trainer.epochs=null", "trainer.steps=2", "evaluation.test=false"]
    run = sbvi.train(words, tmp_path / "run")
    before = run.preprocessing.table
    assert [column.kind for column in before] == ["continuous", "categorical", "ordinal"]
    whole, found = kinds.column_kind, []

    def other(column, told, *rest):
        found.append(told)
        return whole(column, "positive" if told is None and column.name == "rank" else told, *rest)

    monkeypatch.setattr(kinds, "column_kind", other)
    assert load_dataset(run.experiment).preprocessing.table != before
    caplog.set_level("INFO")
    caplog.clear()
    assert run_dataset(run).preprocessing.table == before
    assert caplog.text.count("as in the run") == 3
    assert "Where a kind is wrong" not in caplog.text
    assert found[-3:] == ["continuous", "categorical", ("1", "2", "5")]
    assert gone_on(tmp_path / "run", "trainer.steps=4")["steps"] == 4
    assert with_gaps(run.experiment, tmp_path / "run") == str(tmp_path / "t.csv")
    removed = replace(run.experiment.dataset, missing=Removal(fraction=0.1))
    assert with_gaps(replace(run.experiment, dataset=removed), tmp_path / "run") is None
    kept = replace(run.experiment.dataset, path=str(tmp_path / "run" / "data.csv"))
    assert with_gaps(replace(run.experiment, dataset=kept), tmp_path / "run") is None  # as of a frame in memory
    # What the user says of a column stands, and is another run.
    told = Experiment.from_overrides([*words, "dataset.columns={rank: count}"])
    with pytest.raises(UserError, match=r"holds another run: dataset\.columns"):
        train(told, tmp_path / "run")


def test_links_in_a_circle_are_a_place_of_their_own(tmp_path):
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to("first")
    (tmp_path / "link").symlink_to(tmp_path)
    assert not same_place(str(tmp_path / "first"), str(tmp_path))
    assert same_place(str(tmp_path / "link" / "x.npy"), str(tmp_path / "x.npy"))
