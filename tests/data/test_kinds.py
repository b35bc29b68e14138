"""Kinds of columns found by looking, their numbers and codes, and the way back to the user's own table."""

import logging
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from sbvi.core import UserError
from sbvi.data import Preprocessing
from sbvi.data.sources.table import Known, Table
from sbvi.data.tabular import columns as tables
from sbvi.data.tabular import kinds
from sbvi.data.tabular.cells import fitting
from sbvi.data.tabular.columns import Column
from sbvi.data.tabular.kinds import column_kind
from sbvi.data.tabular.removal import Removal

pytestmark = pytest.mark.quick

GENERATOR = np.random.default_rng(0)
N = 200
LABORATORY = pd.DataFrame(
    {
        "id": np.arange(1, N + 1),
        "age": GENERATOR.integers(20, 90, N),
        "crp": np.exp(1.5 * GENERATOR.normal(size=N)),
        "visits": GENERATOR.poisson(6, N) + 30 * (GENERATOR.random(N) < 0.2),
        "year": GENERATOR.integers(1990, 2021, N),
        "sex": np.where(GENERATOR.random(N) < 0.5, "f", "m"),
        "site": np.array(["lyon", "oslo", "rome"])[GENERATOR.integers(0, 3, N)],
        "stage": GENERATOR.integers(0, 4, N),
        "hb": 13 + GENERATOR.normal(size=N),
        "name": [f"patient {i}" for i in range(N)],
        "seen": pd.date_range("2020-01-01", periods=N),
        "empty": np.nan,
        "ward": 7,
    }
)
KINDS = {
    "id": "ignored",
    "age": "count",
    "crp": "positive",
    "visits": "count",
    "year": "continuous",
    "sex": "binary",
    "site": "categorical",
    "stage": "ordinal",
    "hb": "continuous",
    "name": "ignored",
    "seen": "ignored",
    "empty": "ignored",
    "ward": "ignored",
}


def with_gaps(seed=1):
    frame = LABORATORY.copy()
    places = np.random.default_rng(seed).random(frame.shape) < 0.2
    places[:, [0, 9, 10, 11, 12]] = False
    return frame.mask(places), places


def written(folder):
    frame, _ = with_gaps()
    frame.to_csv(folder / "laboratory.csv", index=False)
    return str(folder / "laboratory.csv")


@pytest.mark.parametrize("name", KINDS)
def test_kinds_are_found(name):
    assert column_kind(LABORATORY[name], None, "x").kind == KINDS[name]


@pytest.mark.parametrize(
    ("name", "told", "kind", "values"),
    [
        ("age", "continuous", "continuous", ()),
        ("hb", "ignored", "ignored", ()),
        ("stage", "categorical", "categorical", (0.0, 1.0, 2.0, 3.0)),
        ("stage", ("3", "1", "0", "2"), "ordinal", (3.0, 1.0, 0.0, 2.0)),
        ("site", ("rome", "lyon", "oslo"), "ordinal", ("rome", "lyon", "oslo")),
    ],
)
def test_the_users_word_stands(name, told, kind, values):
    assert column_kind(LABORATORY[name], told, "x")[:2] == (kind, values)


def test_categories_that_have_an_order_are_ranks():
    """Of the frame's own, whether all are there or not; two are two values, and the user's word stands."""
    ranks, held = ["low", "mid", "high"], ["mid", "low"] * 5
    made = {
        "grade": pd.Categorical(held, ranks, ordered=True),
        "size": pd.Categorical([10, 1] * 5, [10, 5, 1], ordered=True),
        "free": pd.Categorical(["low", "mid", "high"] * 3 + ["low"], ranks),
        "two": pd.Categorical(held, ["mid", "low"], ordered=True),
        "told": pd.Categorical(held, ranks, ordered=True),
        "ordinal": pd.Categorical([10, 1] * 5, [10, 5, 1], ordered=True),
        "both": pd.Categorical([1, "m"] * 5, [1, "m", 2], ordered=True),
    }
    found = kinds.described(pd.DataFrame(made), {"told": "binary", "ordinal": "ordinal"}, "x")
    assert {name: (kind.kind, kind.values) for name, kind in found.items()} == {
        "grade": ("ordinal", ("low", "mid", "high")),
        "size": ("ordinal", (10.0, 5.0, 1.0)),
        "free": ("categorical", ("high", "low", "mid")),
        "two": ("binary", ("low", "mid")),
        "told": ("binary", ("low", "mid")),
        "ordinal": ("ordinal", (10.0, 5.0, 1.0)),
        "both": ("binary", (1.0, "m")),
    }
    column = kinds.fitted("size", found["size"], np.array([0.0, 2.0]), "standard")
    frame = pd.DataFrame(made)
    np.testing.assert_array_equal(column.codes(frame["size"], "x"), [0, 2] * 5)
    back = tables.decoded([column], np.array([[1.0]] * 10), frame)
    assert list(back["size"]) == [5] * 10
    assert back["size"].dtype == frame["size"].dtype
    # A rank that the caller's order lacks has no place in it.
    widened = fitting(pd.Series(["low", "mid"]), pd.CategoricalDtype(["low", "high"], ordered=True))
    assert list(widened.cat.categories) == ["low", "high", "mid"]
    assert not widened.cat.ordered


