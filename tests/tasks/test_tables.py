"""From a CSV with a header, empty cells, a text column and an id column to the same table, filled."""

import datetime
import gzip
import json
import os
from types import SimpleNamespace

import jax
import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

import sbvi
from sbvi.cli import evaluate
from sbvi.core import UserError
from sbvi.data import Preprocessing
from sbvi.data.recorded import other_kinds
from sbvi.data.sources.table import Table
from sbvi.data.tabular.columns import Column, to_config
from sbvi.evaluation.filling import Filled
from sbvi.tasks.data import own_dataset, own_values
from sbvi.tasks.filled_texts import filled_rows, own_texts, put_rows
from sbvi.tasks.imputation import ImputationTask
from sbvi.tasks.likelihood import LikelihoodTask
from sbvi.tasks.query import QueryTask
from sbvi.tasks.samples import SamplesTask
from sbvi.tasks.table_imputation import scores
from sbvi.tasks.tables import named_by, read_table, write_frame

N = 400


def laboratory():
    """Columns that tell of one another, and the places of their gaps."""
    generator = np.random.default_rng(0)
    z = generator.normal(size=(N, 2))
    frame = pd.DataFrame(
        {
            "id": np.arange(100, 100 + N),
            "hb": 13 + z[:, 0] + 0.05 * generator.normal(size=N),
            "iron": 60 + 25 * z[:, 0] + generator.normal(size=N),
            "crp": np.exp(1.5 * z[:, 1]),
            "visits": generator.poisson(np.exp(1.5 + z[:, 1])),
            "site": np.where(z[:, 0] > 0.5, "lyon", np.where(z[:, 0] > -0.5, "oslo", "rome")),
            "ward": 7,
        }
    )
    gaps = generator.random(frame.shape) < 0.15
    gaps[:, [0, 6]] = False
    return frame, gaps


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("laboratory")
    frame, gaps = laboratory()
    frame.mask(gaps).to_csv(folder / "laboratory.csv", index=False)
    words = [
        "dataset=table",
        f"dataset.path={folder / 'laboratory.csv'}",
        "dataset.columns={visits: count}",
        "model.latents=[3]",
        "model.hidden=[16]",
        "model.recognition_hidden=[16]",
        "objective=importance_weighted",
        "optimizer.learning_rate=0.01",
        "trainer.epochs=null",
        "trainer.steps=500",
        "trainer.batch_size=40",
        "trainer.validate_every=250",
        "evaluation.num_samples=20",
        "runtime.compilation_cache=false",
        "runtime.debug_nans=true",
    ]
    try:
        return folder, sbvi.train(words, folder / "run")
    finally:
        jax.config.update("jax_debug_nans", False)  # else of all tests that follow


def test_gaps_are_no_nan_that_is_searched_for(trained):
    """The run of all these tests was trained and scored with runtime.debug_nans; its table is filled with it too."""
    folder, run = trained
    assert json.loads((folder / "run" / "run.json").read_text())["config"]["runtime"]["debug_nans"]
    assert json.loads((folder / "run" / "result.json").read_text())["status"] == "completed"
    holes = pd.read_csv(folder / "laboratory.csv").iloc[:20]
    assert holes.isna().any().any()
    jax.config.update("jax_debug_nans", True)
    assert not run.fill_table(holes, samples=300).isna().any().any()


