"""Training from Python, as the command line would."""

import io
import json
import os
import pickle
import re
import signal
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

import sbvi
from sbvi.core import UserError
from sbvi.runs import api, compose, frame_files
from sbvi.runs.directory import RunDirectory
from sbvi.runs.parts.encodings import Encoding
from sbvi.tasks.likelihood import LikelihoodTask
from sbvi.training import Training

pytestmark = pytest.mark.usefixtures("without_pictures")

WORDS = [
    "dataset=synthetic",
    "dataset.train_size=200",
    "model.latents=[3]",
    "model.hidden=[4]",
    "model.recognition_hidden=[4]",
    "posterior=rank_one",
    "objective.num_samples=2",
    "optimizer.schedule.kind=cosine",
    "trainer.epochs=3",
    "trainer.log_every=5",
    "evaluation.num_samples=5",
]


def test_an_interrupt_before_a_run_began_leaves_no_folder(tmp_path, monkeypatch):
    def interrupted(_, folder):
        with RunDirectory(folder).locked():
            raise KeyboardInterrupt

    monkeypatch.setattr(api, "train_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sbvi.train(WORDS, tmp_path / "above" / "run")
    assert not list(tmp_path.iterdir())


def test_threads_compose_at_once():
    meeting = threading.Barrier(4)

    def made(seed):
        meeting.wait()
        return [sbvi.Experiment.from_overrides([*WORDS, f"seed={seed + times}"]).seed for times in range(2)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(made, range(4))) == [[seed, seed + 1] for seed in range(4)]


def test_a_child_composes_though_another_thread_of_its_parent_did():
    """It has one thread, and not the one that had its turn."""

    def forked():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads, which this child asks nothing of
            pid = os.fork()
        if pid == 0:
            os._exit(0 if compose._turn.acquire(timeout=5) else 1)
        return pid

    with compose._turn, ThreadPoolExecutor(1) as pool:
        pid = pool.submit(forked).result()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_overrides_are_composed_as_the_command_composes_them(tmp_path):
    made = sbvi.Experiment.from_overrides(WORDS)
    assert made.trainer.epochs == 3
    assert made.trainer.steps is None  # a length given clears the others
    config = made.to_config()
    assert config["model"]["posterior"] == {"name": "rank_one"}
    assert config["model"]["likelihood"] == {"name": "bernoulli"}
    assert config["algorithm"]["objective"]["num_samples"] == 2
    assert config["algorithm"]["optimizer"]["schedule"]["kind"] == "cosine"
    assert sbvi.Experiment.from_config(json.loads(json.dumps(config))) == made
    for words, sentence in (
        (["posterior=ranc_one"], r"posterior=ranc_one is not known \(did you mean rank_one\?\); allowed: auto, "),
        (["posterior="], "posterior= is not known; allowed: auto, coupling, diagonal"),
        (["prior=flow", "posterior=null"], "^posterior=null: a group of settings is chosen by a name"),
        (
            ["algorithm.dreams=0.3"],
            "algorithm.dreams is a key of algorithm=reweighted_wake_sleep, sgmcmc, and algorithm is grad",
        ),
        (
            ["prior.components=5"],
            "prior.components is a key of prior=mixture, vamp, and prior is standard where none is named",
        ),
        (["model=nade", "objective.kl_weight.beta=2"], "and objective is log_likelihood where none is named"),
        (["dataset=npz"], "dataset.path must be given"),
        (["algorithm=expectation_maximisation"], "models that serve: circuit, mixture"),
        (["model.latent=[2]"], "latent"),
        (["model=mixture", "posterior=full"], "posterior=full has no use with model=mixture"),
        (["algorithm=wake_sleep", "objective=renyi"], "objective=renyi has no use with algorithm=wake_sleep"),
        (["model=mixture", "algorithm=wake_sleep"], "models that serve: dlgm"),
        (["objective=log_likelihood"], "models that serve: "),
    ):
        with pytest.raises(UserError, match=sentence):
            sbvi.Experiment.from_overrides(words)


def test_training_gives_back_the_run_and_goes_on(tmp_path):
    run = sbvi.train(WORDS, tmp_path / "run")
    x = run.sample(5, seed=3)
    np.testing.assert_array_equal(x, run.sample(5, seed=3))
    assert (run.sample(50) != run.sample(50)).any()  # anew, unless a seed is given
    begun = (
        f"<LoadedRun {tmp_path}/run: dlgm on synthetic (32,), likelihood bernoulli, posterior rank_one, prior standard"
    )
    assert repr(run).startswith(f"{begun}, 6 steps, test/nll ")
    assert run.log_likelihood(x, 20).shape == (5,)
    again = sbvi.train(sbvi.Experiment.from_overrides(WORDS), tmp_path / "run")
    np.testing.assert_array_equal(run.log_likelihood(x, 20), again.log_likelihood(x, 20))
    with pytest.raises(UserError, match=r"holds another run: posterior\.name is rank_one there and full here"):
        sbvi.train([*WORDS, "posterior=full"], tmp_path / "run")
    with pytest.raises(UserError, match="holds another run, on other data than x"):
        sbvi.train(SMALL, tmp_path / "run", x=np.zeros((50, 4)))
    assert not (tmp_path / "run" / "data.npz").exists()  # left as it was
    result = tmp_path / "run" / "result.json"
    for content, sentence in (
        ('{"status": "completed"}', "result.json lacks steps, epochs, train_seconds, wall_seconds, which every run"),
        ('{"status": "completed", "metrics": 3}', "result.json holds 3 as metrics"),
    ):
        result.write_text(content)
        with pytest.raises(UserError, match=sentence):
            sbvi.train(WORDS, tmp_path / "run")
        assert result.read_text() == content
        assert repr(sbvi.load_run(tmp_path / "run")).startswith(begun)
    for words, sentence in (
        ("dataset=synthetic", r"^'dataset=synthetic' is no list of overrides; give \['dataset=synthetic'\]\.$"),
        ({"seed": 1, "trainer.epochs": 2}, r"and not a dict: give \['seed=1', 'trainer.epochs=2'\]\.$"),
        ([{"seed": 1}], r"^{'seed': 1} is no override; each is a text KEY=VALUE"),
        (["trainer.epochs 1"], "^'trainer.epochs 1' is no override"),
        (3, "^3 must be a list of overrides"),
    ):
        for call in (lambda w: sbvi.train(w, tmp_path / "other"), sbvi.Experiment.from_overrides):
            with pytest.raises(UserError, match=sentence):
                call(words)


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_signal_after_the_loop_s_last_look_stops_the_run_as_it_said(number, tmp_path, monkeypatch):
    """Before its final test, which it had gone on with."""
    run = Training.run

    def interrupted(*given):
        outcome = run(*given)
        os.kill(os.getpid(), number)
        return outcome

    monkeypatch.setattr(Training, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sbvi.train(WORDS, tmp_path)
    monkeypatch.undo()
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["status"], result["reason"]) == ("stopped", number.name)
    assert "test/nll" not in result["metrics"]
    sbvi.train(WORDS, tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["status"], "test/nll" in result["metrics"]) == ("completed", True)


def test_an_interrupt_while_a_log_is_opened_leaves_a_run_that_goes_on(tmp_path, monkeypatch):
    """Not a folder with the log's files alone, which nothing knows."""
    kind = type(sbvi.Experiment.from_overrides(WORDS).logger)
    opened = kind.open

    def interrupted(*given):
        logger = opened(*given)
        os.kill(os.getpid(), signal.SIGINT)
        return logger

    monkeypatch.setattr(kind, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sbvi.train(WORDS, tmp_path)
    monkeypatch.undo()
    assert (tmp_path / "run.json").exists()
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["status"], result["reason"], result["steps"]) == ("stopped", "SIGINT", 0)
    sbvi.train(WORDS, tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "completed"


def test_a_short_run_has_a_rate(tmp_path):
    """A single chunk: compiling is left out of the rate, and counted in the seconds."""
    sbvi.train([*WORDS, "trainer.log_every=1000", "evaluation.test=false"], tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["steps"] == 6
    assert result["examples_per_second"] > 100 * result["steps"] / result["train_seconds"]


SMALL = [*(word for word in WORDS if not word.startswith(("dataset", "trainer"))), "trainer.steps=2"]


class Arrows:
    """A table that NumPy takes for an array."""

    columns = ("a", "b")

    def to_pandas(self):
        return pd.DataFrame(np.ones((9, 2)), columns=self.columns)

    def __array__(self, dtype=None, copy=None):
        return np.ones((9, 2))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"x": np.linspace(-3.5, 4.25, 60).reshape(15, 4)},
            r"^x holds -3\.5 at row 0, column 0; allowed: dataset\.minimum=0 to dataset\.maximum=1; for real values "
            r"such as these give dataset\.minimum=-4 dataset\.maximum=5, and train with likelihood=gaussian \(",
        ),
        ({"x": {"train": np.ones((9, 4)), "test": np.full((9, 4), np.nan)}}, r"^x\['test'\] holds nan at row 0"),
        ({"x": np.ones((9, 4)), "labels": np.ones(8, int)}, r"^labels "),
        ({"x": np.ones((9, 0))}, r"^x has shape \(9, 0\)"),
        (
            {"x": "digits.npz"},
            "^x='digits.npz' is text, .*; a file is given by overrides, as dataset=npz dataset.path=digits.npz.$",
        ),
        (
            {"x": {"train": np.ones((9, 4, 4)), "test": np.ones((9, 3, 4))}},
            r"^x\['test'\] has events \(3, 4\), x\['train'\] has \(4, 4\)",
        ),
        ({"x": Arrows()}, r"^x is a Arrows of test_python; give x\.to_pandas\(\)\.$"),
        ({"x": Path("a.csv")}, "^x='a.csv' is a path, .* dataset=table dataset.path=a.csv.$"),
    ],
)
def test_a_fault_of_data_in_memory_is_told_of_the_argument(tmp_path, given, said):
    """Not of the file in which it was to be kept, which is gone."""
    with pytest.raises(UserError, match=said) as caught:
        sbvi.train(SMALL, tmp_path / "run", **given)
    assert "data.npz" not in str(caught.value)
    assert not (tmp_path / "run").exists()
    if "likelihood=gaussian" in said:  # what is advised does
        words = re.findall(r"[\w.]+=[^\s,]+", str(caught.value).split("give ")[1])
        np.save(tmp_path / "x.npy", given["x"])
        advised = sbvi.Experiment.from_overrides(["dataset=npz", f"dataset.path={tmp_path / 'x.npy'}", *words])
        assert len(advised.dataset.load().train.x) == 11