def test_ranks_of_words_and_numbers_are_found_among_numbers():
    """What a later file may hold beside the numbers of this one."""
    grade = pd.Series([1.0, 2.0, 2.0, None, 1.0], name="grade")
    kind = column_kind(grade, ("low", "1", "2"), "x")
    assert kind == ("ordinal", ("low", "1", "2"), "as told")
    made = tables.Column("grade", "ordinal", values=kind.values)
    np.testing.assert_array_equal(tables.encoded((made,), grade.to_frame(), "x")[:, 0], [1, 2, 2, np.nan, 1])
    later = pd.DataFrame({"grade": ["low", "2"]})
    np.testing.assert_array_equal(tables.encoded((made,), later, "x")[:, 0], [0, 2])
    assert column_kind(grade, ("1", "2", "1,5"), "x").values == ("1", "2", "1,5")
    great = pd.Series([1234567.0, 2.0], name="grade")
    assert column_kind(great, ("2", "1234567"), "x").values == (2.0, 1234567.0)


@pytest.mark.parametrize(
    ("name", "told", "sentence"),
    [
        ("site", "count", "holds text"),
        ("site", "ordinal", "list its ranks"),
        ("site", ("rome", "lyon"), "holds 'oslo', which is not among its ranks"),
        ("age", "binary", "a binary one has two"),
        ("age", "kind", "allowed: continuous, positive"),
    ],
)
def test_a_wrong_word_is_refused(name, told, sentence):
    with pytest.raises(UserError) as caught:
        column_kind(LABORATORY[name], told, "x")
    assert sentence in str(caught.value)


def test_a_typing_error_among_numbers_is_told(tmp_path, caplog):
    """One cell of text leaves a column of numbers out; the log says which cell, and what to do."""
    x = np.random.default_rng(0).normal(size=200).round(6)
    cells = [f"{value:.6f}" for value in x]
    cells[2], cells[7] = "oops", ""
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"{cell},{value}\n" for cell, value in zip(cells, x, strict=True)))
    with caplog.at_level(logging.INFO, "sbvi"):
        dataset = Table(path=str(path), types="found").load()
    assert [c.name for c in dataset.preprocessing.table] == ["b"]
    assert "text with 199 different values, of which 198 are numbers; line 4 holds 'oops'" in caplog.text
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert (
        "column a is left out, since it holds 'oops' in line 4 among numbers; correct the cell or leave it" in warning
    )
    assert "dataset.columns={a: ignored}" in warning
    caplog.clear()
    Table(path=str(path), types="found", columns={"a": "ignored"}).load()
    assert not [r for r in caplog.records if r.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("numbers", "kind", "why"),
    [
        (["1", "2", "3", "4", "5"], "categorical", "text, of which 5 are numbers; line 9 holds '3o'"),
        (["0"], "binary", "two values, of which 1 are numbers; line 9 holds '3o'"),
    ],
)
def test_a_typing_error_among_few_numbers_is_told(numbers, kind, why, tmp_path, caplog):
    """It makes categories of numbers, each with a logit of its own and no order; the log says by which line."""
    cells = [numbers[row % len(numbers)] for row in range(100)]
    cells[7], cells[11] = "3o", ""
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"{cell},{row % 7}\n" for row, cell in enumerate(cells)))
    with caplog.at_level(logging.INFO, "sbvi"):
        (column, _) = Table(path=str(path), types="found").load().preprocessing.table
    assert column.kind == kind
    assert why in caplog.text
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert f"column a is taken as {kind}, since it holds '3o' in line 9 among numbers; correct the cell" in warning
    assert warning.endswith(f"dataset.columns={{a: {kind}}}.")
    caplog.clear()
    Table(path=str(path), types="found", columns={"a": kind}).load()
    assert not [r for r in caplog.records if r.levelno == logging.WARNING]