def test_the_users_table_comes_back_filled(trained):
    folder, run = trained
    frame, gaps = laboratory()
    holes = pd.read_csv(folder / "laboratory.csv")
    task = ImputationTask(
        input=str(folder / "laboratory.csv"), output=str(folder / "filled.csv"), imputations=2, samples=300
    )
    result = task.run(run)
    made = pd.read_csv(folder / "filled.csv")
    assert list(made.columns) == list(frame.columns)
    assert not made.isna().any().any()
    for name in frame:
        there = holes[name].notna()
        assert (made[name][there] == holes[name][there]).all(), name
    assert (made["visits"].round() == made["visits"]).all()
    before, after = ((folder / name).read_text().splitlines() for name in ("laboratory.csv", "filled.csv"))
    for old, new in zip(before, after, strict=True):  # what was there, letter by letter
        assert all(a in ("", b) for a, b in zip(old.split(","), new.split(","), strict=True)), (old, new)
    spread = frame["iron"].std()
    error = (made["iron"] - frame["iron"])[gaps[:, 2] & ~gaps[:, 1]]
    assert np.sqrt((error**2).mean()) < 0.5 * spread
    lower, upper = (pd.read_csv(folder / f"filled.{part}.csv") for part in ("lower", "upper"))
    names = ["hb", "iron", "crp", "visits"]
    assert (lower[names] <= upper[names]).all().all()
    inside = (lower["iron"] <= frame["iron"]) & (frame["iron"] <= upper["iron"])
    assert inside[gaps[:, 2]].mean() > 0.7
    first, second = (pd.read_csv(folder / f"filled.{part}.csv") for part in (1, 2))
    assert (first["iron"] != second["iron"])[gaps[:, 2]].all()
    assert result.scalars["imputation/missing"] == pytest.approx(gaps[:, 1:6].mean(), abs=1e-6)
    # Rows without gaps, of which nothing hangs on samples, have no part in the median.
    effective = result.arrays["effective_samples"][result.arrays["missing"].any(1)]
    assert 0 < len(effective) < len(frame)
    assert result.scalars["imputation/effective_samples"] == np.median(effective)
    assert result.about["intervals"]["calibrated"]
    assert result.about["intervals"]["hidden"] == 0.1
    with pytest.raises(UserError, match=r"filled\.csv is there already"):
        task.run(run)


def test_all_files_that_are_written_are_named(trained, tmp_path, capsys):
    folder, _ = trained
    pd.read_csv(folder / "laboratory.csv").iloc[:20].to_csv(tmp_path / "few.csv", index=False)
    output = {"output": str(tmp_path / "filled.csv"), "samples": 50, "imputations": 2}
    task = {"name": "imputation", "input": str(tmp_path / "few.csv"), **output}
    own = {"decoder": None, "dataset": {"path": None}, "folder": str(tmp_path / "evaluations")}
    evaluate._task(OmegaConf.create({"run": str(folder / "run"), "task": task, **own}))
    said = capsys.readouterr().out.splitlines()
    named = [line.strip() for line in said if line.endswith(".csv")]
    assert named == [str(tmp_path / f"filled{part}.csv") for part in ("", ".lower", ".upper", ".1", ".2")]
    assert sorted(named) == sorted(map(str, tmp_path.glob("filled*")))


class Killed(BaseException):
    """What leaves the files as they stand."""


@pytest.mark.slow  # of any files it is in test_atomic.py
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_filled_table_is_there_once_what_is_beside_it_is(trained, tmp_path, monkeypatch, ending):
    """Wherever the process is killed: what has a name then is whole, and stands in the way of the same command."""
    folder, run = trained
    few = pd.read_csv(folder / "laboratory.csv").iloc[:20]
    few.to_csv(tmp_path / "few.csv", index=False)
    output = str(tmp_path / f"filled.{ending}")
    task = ImputationTask(input=str(tmp_path / "few.csv"), output=output, samples=10, imputations=2)
    task.run(run)
    order = [f"filled.{part}{ending}" for part in ("2.", "1.", "upper.", "lower.", "")]
    whole = {name: (tmp_path / name).read_bytes() for name in order}
    link = os.link
    for count in (1, 4):
        for name in order:
            (tmp_path / name).unlink(missing_ok=True)
        seen = []

        def killed(made, place, before=count, seen=seen):
            if len(seen) == before:
                seen.append({path.name: path.read_bytes() for path in tmp_path.glob("filled*")})
                raise Killed
            seen.append(place)
            link(made, place)

        monkeypatch.setattr("sbvi.core.atomic.os.link", killed)
        with pytest.raises(Killed):
            task.run(run)
        assert seen[-1] == {name: whole[name] for name in order[:count]}
        assert [path.name for path in tmp_path.iterdir()] == ["few.csv"]  # of what is no kill, nothing is left
    monkeypatch.undo()
    (tmp_path / order[0]).write_bytes(whole[order[0]])
    with pytest.raises(UserError, match=rf"filled\.{ending} would also write \S*filled\.2\.{ending}, which"):
        task.run(run)