def test_training_on_data_in_memory(tmp_path):
    """Arrays by split with labels, kept beside the run; and a frame."""
    generator = np.random.default_rng(0)
    x = {name: generator.integers(0, 2, (n, 6)).astype(np.uint8) for name, n in (("train", 80), ("test", 20))}
    labels = {name: np.arange(len(values)) % 3 for name, values in x.items()}
    run = sbvi.train([*SMALL, "dataset.validation_size=20"], tmp_path / "a", x=x, labels=labels)
    assert run.experiment.dataset.load().test.label.tolist() == labels["test"].tolist()
    assert run.data["classes"] == 3
    assert (tmp_path / "a" / "data.npz").exists()
    for asked, sentence in (
        (0, "num=0 must be a whole number of at least 1"),
        (2.5, "num=2.5 must be"),
        (10**12, "Too large: num=1000000000000 draws would take at least"),
    ):
        with pytest.raises(UserError, match=sentence):
            run.sample(asked)
    with pytest.raises(UserError, match="num_samples='20' must be a whole number of at least 1"):
        run.log_likelihood(x["test"], "20")
    with pytest.raises(UserError, match="holds other data than x"):
        sbvi.train(SMALL, tmp_path / "a", x=x["train"])
    for words, given, sentence in (
        (["dataset=mnist"], {"x": x["train"]}, "x= is the data, and dataset=mnist was given too"),
        ([], {"x": {"tset": x["test"]}}, "x has the key tset; allowed: train, validation, test"),
        ([], {"x": {"test": x["test"]}}, "train must be one of them"),
        ([], {"labels": labels}, "labels are of x="),
        ([], {"x": pd.Series(np.ones(9))}, "x is a Series; it must be an array, a DataFrame or a dict of either"),
        ([], {"x": np.array([[1, "a"]], object)}, "x has dtype object; it must be numeric"),
        (
            [],
            {"x": x["train"], "labels": ["a", None] * 40},
            "labels has dtype object; it must be whole",
        ),
        ([], {"x": np.ma.masked_equal(x["train"], 1)}, "x is a masked array that hides"),
        (["model.latent=[2]"], {"x": x}, "latent"),
        (sbvi.Experiment.from_overrides(WORDS), {"x": x}, "x= goes with a list of overrides"),
    ):
        with pytest.raises(UserError, match=sentence):
            sbvi.train(words, tmp_path / "b", **given)
    wrong = {"train": x["train"], "test": x["test"][:1]}  # which is known when the data is read
    (tmp_path / "mine").mkdir()
    for folder in ("b", "mine"):
        with pytest.raises(UserError, match="Every split needs at least two examples, and test has 1"):
            sbvi.train([*SMALL, "dataset.validation_size=20"], tmp_path / folder, x=wrong)
    assert not (tmp_path / "b").exists()
    assert not (tmp_path / "mine" / "data.npz").exists()
    (tmp_path / "a").rename(tmp_path / "c")  # its data goes with it
    moved = sbvi.load_run(tmp_path / "c")
    assert moved.experiment.dataset.load().test.label.tolist() == labels["test"].tolist()
    again = sbvi.train([*SMALL, "dataset.validation_size=20"], tmp_path / "c", x=x, labels=labels)
    assert again.data == run.data