def test_categories_without_numbers_among_them_have_no_warning(caplog):
    column_kind(LABORATORY["site"], None, "x")
    column_kind(pd.Series(["yes"] * 99 + ["no"], name="answer"), None, "x")
    column_kind(pd.Series(["1", "2", "3 or more"] * 30, name="children"), None, "x")
    assert not caplog.records


def test_words_that_are_no_numbers_are_left_out_without_a_warning(caplog):
    kind = column_kind(LABORATORY["name"], None, "x")
    assert kind.why == "text with 200 different values"
    half = pd.Series([f"{i}" if i % 2 else f"n{i}" for i in range(200)], name="code")
    assert column_kind(half, None, "x").why == "text with 200 different values"
    assert not caplog.records


@pytest.mark.parametrize("cell", [[1, 2], {"a": 1}, np.zeros(2), 1 + 2j, b"\xff"])
def test_cells_that_are_no_single_real_value_are_refused(cell):
    """Lists are no categories, bytes no words, and of a complex number half would be lost."""
    odd = pd.Series([cell, None, 1.5, 2.5] * 5, name="odd", dtype=complex if isinstance(cell, complex) else object)
    sentence = r"column odd holds .* in row 0; a cell must be a real number, a text"
    with pytest.raises(UserError, match=sentence):
        column_kind(odd, None, "x")
    assert column_kind(odd, "ignored", "x").kind == "ignored"
    for column in (tables.Column("odd", "continuous"), tables.Column("odd", "categorical", values=("1.5", "2.5"))):
        with pytest.raises(UserError, match=sentence):
            tables.encoded((column,), odd.to_frame(), "x")


def test_whole_numbers_beyond_a_float_are_refused():
    held = pd.Series([10**308, -(10**308), 3, 4] * 5, name="odd", dtype=object)
    assert column_kind(held, "continuous", "x").kind == "continuous"
    held.iloc[6] = -(10**309)
    with pytest.raises(UserError, match=r"odd holds a whole number of 1027 bits in row 6"):
        column_kind(held.astype("category"), None, "x")
    with pytest.raises(
        UserError, match=r"column odd holds a whole number of 1027 bits in row 6; allowed: up to 1.797e308"
    ):
        column_kind(held, "continuous", "x")


def test_a_list_of_ranks_and_names_as_the_frame_has_them_are_taken(caplog):
    """From Python the names of columns may be numbers, and ranks a list. How a kind is given is said where one was
    found, and the user can give another."""
    caplog.set_level("INFO")
    frame = pd.DataFrame({0: ["low", "high", "low", "middle"] * 5, 1: np.arange(20) / 7})
    columns = Known.of(frame, {0: ["low", "middle", "high"], "1": "continuous"}, "x").columns
    assert columns["0"][:2] == ("ordinal", ("low", "middle", "high"))
    assert columns["1"].kind == "continuous"
    assert "Where a kind is wrong" not in caplog.text
    Known.of(frame, {1: "continuous"}, "x", correct="columns={NAME: KIND}")
    assert caplog.messages[-1] == "Where a kind is wrong, give it: columns={NAME: KIND}."
    caplog.clear()
    known = Known.of(frame, {0: ["low", "middle", "high"], 1: "continuous"}, "x", recorded=["1"])
    assert [what.why for what in known.columns.values()] == ["as told", "as in the run"]
    assert "Where a kind is wrong" not in caplog.text


@pytest.mark.parametrize(
    ("size", "told", "sentence"),
    [
        (1e31, {}, r"column a holds .*e\+3\d, and it must be at most 1e\+30; give it in another unit"),
        (1e200, {}, r"column a holds .*e\+2\d\d, and it must be at most 1e\+30"),
        (1e-32, {}, r"column a differs by .*e-3\d at most, and it must be at least 1e-30"),
        (1e-200, {"a": "continuous"}, r"column a differs by .*e-\d\d\d at most, and it must be at least 1e-30"),
        (1e-32, {"a": "positive"}, r"column a holds .*e-3\d, and it must be at least 1e-30"),
    ],
)
def test_numbers_that_float32_cannot_hold_are_refused(size, told, sentence):
    """Of deviation 1e-200 squares are 0 and of 1e200 infinite, and means that are computed in float32 are so sooner."""
    frame = pd.DataFrame({"a": size * np.exp(np.random.default_rng(0).normal(size=50))})
    with pytest.raises(UserError, match=sentence):
        Known.of(frame, told, "x")