def test_dtypes_and_index_are_kept_by_parquet(trained):
    folder, run = trained
    frame, gaps = laboratory()
    holes = frame.mask(gaps).set_index("id").iloc[:50]
    holes["visits"] = holes["visits"].astype("Int64")
    holes["site"] = holes["site"].astype("category")
    holes.to_parquet(folder / "part.parquet")
    ImputationTask(input=str(folder / "part.parquet"), output=str(folder / "made.parquet"), samples=300).run(run)
    made = pd.read_parquet(folder / "made.parquet")
    assert (made.dtypes == pd.read_parquet(folder / "part.parquet").dtypes).all()
    assert made.index.equals(holes.index)
    with pytest.raises(UserError, match=r"takes a DataFrame, not ndarray"):
        run.fill_table(holes.to_numpy())
    for wrong, sentence in (
        ({"guess": "middle"}, r"guess=middle is not known.*allowed: mean, median, mode"),
        ({"samples": 0}, "samples=0 must be a whole number of at least 1"),
        ({"seed": 0.5}, "seed=0.5 must be a whole number"),
    ):
        with pytest.raises(UserError, match=sentence):
            run.fill_table(holes, **wrong)
    bare = run.fill_table(holes.assign(site=np.nan), samples=300)  # a column of which nothing is there holds no words
    assert set(bare["site"]) <= {"lyon", "oslo", "rome"}
    again = run.fill_table(pd.read_parquet(folder / "part.parquet"), samples=300)
    pd.testing.assert_frame_equal(again, made)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz"])
def test_texts_that_begin_with_a_space_come_back_with_it(tmp_path, ending):
    """And names that hold what separates fields elsewhere come back whole."""
    frame = pd.DataFrame({"a;b": [1.5, 2.0, np.nan], "word": [" x", "x", None]})
    write_frame(tmp_path / f"made{ending}", frame)
    read = read_table(str(tmp_path / f"made{ending}"))
    assert read.named
    back = read.frame
    assert list(back.columns) == list(frame.columns)
    assert back["word"].isna().tolist() == [False, False, True]
    assert back["word"][:2].tolist() == [" x", "x"]
    np.testing.assert_array_equal(back["a;b"], frame["a;b"])
    bare = pd.DataFrame({"0": ["x;y", "z"], "1": [1.5, 2.0], "2": ["x\ry", "z"]})  # read without a header
    write_frame(tmp_path / f"bare{ending}", bare, named=False)
    read = read_table(str(tmp_path / f"bare{ending}"))
    assert not read.named
    back = read.frame
    assert back[0].tolist() == ["x;y", "z"]
    assert back[2].tolist() == ["x\ny", "z"]  # one cell still


def test_a_column_of_texts_beside_numbers_is_written_to_parquet_as_texts(tmp_path):
    """As a column that a file holds as numbers is, where words are filled in; and lengths of time that are categories
    come back as they are told, not as numbers."""
    pytest.importorskip("pyarrow")
    days = pd.to_timedelta([1, 2], "D")
    frame = pd.DataFrame(
        {
            "code": pd.Series([1.0, "0A", 2.5, None], dtype=object),
            "answer": pd.Series([True, "unknown", None, False], dtype=object),
            "stay": pd.Categorical([*days, None, days[0]]),
        }
    ).set_axis([7, 5, 3, 1])
    write_frame(tmp_path / "made.parquet", frame)
    back = pd.read_parquet(tmp_path / "made.parquet")
    assert back["code"].iloc[:3].tolist() == ["1", "0A", "2.5"]
    assert back["answer"][[7, 5, 1]].tolist() == ["True", "unknown", "False"]
    assert back["stay"][[7, 5, 1]].tolist() == ["1 days 00:00:00", "2 days 00:00:00", "1 days 00:00:00"]
    assert back.isna().sum(axis=0).tolist() == [1, 1, 1]
    assert back.index.equals(frame.index)
    odd = pd.DataFrame({"a": pd.Series([1, datetime.date(2020, 1, 1)], dtype=object)})
    with pytest.raises(UserError, match=r"^task\.output=.*odd\.parquet cannot hold the table .* name a \.csv file\.$"):
        write_frame(tmp_path / "odd.parquet", odd)
    assert not (tmp_path / "odd.parquet").exists()