def test_labels_out_of_a_frame_are_kept(tmp_path):
    """Which are objects there."""
    x, words = np.zeros((4, 2)), ["b", "a", "b", "a"]
    for labels in (pd.Series(words), pd.Series(words, dtype="category"), pd.Series(words, dtype=object)):
        _, path, content = api._kept(x, labels, tmp_path)
        path.write_bytes(content)
        assert np.load(path)["y_train"].tolist() == words
    _, path, content = api._kept(x, pd.Series([1, 0, 1, 0], dtype=object), tmp_path)
    path.write_bytes(content)
    assert np.load(path)["y_train"].tolist() == [1, 0, 1, 0]


def test_a_frame_in_memory_is_a_table(tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    kind, path, content = api._kept(frame, None, tmp_path)
    assert kind == "table"
    api._write(path, content)
    np.testing.assert_array_equal(pd.read_csv(path).to_numpy(), frame.to_numpy())  # to the last bit
    for text in ("NA", "None", ""):  # a country, a level: texts here, and gaps when read again
        for column in (frame["a"].map(lambda v, t=text: t if v > 0 else "DE"), pd.Categorical([text, "DE"] * 30)):
            with pytest.raises(UserError, match=f"x: column c holds the text '{text}', which is kept in a file"):
                api._kept(frame.assign(c=column), None, tmp_path)
    assert api._kept(frame.assign(c=["na", None] * 30), None, tmp_path)[2].count(b"\n") == 61
    path.write_bytes(api._kept(frame.assign(c=[" x", "x", "y"] * 20), None, tmp_path)[2])
    loaded = sbvi.Experiment.from_overrides(["dataset=table", f'dataset.path="{path}"']).dataset.load()
    assert loaded.preprocessing.table[2].values == (" x", "x", "y")  # three words, as in the frame
    with pytest.raises(UserError, match=r"given as dataset\.labels=NAME"):
        api._kept(frame, np.zeros(60), tmp_path)


def test_frames_by_split_are_matched_by_name(tmp_path):
    """Whatever the order of their columns; words among them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=80), "b": rng.normal(5, 1, 80), "site": ["x", "y"] * 40})
    train, test = frame[:50], frame[50:]
    words = ["trainer.steps=4", "model.hidden=[4]", "evaluation.num_samples=5", "logger=csv"]
    found = []
    for name, other in (("same", test), ("turned", test[["site", "b", "a"]])):
        run = sbvi.train(words, tmp_path / name, x={"train": train, "test": other})
        dataset = run.experiment.dataset.load()
        assert [len(split) for split in dataset.splits.values()] == [45, 5, 30]
        assert dataset.preprocessing.columns == ("a", "b", "site")
        found.append((run.data, json.loads((tmp_path / name / "result.json").read_text())["metrics"]["test/nll"]))
    assert found[0] == found[1]
    scores = [run.log_likelihood(rows, 20) for rows in (test, test[["b", "site", "a"]])]
    np.testing.assert_array_equal(*scores)
    assert api._as_one({"train": frame.assign(split=1)}, [])[1] == ["dataset.split=split_0"]
    one, other = (api._as_one(x, [])[0] for x in ({"train": train, "test": test}, {"test": test, "train": train}))
    pd.testing.assert_frame_equal(one, other)
    unnamed = {
        "test": pd.DataFrame(test[["b", "a"]].to_numpy(), columns=[1, 0]),
        "train": train[["a", "b"]].set_axis([0, 1], axis=1),
    }
    arrays, words = api._as_one(unnamed, [])
    assert words == []
    np.testing.assert_array_equal(arrays["test"], test[["a", "b"]])
    for x, given, sentence in (
        (
            {"train": train, "test": test.rename(columns={"a": "c"})},
            [],
            r"^x\['test'\] lacks the columns a of x\['train'\]",
        ),
        ({"train": train, "test": test.assign(c=1)}, [], r"^x\['test'\] has columns that x\['train'\] lacks: c"),
        ({"train": train, "test": test.to_numpy()}, [], r"^x\['test'\] is of type ndarray, and others are DataFrames"),
        ({"train": train, "tset": test}, [], "^x has the key tset; allowed: train, validation, test"),
        ({"test": test}, [], "train must be one of them"),
        (
            {"train": train.set_axis([0, 1, 2], axis=1)},
            [],
            r"^x\['train'\] has columns without names that are no plain num",
        ),
        ({"train": train}, ["++dataset.split=a"], r"^x= is by split, and \+\+dataset.split=a was given"),
        ({"train": train}, ["dataset.split=a"], "^x= is by split, and dataset.split=a was given too"),
        ({"train": train, "test": test[:1]}, [], "^Every split needs at least two examples, and test has 1"),
    ):
        with pytest.raises(UserError, match=sentence):
            sbvi.train([*words, *given], tmp_path / "wrong", x=x)
        assert not (tmp_path / "wrong").exists()


def test_a_frames_own_dtypes_decide(tmp_path, monkeypatch):
    """Texts that look like numbers, truth values or marks of a gap are texts, in training and in what reads the run
    later; they are kept as Parquet, and refused where nothing reads that."""
    parquet = pytest.importorskip("pyarrow.parquet")
    numbers = np.random.default_rng(0).normal(size=60)
    texts = {"site": ["01", "02", "1"], "answer": ["True", "False", "True"], "mark": ["-", "--", "-"]}
    for dtype in (object, "str", "category"):
        frame = pd.DataFrame({"a": numbers, **{n: pd.Series(v * 20, dtype=dtype) for n, v in texts.items()}})
        kind, path, content = api._kept(frame, None, tmp_path / str(dtype))
        assert (kind, path.name) == ("table", "data.parquet")
        api._write(path, content)
        loaded = sbvi.Experiment.from_overrides(["dataset=table", f'dataset.path="{path}"']).dataset.load()
        found = {column.name: (column.kind, set(column.values)) for column in loaded.preprocessing.table}
        assert found["site"] == ("categorical", {"01", "02", "1"})
        assert found["answer"] == ("binary", {"True", "False"})
        assert found["mark"] == ("binary", {"-", "--"})
    assert not api._write(path, api._kept(frame, None, path.parent)[2])  # the same frame is known again
    with pytest.raises(UserError, match="holds other data than x"):
        api._write(path, api._kept(frame.assign(a=-numbers), None, path.parent)[2])
    altered = io.BytesIO()  # in its description of the dtypes
    parquet.write_table(parquet.read_table(path).replace_schema_metadata({"pandas": "{}"}), altered)
    for damaged in (content[: len(content) // 2], altered.getvalue()):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="holds other data than x"):  # it is nobody's to overwrite
            api._write(path, content)
    grades = pd.Categorical(["low", "high", "mid"] * 20, ["low", "mid", "high", "top"], ordered=True)
    name, content = frame_files.kept_frame(pd.DataFrame({"a": numbers, "grade": grades}))
    (tmp_path / name).write_bytes(content)
    loaded = sbvi.Experiment.from_overrides(["dataset=table", f"dataset.path={tmp_path / name}"]).dataset.load()
    assert [(column.kind, column.values) for column in loaded.preprocessing.table] == [
        ("continuous", ()), ("ordinal", ("low", "mid", "high", "top")),
    ]  # fmt: skip
    mixed = frame.assign(site=pd.Series(["01", 2, 3.5] * 20, dtype=object))
    with pytest.raises(UserError, match=r"column site holds '01'.* as Parquet it cannot be kept .*one type"):
        api._kept(mixed, None, tmp_path)
    (tmp_path / 'a "b" ${c}').mkdir()  # marks of the grammar of words
    run = sbvi.train(SMALL, tmp_path / 'a "b" ${c}' / "run", x=frame)
    (tmp_path / 'a "b" ${c}' / "run").rename(tmp_path / "moved")
    moved = sbvi.load_run(tmp_path / "moved")
    filled = moved.fill_table(frame.assign(site=frame["site"].where(frame.index > 3)), samples=20)
    assert set(filled["site"]) == {"01", "02", "1"}
    assert moved.data == run.data
    record = tmp_path / "moved" / "run.json"  # as an earlier version began it
    recorded = json.loads(record.read_text())
    recorded["config"]["dataset"]["path"] = str(tmp_path / "moved" / "data.csv")
    record.write_text(json.dumps(recorded))
    sentence = rf"on other data than x; use another directory, or, .* kept x as text, resume={tmp_path}/moved\.$"
    with pytest.raises(UserError, match=sentence):
        sbvi.train(SMALL, tmp_path / "moved", x=frame)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"x: column site holds '01', .* pip install 'sbvi\[parquet\]'"):
        frame_files._as_parquet(
            frame, "x: column site holds '01', which differs"
        )  # pandas itself reads text by a pyarrow that was there


@pytest.mark.parametrize("own", [pytest.param(False, marks=pytest.mark.slow), True])
def test_runs_of_before_with_ordered_categories_go_on(own, tmp_path):
    """Their columns have no record of `category`."""
    pytest.importorskip("pyarrow")
    sizes = np.resize(["small", "mid", "large", "mid"], 60)
    categories = pd.Categorical(sizes, ["small", "mid", "large"], ordered=True)
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=60), "size": categories})
    frame.to_parquet(tmp_path / "own.parquet")
    words = [*SMALL, "experiment=table", f"dataset.path={tmp_path}/own.parquet"] if own else SMALL
    given = {} if own else {"x": frame}
    sbvi.train(words, tmp_path / "run", **given)
    record = tmp_path / "run" / "run.json"
    text = record.read_text()
    assert '"category": true' in text

    def before(value):
        if isinstance(value, dict):
            return {key: before(held) for key, held in value.items() if key != "category"}
        return list(map(before, value)) if isinstance(value, list) else value

    record.write_text(json.dumps(before(json.loads(text))))
    run = sbvi.load_run(tmp_path / "run")
    assert [column.category for column in run.preprocessing.table] == [False, False]
    assert np.isfinite(LikelihoodTask(num_samples=3).run(run).scalars["test/nll"])
    (tmp_path / "run" / "result.json").unlink()  # as one that was stopped before its end
    assert sbvi.train(words, tmp_path / "run", **given).data == run.data


def test_the_package_shows_what_there_is():
    assert dir(sbvi) == ["Experiment", "LoadedRun", "UserError", "__version__", "load_run", "train"]
    assert sbvi.UserError is UserError


@pytest.mark.quick
def test_what_is_of_searches_is_refused_of_a_run_by_itself(tmp_path):
    with pytest.raises(UserError, match=r"pruning.rule=median is for a search by sbvi-train --multirun"):
        sbvi.train(["pruning.rule=median", "trainer.steps=5"], tmp_path / "run")


def test_a_run_is_pickled_for_another_process(tmp_path):
    """As joblib and multiprocessing hand it on, with parameters other than the best too."""
    words = ["model=mixture", "model.count=2", "trainer.steps=2", "trainer.batch_size=20", "dataset=npz"]
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 2, (40, 6)))
    run = sbvi.train([*words, f"dataset.path={tmp_path / 'x.npy'}"], tmp_path / "run")
    other = run.with_params(jax.tree.map(lambda leaf: leaf + 0.1, run.params))
    x = np.zeros((3, 6))
    assert other.model is run.model
    assert other._compiled is run._compiled
    for each in (run, other):
        again = pickle.loads(pickle.dumps(each))
        np.testing.assert_array_equal(again.log_likelihood(x), each.log_likelihood(x))
        assert repr(again) == repr(run)


@pytest.mark.quick
def test_pickled_encodings_of_earlier_versions_are_read():
    assert pickle.loads(b"\x80\x04csbvi.runs.loaded\nEncoding\n.") is Encoding