@pytest.mark.parametrize("size", [1e-27, 1e-9, 1e12, 1e27])
@pytest.mark.parametrize("location", [0.0, 1e12])
def test_columns_of_any_usual_size_are_held_with_deviation_1(size, location):
    """However small their deviation is beside their location, as long as float64 tells the values apart."""
    x = np.random.default_rng(0).normal(size=50) * (size if not location else max(size, 0.1)) + location
    known = Known.of(pd.DataFrame({"a": x}), {}, "x")
    held = known.preprocessing(known.numbers, "deviation").store(known.numbers)
    np.testing.assert_allclose([held.mean(), held.std()], [0, 1], atol=2e-3)


@pytest.mark.parametrize(
    "days",
    [
        pd.to_datetime(["2020-01-01", "2020-02-01", "2020-03-01"]),
        pd.to_datetime(["2020-01-01 10:00", "2020-02-01 11:30"]),
        pd.to_datetime(["2020-01-01 10:00:00.50", "2020-02-01 11:30:00.25", "2020-03-01 11:30:00.00"], utc=True),
        ["2020-01-01T10:00Z", "2020-01-02T10:00Z", "2020-01-02T11:00Z"],
    ],
)
def test_times_are_the_same_in_a_frame_and_in_its_file(days, tmp_path):
    """However few different ones: else a frame that was trained on as its file is refused where it is to be filled."""
    frame = pd.DataFrame({"day": list(days) * 20})
    assert column_kind(frame["day"], None, "x")[::2] == ("ignored", "times")
    frame.to_csv(tmp_path / "x.csv", index=False)
    assert column_kind(pd.read_csv(tmp_path / "x.csv")["day"], None, "x")[::2] == ("ignored", "times")
    texts = frame["day"].astype(str)
    assert column_kind(texts, "categorical", "x").kind == "categorical"
    assert column_kind(pd.Series(["2020-01", "2020-02", "2020-03"] * 9), None, "x").kind == "categorical"


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["01.03.2021", "13.12.2020"], "ignored"),
        (["1/13/2021", "12/1/2020"], "ignored"),
        (["1-3-2021 9:05", "13-12-2020 17:30:01"], "ignored"),
        (["2021/3/1", "2020/12/13"], "ignored"),
        (["1.2.3", "1.2.4"], "binary"),
        (["1/2", "3/4"], "binary"),
        (["01.03-2021", "13.12-2020"], "binary"),
    ],
)
def test_days_are_known_however_they_are_written(cells, kind):
    found = column_kind(pd.Series(cells * 10, name="when"), None, "x")
    assert found.kind == kind
    assert found.why == "times" if kind == "ignored" else "values" in found.why


@pytest.mark.parametrize("cells", [["inf"], ["-inf"], ["inf"] * 50])
@pytest.mark.parametrize("told", [None, {"a": "continuous"}, {"a": "positive"}])
def test_infinity_is_refused_by_its_line(cells, told, tmp_path):
    """Before anything is computed of it: a warning of NumPy's would be an error here."""
    numbers = np.exp(np.random.default_rng(0).normal(size=200)).round(5).astype(str).tolist()
    numbers[150 : 150 + len(cells)] = cells
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"{cell},{i % 7}\n" for i, cell in enumerate(numbers)))
    with pytest.raises(UserError, match=rf"column a holds {cells[0]} in line 152; numbers must be finite"):
        Table(path=str(path), types="found", columns=told).load()


def test_a_column_of_infinity_alone_is_refused_unless_ignored():
    column = pd.Series([np.inf] * 20, name="a")
    with pytest.raises(UserError, match="x: column a holds inf in row 0; numbers must be finite"):
        column_kind(column, None, "x")
    assert column_kind(column, "ignored", "x").why == "as told"


def test_a_table_is_read_split_and_recorded(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "sbvi"):
        dataset = Table(path=written(tmp_path), types="found", labels="ward").load()
    assert "site" in caplog.text
    assert "Left out: id (row numbers)" in caplog.text
    known = dataset.preprocessing
    assert [c.name for c in known.table] == [n for n, kind in KINDS.items() if kind != "ignored"]
    assert Preprocessing.from_config(known.to_config()) == known
    assert 0.1 < np.isnan(dataset.train.x).mean() < 0.3
    train = dataset.train.x[:, [1, 6 + 1]].astype(np.float64)  # crp as logarithms, hb
    np.testing.assert_allclose(np.nanmean(train, 0), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanstd(train, 0), 1, atol=1e-5)
    assert dataset.train.label is not None
    again = Table(path=written(tmp_path), types="found", labels="ward").load()
    assert again.digest() == dataset.digest()