def test_a_run_scores_what_it_fills(trained):
    _, run = trained
    result = ImputationTask(fraction=0.3, samples=300).run(run)
    assert result.scalars["imputation/rmse"] < 0.8 * result.scalars["imputation/rmse_of_means"]
    assert result.scalars["imputation/accuracy"] > result.scalars["imputation/accuracy_of_modes"]
    assert 0.7 < result.scalars["imputation/coverage"] <= 1
    assert result.scalars["imputation/effective_samples"] > 5
    intervals = result.about["intervals"]
    assert intervals["calibrated"]
    assert intervals["hidden"] == 0.3  # as many as the task hides
    assert intervals["entries"] == pytest.approx(0.3 * 3 * 3 * 0.85 * intervals["rows"], rel=0.3)  # three numbers
    columns = result.about["columns"]
    assert set(columns) == {"hb", "iron", "crp", "visits", "site"}
    counts = [column["n"] for column in columns.values()]
    assert result.scalars["imputation/n"] == sum(counts)
    assert [int(line.split()[1]) for line in result.table.splitlines()[2:8]] == [*counts, sum(counts)]
    assert "iron" in result.table
    assert result.pictures["imputation-test"].get_axes()
    with pytest.raises(UserError, match=r"^task\.fraction=0\.0 removes no value of .* a greater task\.fraction"):
        ImputationTask(fraction=0.0, samples=300).run(run)


def test_nats_are_of_the_columns_own_units(trained):
    """Of a table in other units the density differs by the units' logarithm; every column has its own number."""
    folder, run = trained
    metrics = json.loads((folder / "run" / "result.json").read_text())["metrics"]
    assert {f"test/nll/{name}" for name in ("hb", "iron", "crp", "visits", "site")} <= set(metrics)
    assert metrics["test/nll/hb"] < metrics["test/nll/iron"] < 5
    assert metrics["test/nll/iron"] - metrics["test/nll/hb"] == pytest.approx(np.log(25), abs=1.0)
    values, _ = own_values(run, str(folder / "laboratory.csv"), 60)
    frame = pd.read_csv(folder / "laboratory.csv").iloc[:60]
    found = run.log_likelihood(frame, 50)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(run.log_likelihood(values, 50), found)


def test_a_row_without_entries_scores_0(trained, tmp_path, caplog):
    """Of Python and of the task alike; in no column's number."""
    folder, run = trained
    frame = pd.read_csv(folder / "laboratory.csv").iloc[:40]
    empty = frame.copy()
    empty.iloc[20:, 1:] = np.nan
    found = run.log_likelihood(empty, 150)
    assert (found[20:] == 0).all()
    empty.to_csv(tmp_path / "empty.csv", index=False)
    frame[:20].to_csv(tmp_path / "there.csv", index=False)
    half, whole = (
        LikelihoodTask(num_samples=150, input=str(tmp_path / f"{name}.csv")).run(run) for name in ("empty", "there")
    )
    np.testing.assert_array_equal(-half.arrays["nll"], found)
    assert (half.arrays["nll"][:20] != 0).all()
    assert (half.arrays["effective_samples"][20:] == 150).all()
    assert (half.arrays["khat"][20:] == 0).all()
    for name in ("hb", "iron", "crp", "visits", "site"):  # other draws, of the same rows
        assert half.scalars[f"input/nll/{name}"] == pytest.approx(whole.scalars[f"input/nll/{name}"], abs=0.3)