def test_there_and_back_is_the_users_table(tmp_path):
    """Held values with nothing lost; a filled table has the same columns, order, index and dtypes."""
    _, places = with_gaps()
    known = Table(path=written(tmp_path), types="found").load().preprocessing
    columns = known.table
    whole = LABORATORY.set_index(pd.Index([f"row {i}" for i in range(N)]))
    numbers = tables.encoded(columns, whole, "x")
    back = known.to_source(known.store(numbers))
    np.testing.assert_allclose(back, numbers, rtol=1e-5)
    holes = whole.mask(places)
    gaps = np.isnan(tables.encoded(columns, holes, "x"))
    made = tables.decoded(columns, numbers, holes, gaps)
    assert list(made.columns) == list(whole.columns)
    assert (made.index == whole.index).all()
    for name in whole.columns:
        assert made[name].dtype == holes[name].dtype, name
        pd.testing.assert_series_equal(made[name], whole[name].astype(holes[name].dtype), check_dtype=False)
    typed = holes.assign(site=holes["site"].astype("category"), stage=holes["stage"].astype("Int64"))
    made = tables.decoded(columns, numbers, typed, gaps)
    assert made["site"].dtype == typed["site"].dtype
    assert made["stage"].dtype == "Int64"
    assert (made["stage"] == whole["stage"]).all()


def test_truth_values_stay_truth_values():
    column = pd.Series([True, None, False, True], name="smokes", dtype=object)
    kind = column_kind(column, None, "x")
    assert kind[:2] == ("binary", (False, True))
    made = tables.Column("smokes", "binary", values=kind.values)
    frame = column.to_frame()
    codes = tables.encoded((made,), frame, "x")
    np.testing.assert_array_equal(codes[:, 0], [1, np.nan, 0, 1])
    filled = tables.decoded((made,), np.array([[1.0], [0], [0], [1]]), frame, np.isnan(codes))
    assert filled["smokes"].tolist() == [True, False, False, True]
    assert all(isinstance(v, bool) for v in filled["smokes"])


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("site", "bern", "column site holds 'bern' in row 3; known: lyon, oslo, rome"),
        ("crp", -1.0, "column crp holds -1 in row 3; as positive it must hold numbers above 0"),
        ("visits", 2.5, "column visits holds 2.5 in row 3; as count it must hold whole numbers from 0"),
        ("hb", "low", "column hb holds 'low' in row 3, which is no number"),
        ("hb", np.inf, "column hb holds inf in row 3"),
        ("crp", pd.Timedelta("1D"), "column crp holds Timedelta('1 days 00:00:00') in row 3, which is no number"),
    ],
)
def test_a_value_that_a_column_cannot_hold_is_refused(name, value, sentence, tmp_path):
    known = Table(path=written(tmp_path), types="found").load().preprocessing
    wrong = LABORATORY.copy()
    wrong[name] = wrong[name].astype(object)
    wrong.loc[3, name] = value
    with pytest.raises(UserError) as caught:
        known.store(wrong, "x")
    assert sentence in str(caught.value)
    with pytest.raises(UserError, match="x has no column hb"):
        known.store(LABORATORY.drop(columns="hb"), "x")


def test_a_table_by_column_needs_a_likelihood_by_column(tmp_path):
    with pytest.raises(UserError, match=r"use dataset.types=found with model=dlgm likelihood=mixed"):
        Table(path=written(tmp_path), types="numbers", columns={"age": "count"}).load()
    with pytest.raises(UserError, match="has no column weight"):
        Table(path=written(tmp_path), types="found", columns={"weight": "count"}).load()


@pytest.mark.parametrize("mechanism", ["random", "block", "values"])
@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_entries_are_removed_on_purpose(mechanism, fraction):
    x = GENERATOR.normal(size=(3000, 6))
    gone = Removal(mechanism=mechanism, fraction=fraction).places(x)
    assert abs(gone.mean() - fraction) < 0.01
    if mechanism == "values":
        assert all(x[gone[:, d], d].mean() > x[~gone[:, d], d].mean() + 0.4 for d in range(6))
    else:
        assert abs(x[gone].mean() - x[~gone].mean()) < 0.05
    if mechanism == "block":  # neighbours, around the end too
        starts = (gone & ~np.roll(gone, 1, 1)).sum(1)
        assert (starts <= 1).all()
    assert not Removal().places(x).any()


@pytest.mark.parametrize("mechanism", ["random", "block", "values"])
@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_of_a_column_with_gaps_as_great_a_share_is_removed(mechanism, fraction):
    """A share of the entries that are there; great values do not rank below those that are missing."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=(20_000, 4))
    for column, gaps in enumerate((0.0, 0.3, 0.8)):
        x[generator.random(len(x)) < gaps, column] = np.nan
    x[:, 3] = np.nan
    gone, there = Removal(mechanism=mechanism, fraction=fraction).places(x), ~np.isnan(x)
    for column in range(3):
        held = there[:, column]
        error = np.sqrt(fraction * (1 - fraction) / held.sum())
        assert abs(gone[held, column].mean() - fraction) < 5 * error
        if mechanism == "values":
            left = held & ~gone[:, column]
            assert x[held & gone[:, column], column].mean() > x[left, column].mean() + 0.4


def test_great_whole_numbers_are_no_counts():
    """A rate of counts has a logarithm of at most 15, beyond which nothing could be filled in."""
    great = pd.Series(np.random.default_rng(0).integers(10**8, 10**9, 60), name="people")
    assert column_kind(great, None, "x").kind == "continuous"
    assert column_kind(great, "positive", "x").kind == "positive"
    with pytest.raises(UserError, match=r"people holds 9.*e\+08, and .* reaches to 1,000,000"):
        column_kind(great, "count", "x")
    assert column_kind(great // 1000, None, "x").kind == "count"


RANKS = tables.Column("rank", "ordinal", values=(1.0, 2.0, 3.0))
ACCOUNT = tables.Column("account", "categorical", values=(1234567.0, 1234568.0, 12345678.25))
TOWN = tables.Column("town", "categorical", values=("01", "02", "0A"))
DOSE = tables.Column("dose", "binary", values=(0.1, 0.2))
#: As a text file has it of a frame's days, and of its times with parts of seconds.
DAY = tables.Column("day", "categorical", values=("2020-01-01", "2020-01-02"))
TIME = tables.Column("time", "binary", values=("2020-01-01 10:00:00.250", "2020-01-01 11:00:00.000"))
DAYS = pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02", None]))
#: Of categories that are float32, which a cast to them gives.
DOSES = pd.CategoricalDtype(pd.Index([0.1, 0.2], dtype="float32"))
TIMES = pd.Series(pd.to_datetime(["2020-01-01 10:00:00.250", "2020-01-01 11:00", None], format="mixed"))


@pytest.mark.parametrize(
    ("column", "cells", "codes", "filled"),
    [
        (RANKS, pd.Series(["01", None, "03"]), [0, 1, 2], ["01", "2", "03"]),
        (RANKS, pd.Series(["1", None, "2"], dtype="category"), [0, 1, 1], ["1", "2", "2"]),
        (RANKS, pd.Series(["1", None], dtype="category"), [0, 2], ["1", "3"]),
        (ACCOUNT, pd.Series(["1234567", None, None]), [0, 1, 2], ["1234567", "1234568", "12345678.25"]),
        (TOWN, pd.Series([1, None, 2.0]), [0, 0, 1], [1.0, 1.0, 2.0]),
        (TOWN, pd.Series([1, None]), [0, 2], [1.0, "0A"]),
        (TOWN, pd.Series([np.nan, np.nan]), [1, 2], ["02", "0A"]),
        (TOWN, pd.Series([None, "01"], dtype=pd.CategoricalDtype(["01"])), [2, 0], ["0A", "01"]),
        (DAY, DAYS, [0, 1, 1], list(DAYS[[0, 1, 1]])),
        (TIME, TIMES, [0, 1, 0], list(TIMES[[0, 1, 0]])),
        (DOSE, pd.Series([0.1, None], dtype="float32"), [0, 1], [np.float32(0.1), np.float32(0.2)]),
        (DOSE, pd.Series([0.2, None], dtype="Float32"), [1, 0], [np.float32(0.2), np.float32(0.1)]),
        (DOSE, pd.Series(pd.Categorical.from_codes([0, -1], dtype=DOSES)), [0, 1], [np.float32(0.1), np.float32(0.2)]),
        (
            DOSE,
            pd.Series([*DOSES.categories.values, None], dtype=object),
            [0, 1, 0],
            np.float32([0.1, 0.2, 0.1]).tolist(),
        ),
        (tables.Column("n", "count"), pd.Series([100, None], dtype="Int8"), [100, 300], [100, 300]),
        (tables.Column("t", "binary", values=("TRUE", "unknown")), pd.Series([True, None]), [0, 1], [True, "unknown"]),
    ],
)
def test_a_frame_may_spell_or_hold_categories_otherwise(column, cells, codes, filled):
    """What a file read as 1.0 is 01 in another, and dtypes that cannot hold what is filled in are widened."""
    frame = cells.to_frame(column.name)
    found = tables.encoded((column,), frame, "x")[:, 0]
    gaps = cells.isna().to_numpy()
    np.testing.assert_array_equal(found[~gaps], np.asarray(codes)[~gaps])
    made = tables.decoded((column,), np.asarray(codes, np.float64)[:, None], frame, gaps[:, None])
    assert made[column.name].tolist() == filled


def test_spellings_that_are_two_categories_are_not_taken_for_one_another():
    column = tables.Column("code", "categorical", values=("01", "1", "x"))
    with pytest.raises(UserError, match="known: 01, 1, x"):
        tables.encoded((column,), pd.DataFrame({"code": [1.0]}), "x")
    assert tables.encoded((column,), pd.DataFrame({"code": ["1"]}), "x")[0, 0] == 1


def test_a_list_of_categories_has_as_many_entries_as_there_are(caplog):
    """Those with commas, quotes or spaces around them stand in quotes, in the log's table and in what is refused."""
    texts = ["blue, dark", 'say "x"', " red", "green", "two words", "x;y"]
    shown = """' red', 'blue, dark', green, 'say "x"', two words, x;y"""
    frame = pd.DataFrame({"colour": texts * 4, "size": GENERATOR.normal(size=24)})
    with caplog.at_level(logging.INFO):
        known = Known.of(frame, {}, "x")
    assert f"text: {shown}\n" in caplog.text
    made = Column("colour", "categorical", values=known.columns["colour"].values)
    with pytest.raises(UserError) as caught:
        made.codes(pd.Series(["dark"], name="colour"), "x")
    assert str(caught.value) == f"x: column colour holds 'dark' in row 0; known: {shown}."
    with pytest.raises(UserError, match=r"holds 'b', which is not among its ranks 'a, b', c\.$"):
        column_kind(pd.Series(["b", "c", "b", "c"], name="colour"), ["a, b", "c"], "x")