@pytest.mark.quick
def test_a_column_that_no_training_row_has_is_not_scored():
    """Of few rows with entries removed on purpose there may be one: what its usual value would score is not known."""
    columns = Column("seen", "continuous"), Column("unseen", "binary", values=("x", "y")), Column("empty", "count")
    guessed = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 2.0]])
    each = dict.fromkeys(("mean", "median", "mode", "lower", "upper"), guessed)
    filled = Filled(
        **each, draws=guessed[None], effective=np.ones(2), accepted=np.ones(2), khat=np.zeros(2), columns=columns
    )
    known = Preprocessing((3,), columns=("seen", "unseen", "empty"), table=columns)
    train = np.array([[0.0, np.nan, np.nan], [2.0, np.nan, np.nan]])
    found = scores(filled, "mean", guessed + 1 / 2, np.ones((2, 3), bool), train, known)
    assert list(found["columns"]) == ["seen"]
    assert found["all"]["rmse"] == found["columns"]["seen"]["rmse"] == 0.5
    json.dumps(found, allow_nan=False)


def test_samples_are_a_table(trained):
    """In its own columns, words and units, from Python as from the command; counts as whole numbers."""
    folder, run = trained
    result = SamplesTask(num=60, seed=3, output=str(folder / "drawn.csv")).run(run)
    made = pd.read_csv(folder / "drawn.csv")
    assert list(made.columns) == ["hb", "iron", "crp", "visits", "site"]
    assert set(made["site"]) == {"lyon", "oslo", "rome"}
    assert made["visits"].dtype == np.int64
    assert (made["crp"] > 0).all()
    assert np.corrcoef(made["hb"], made["iron"])[0, 1] > 0.7
    assert result.table.splitlines()[0].split() == list(made.columns)
    assert len(result.table.splitlines()) == 11
    assert result.scalars == {}  # a mean over all columns is of nothing
    drawn = run.sample_table(60, seed=3)
    pd.testing.assert_frame_equal(drawn, made, check_dtype=False)
    numbers = run.sample(60, seed=3)
    np.testing.assert_array_equal(drawn["visits"], numbers[:, 3])
    np.testing.assert_array_equal(drawn["site"], np.array(["lyon", "oslo", "rome"])[numbers[:, 4].astype(int)])
    np.testing.assert_allclose(drawn["iron"], numbers[:, 1], rtol=1e-5)
    assert np.isfinite(run.log_likelihood(drawn, 20)).all()
    with pytest.raises(UserError, match="num=0"):
        run.sample_table(0)


def test_latents_are_decoded_to_rows_that_there_may_be(trained):
    """A mean code of lyon and rome would be oslo."""
    folder, run = trained
    np.save(folder / "latents.npy", np.zeros((300, 3), np.float32))
    SamplesTask(input=str(folder / "latents.npy"), output=str(folder / "decoded.csv")).run(run)
    made = pd.read_csv(folder / "decoded.csv")
    assert made["hb"].std() > 0
    codes = run.decode(np.zeros((1, 3), np.float32))[0, 4]
    shares = made["site"].value_counts(normalize=True)
    assert shares.get("oslo", 0) + 2 * shares.get("rome", 0) == pytest.approx(codes, abs=0.2)


@pytest.mark.parametrize(
    ("names", "named"), [(["0", "1"], False), (["0", "2"], False), (["2", "0"], True), (["0", "a"], True)]
)
def test_columns_of_a_file_without_a_header_have_places_for_names(names, named):
    """Also where one of them was left out."""
    assert named_by([Column(name, "continuous") for name in names]) == named