def test_a_whole_number_between_ranks_is_answered_with_what_takes_it():
    frame = pd.DataFrame({"kids": [0.0, 6.0], "step": [0.5, 0.5]})
    ranks = tables.Column("kids", "ordinal", values=(0.0, 1.0, 5.0))
    said = r"holds 6\.0 in row 1; known: 0, 1, 5; a run trained with 'dataset.columns={kids: count}' takes every whole"
    with pytest.raises(UserError, match=said):
        tables.encoded((ranks,), frame, "x")
    for other in (-1.0, 2.5):
        with pytest.raises(UserError, match=r"known: 0, 1, 5\.$"):
            tables.encoded((ranks,), frame.assign(kids=other), "x")
    for column in (
        tables.Column("kids", "ordinal", values=(-1.0, 0.0)),
        tables.Column("kids", "binary", values=(0.0, 1.0)),
    ):
        with pytest.raises(UserError, match=r"known: [-01, ]+\.$"):
            tables.encoded((column,), frame, "x")


def test_numbers_are_told_in_all_digits():
    with pytest.raises(UserError, match=r"column n holds 1000000\.5 in row 0; as count it must hold whole numbers"):
        tables.store((tables.Column("n", "count"),), np.array([[1000000.5]]), "x")
    told = kinds.table({"account": kinds.ColumnKind("categorical", ACCOUNT.values, "asked")}, {"account": 0.0})
    assert told.endswith("asked: 1234567, 1234568, 12345678.25")


def test_an_unknown_number_is_told_as_it_is():
    """By no name of NumPy's, and ranks by the numbers that they are."""
    for dtype in (np.int64, np.float64, "Int8", object):
        with pytest.raises(
            UserError, match=r"^x: column rank holds 7(\.0)? in row 1; known: 1, 2, 3; a run trained with "
        ):
            tables.encoded((RANKS,), pd.DataFrame({"rank": pd.Series([1, 7], dtype=dtype)}), "x")


def test_digits_are_of_the_deviation_where_that_is_small():
    times = tables.Column("t", "continuous", 1.6e9, 10.0)
    assert times.decoded(np.array([1600000012.3456])).tolist() == [1600000012.35]
    near = tables.Column("t", "continuous", 13.0, 0.8)
    assert near.decoded(np.array([13.2345678, 0.0, -1.23456789e-9, np.nan])).tolist()[:3] == [13.2346, 0, -1.23457e-9]


def test_columns_of_one_name_are_refused():
    frame = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["a", 1, "1"])
    with pytest.raises(UserError, match="frame has more than one column named 1"):
        tables.encoded((), frame, "frame")