def test_a_column_that_is_taken_for_another_kind_is_named():
    recorded = {
        "preprocessing": {"table": to_config([Column("day", "binary", values=("a", "b")), Column("x", "count")])}
    }
    current = {"preprocessing": {"table": to_config([Column("x", "count")])}}
    assert other_kinds(recorded, recorded) == other_kinds({}, current) == ""
    assert other_kinds(recorded, current) == " (column day was taken as binary, and is taken as ignored now)"


def test_what_is_drawn_of_a_table_without_a_header_has_none(tmp_path):
    """Else its header, 0 and 1, would be read again as the first row; and whole numbers are written as such."""
    columns = (Column("0", "continuous"), Column("1", "ordinal", values=(1.0, 2.0, 5.0)))
    numbers = np.array([[0.5, 0.0], [1.5, 2.0]])

    class Model:
        def sample(self, *_): ...

    class Drawn:
        model = Model()
        preprocessing = SimpleNamespace(table=columns)
        event_shape = (2,)

        def offers(self, _):
            return False

        def sample(self, num, seed, means):
            assert (num, means) == (2, False)
            return numbers

    SamplesTask(num=2, output=str(tmp_path / "drawn.csv")).run(Drawn())
    assert (tmp_path / "drawn.csv").read_text() == "0.5,1\n1.5,5\n"
    drawn = read_table(str(tmp_path / "drawn.csv"))
    assert (len(drawn.frame), drawn.named) == (2, False)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ({"output": "filled.npz"}, "must end in .csv"),
        ({"input": "absent.csv"}, "is not a file"),
        ({"output": "nowhere/filled.csv"}, "in a folder that is not there"),
    ],
)
def test_wrong_files_are_refused(task, sentence, trained, monkeypatch):
    folder, run = trained
    monkeypatch.chdir(folder)
    with pytest.raises(UserError) as caught:
        ImputationTask(**task).run(run)
    assert sentence in str(caught.value)
    with pytest.raises(UserError, match="fill_table"):
        run.impute(np.zeros((1, 5)))


COLUMNS = (
    Column("code", "count"),
    Column("dose", "continuous"),
    Column("grade", "ordinal", values=(1.0, 2.0)),
    Column("site", "categorical", values=("oslo", "rome; west")),
)


@pytest.mark.parametrize("output", ["filled.csv", "filled.tsv.gz"])
def test_what_was_there_keeps_its_text(output, tmp_path):
    """Ids, long whole numbers, decimals, quotes and the column that pandas numbers rows in, decimal commas and all."""
    path = tmp_path / "in.csv"
    lines = [
        ';id;code;dose;grade;site;"free\ntext"',
        '0;00003;123456789012345678;0,0;1,0;"rome; west";"a\nb"',
        "1;00010;;10,0;;oslo;none",
        "2;00011;7;;2,0;NA;",
    ]
    path.write_text("\n".join(lines) + "\n")
    frame = read_table(str(path)).frame
    texts = own_texts(str(path), str(tmp_path / output))
    numbers = np.array([[0, 0, 0, 0], [12, 0, 1, 0], [0, 2.5, 0, 1]], np.float64)
    gaps = frame[["code", "dose", "grade", "site"]].isna().to_numpy()
    assert gaps.tolist() == [[False] * 4, [True, False, True, False], [False, True, False, True]]
    with open(tmp_path / output, "wb") as file:
        put_rows(file, tmp_path / output, texts, filled_rows(texts, COLUMNS, frame, numbers, gaps))
    expected = "\n".join(lines) + "\n"
    expected = expected.replace("00010;;10,0;;", "00010;12;10,0;2,0;").replace("7;;2,0;NA;", '7;2,5;2,0;"rome; west";')
    if output.endswith(".gz"):
        expected = expected.replace('"rome; west"', "rome| west").replace(";", "\t").replace("|", ";")
        assert gzip.decompress((tmp_path / output).read_bytes()).decode() == expected
    else:
        assert (tmp_path / output).read_text() == expected


@pytest.mark.parametrize(
    ("by_column", "setting"),
    [
        *(
            (True, one)
            for one in ({"parameters": "mean"}, {"method": "pseudo_gibbs"}, {"iterations": 200}, {"warmup": 0})
        ),
        *((True, one) for one in ({"chains": 1}, {"leapfrog_steps": 0}, {"missing": "square"})),
        *((False, one) for one in ({"draws": "chain"}, {"samples": 10}, {"interval": 0.5}, {"guess": "mode"})),
        (False, {"imputations": 81}),
    ],
)
def test_settings_without_use_are_refused(by_column, setting):
    run = SimpleNamespace(preprocessing=SimpleNamespace(table=() if by_column else None))
    ((name, value),) = setting.items()
    with pytest.raises(UserError, match=rf"^task\.{name}={value} (has no use for|must be at most)"):
        ImputationTask(**setting).run(run)


@pytest.mark.quick
def test_arrays_for_a_run_on_a_table_are_refused_by_what_an_evaluation_takes(tmp_path):
    np.savez(tmp_path / "digits.npz", x=np.zeros((3, 2)))
    with pytest.raises(UserError) as error:
        read_table(str(tmp_path / "digits.npz"))
    assert str(error.value) == (
        f"task.input={tmp_path}/digits.npz holds arrays, and the run's data is a table: give a .csv, .tsv or "
        ".parquet table."
    )


def test_a_query_says_that_its_density_is_of_scaled_columns(tmp_path):
    """One Gaussian for each column: the density of `b` in its own units is that told, over the column's scale."""
    rows = np.random.default_rng(0).normal([100, 3], [20, 0.5], (300, 2))
    pd.DataFrame(rows, columns=["a", "b"]).to_csv(tmp_path / "rows.csv", index=False)
    words = [
        "dataset=table",
        f"dataset.path={tmp_path / 'rows.csv'}",
        "model=mixture",
        "model.count=1",
        "trainer.epochs=null",
        "trainer.steps=20",
        "trainer.batch_size=60",
    ]
    sbvi.train(words, tmp_path / "run")
    run = sbvi.load_run(tmp_path / "run")
    found = QueryTask(input=str(tmp_path / "rows.csv"), given=("a",)).run(run)
    assert " (density of the columns less their location, over their scale)" in found.table.splitlines()[0]
    drawn = run.sample(20_000, seed=0)[:, 1]
    own = -0.5 * ((rows[:, 1] - drawn.mean()) / drawn.std()) ** 2 - np.log(drawn.std()) - 0.5 * np.log(2 * np.pi)
    told = found.arrays["log_probability"] - np.log(run.preprocessing.scale[1])
    np.testing.assert_allclose(told, own, rtol=0.05, atol=0.05)  # of 20,000 draws


@pytest.mark.quick
@pytest.mark.parametrize(
    ("types", "cell", "said"),
    [
        ("found", "bern", "column site holds 'bern' in line 5; known: lyon, oslo"),
        ("found", "", "column b holds 'x' in line 6, which is no number"),
        ("numbers", "1", "holds inf at line 5, column b; values must not be NaN or infinite"),
    ],
)
def test_a_wrong_cell_of_ones_own_file_is_told_by_its_line(types, cell, said, tmp_path):
    """As an editor counts: the header is line 1, so that the row 3 of a frame is line 5."""
    sites = ["lyon", "oslo"] if types == "found" else ["0", "1"]
    rows = [f"{i}.5,{sites[i % 2]}\n" for i in range(60)]
    (tmp_path / "seen.csv").write_text("".join(["b,site\n", *rows]))
    rows[3:5] = ["inf,1\n", rows[4]] if types == "numbers" else [f"3.5,{cell}\n", "x,lyon\n" if not cell else rows[4]]
    (tmp_path / "new.csv").write_text("".join(["b,site\n", *rows]))
    run = SimpleNamespace(preprocessing=Table(path=str(tmp_path / "seen.csv"), types=types).load().preprocessing)
    with pytest.raises(UserError) as caught:
        own_dataset(run, *own_values(run, str(tmp_path / "new.csv")))
    assert said in str(caught.value)