@pytest.mark.parametrize(
    ("dtype", "value", "wider", "held"),
    [
        ("UInt8", 300.2, "Int64", 300),
        ("UInt8", -1.0, "Int64", -1),
        ("Int8", 300.2, "Int64", 300),
        ("Int8", 7.0, "Int8", 7),
        ("uint8[pyarrow]", 300.2, "Int64", 300),
        ("int64[pyarrow]", 300.2, "int64[pyarrow]", 300),
        ("Int64", 1e300, "float64", 1e300),
        ("float16", 70000.0, "float64", 70000.0),
        ("float16", 0.5, "float16", 0.5),
    ],
)
def test_a_dtype_that_cannot_hold_what_is_filled_in_is_widened(dtype, value, wider, held):
    """To one of numbers: a column of objects is none, and infinity is no number of the model's."""
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": pd.Series([1, None, 3], dtype=dtype)})
    column, numbers = tables.Column("a", "continuous"), np.array([[1.0], [value], [3.0]])
    made = tables.decoded((column,), numbers, frame, np.array([[False], [True], [False]]))
    assert str(made["a"].dtype) == wider
    assert made["a"].tolist() == [1, held, 3]


@pytest.mark.parametrize("dtype", ["float16", "float32", "Float32"])
def test_a_narrow_number_is_the_category_that_its_text_is(dtype):
    """A file of text keeps the float32 0.1 as 0.1; of Parquet it is 0.10000000149."""
    narrow = pd.Series([0.2, np.nan, 0.1], dtype=dtype)
    for first in (0.1, float(np.dtype(dtype.lower()).type(0.1))):
        found = Column("a", "binary", values=(first, 0.2)).codes(narrow, "x")
        np.testing.assert_array_equal(found, [1, np.nan, 0])
    with pytest.raises(UserError, match=r"^x: column a holds 0\.3 in row 0; known: 0\.1, 0\.2\.$"):
        Column("a", "binary", values=(0.1, 0.2)).codes(pd.Series([0.3], dtype=dtype), "x")


def test_a_narrow_number_of_arrows_is_one_too():
    pytest.importorskip("pyarrow")
    narrow = pd.Series([0.2, None, 0.1], dtype="float[pyarrow]")
    np.testing.assert_array_equal(DOSE.codes(narrow, "x"), [1, np.nan, 0])


@pytest.mark.parametrize("arrow", [False, True])
def test_decimals_beside_what_is_filled_in_are_floats(arrow):
    """Python adds no float to a Decimal; Arrow's dtype of decimals takes what is filled in by itself."""
    cells = [Decimal("1.25"), None, Decimal("0.5"), Decimal(3)] * 5
    dtype = object
    if arrow:
        pyarrow = pytest.importorskip("pyarrow")
        dtype = pd.ArrowDtype(pyarrow.decimal128(10, 2))
    frame = pd.DataFrame({"a": pd.Series(cells, dtype=dtype), "b": np.arange(20) / 7})
    known = Known.of(frame, {"a": "continuous"}, "x")
    columns = known.preprocessing(known.numbers, "deviation").table
    values = np.where(np.isnan(known.numbers), 2.0, known.numbers)
    made = tables.decoded(columns, values, frame, np.isnan(known.numbers))["a"]
    assert float(made.sum()) == 5 * 6.75
    assert arrow or made.dtype == np.float64
    whole = frame.dropna().reset_index(drop=True)
    np.testing.assert_array_equal(tables.decoded(columns, values[:15], whole, np.zeros((15, 2), bool)), whole)


def test_a_count_beyond_its_law_has_a_warning(caplog):
    """Of training rows it is refused; new ones are scored, and the log names column and row."""
    column, frame = Column("c", "count"), pd.DataFrame({"c": [3, 10**9, 1_000_000]})
    with caplog.at_level(logging.WARNING, "sbvi"):
        tables.store([column], tables.encoded([column], frame, "x"), "x")
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "x: column c holds 1000000000 in row 1; the law of a count reaches to 1,000,000"
    )


@pytest.mark.parametrize(
    ("step", "become", "kind"), [(7, 1, "ignored"), (70, 5, "ignored"), (700, 41, "continuous"), (1 << 10, 60, None)]
)
def test_whole_numbers_that_are_one_as_floats_are_told(step, become, kind, caplog):
    cells = pd.Series([2**62 + step * i for i in range(60)], name="a")
    for column in (cells, cells.astype(object), cells.astype("Int64")):
        caplog.clear()
        found = column_kind(column, None, "x")
        assert (f"(60 beyond 2^53 become {become}); give them with a letter" in caplog.text) == (kind is not None)
        assert kind is None or found.kind == kind
        assert (found.why == "whole numbers that float64 cannot tell apart") == (kind == "ignored")
