"""What a user says stands for a missing value is missing, in training data of every form and in later files."""

import logging
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbvi.core import UserError
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.sources.table import Table
from sbvi.data.tabular.marked_numbers import DECIMAL
from sbvi.data.tabular.missing_values import without
from sbvi.runs.experiment import Experiment
from sbvi.tasks.data import own_values

pytestmark = pytest.mark.quick
N = 200
SAID = (-999.0, "unknown")


def frame():
    """Gaps coded in numbers, counts, words, and in a column of numbers by a word; and the same with empty cells."""
    generator = np.random.default_rng(0)
    numbers = [str(value) for value in generator.normal(size=N).round(2)]
    whole = pd.DataFrame(
        {
            "a": generator.normal(size=N).round(3),
            "b": generator.poisson(30, N),
            "c": generator.choice(["x", "y", "z"], N),
            "d": pd.Series(numbers, dtype=object),
        }
    )
    gaps = generator.random((N, 4)) < 0.1
    coded = whole.copy()
    for place, value in enumerate([-999, -999, "unknown", "unknown"]):
        coded.iloc[gaps[:, place], place] = value
    empty = whole.assign(d=whole["d"].astype(float)).mask(gaps)
    return coded, empty, gaps


def held(dataset):
    return np.concatenate([split.x[:] for split in (dataset.train, dataset.validation, dataset.test)])


@pytest.mark.parametrize("form", ["comma", "semicolon", "parquet"])
def test_coded_gaps_are_gaps_in_every_form(form, tmp_path):
    coded, empty, _ = frame()
    path = str(tmp_path / ("x.parquet" if form == "parquet" else "x.csv"))
    if form == "parquet":
        coded.to_parquet(path)
    elif form == "comma":
        coded.to_csv(path, index=False)
    else:
        texts = coded.assign(d=coded["d"].str.replace(".", ","))
        texts.to_csv(path, index=False, sep=";", decimal=",")
    empty.to_csv(tmp_path / "empty.csv", index=False)
    said = Table(path=path, types="found", missing_values=SAID).load()
    other = Table(path=str(tmp_path / "empty.csv"), types="found").load()
    assert [(c.name, c.kind, c.values) for c in said.preprocessing.table] == [
        (c.name, c.kind, c.values) for c in other.preprocessing.table
    ]
    np.testing.assert_array_equal(held(said), held(other))


def test_files_that_come_later_are_read_by_the_run_s_own_record(tmp_path):
    coded, empty, gaps = frame()
    coded.to_csv(tmp_path / "x.csv", index=False)
    made = Table(path=str(tmp_path / "x.csv"), types="found", missing_values=SAID).load().preprocessing
    known = Preprocessing.from_config(made.to_config())
    assert known == made
    values, _ = own_values(SimpleNamespace(preprocessing=known), str(tmp_path / "x.csv"))
    np.testing.assert_array_equal(np.isnan(values), gaps)
    np.testing.assert_array_equal(values[:, 0], empty["a"])
    with pytest.raises(UserError) as caught:
        known.store(np.array([[0.5, 3.0, 1.0, 0.0], [-999.0, 3.0, 1.0, 0.0]]), "x")
    assert str(caught.value) == (
        "x: column a holds -999 in row 1, which dataset.missing_values says is missing; give NaN."
    )


def test_a_value_that_no_cell_holds_is_told(tmp_path, caplog):
    coded, *_ = frame()
    coded.to_csv(tmp_path / "x.csv", index=False)
    with caplog.at_level(logging.INFO):
        Table(path=str(tmp_path / "x.csv"), types="found", missing_values=("-999", "unknwon")).load()
    assert "Taken as missing in dataset.path=" in caplog.text
    assert "x.csv: -999 in a, b." in caplog.text
    assert "x.csv: no column of values holds unknwon of dataset.missing_values." in caplog.text
    with pytest.raises(UserError, match=r"dataset\.missing_values are for tables by column; use dataset\.types=found"):
        Table(path=str(tmp_path / "x.csv"), types="numbers", missing_values=("-999",)).load()


def test_what_is_missing_is_no_category_and_no_rank(tmp_path):
    grade = pd.Categorical(["low", "unknown", "mid", "high"] * 50, ["low", "mid", "high", "unknown"], ordered=True)
    frame = pd.DataFrame({"grade": grade, "b": np.arange(200) % 7 + 0.5})
    made = without(frame["grade"], ["unknown"])
    assert made.dtype.ordered
    assert list(made.cat.categories) == ["low", "mid", "high"]
    assert made.isna().sum() == 50
    order = pd.Series(pd.Categorical(["10", "1", "5", "?"] * 3, ["10", "1", "5", "?"], ordered=True))
    assert list(without(order, ["?"]).cat.categories) == ["10", "1", "5"]  # the order that was declared
    frame.to_csv(tmp_path / "x.csv", index=False)
    said = Table(
        path=str(tmp_path / "x.csv"),
        types="found",
        missing_values=("unknown",),
        columns={"grade": ("low", "mid", "high", "unknown")},
    )
    with pytest.raises(UserError, match=r"^dataset\.columns\.grade has the rank unknown, which dataset"):
        said.load()


@pytest.mark.parametrize(
    ("decimal", "texts", "numbers"),
    [
        (",", ["1,5", "unknown", "2,25"], [1.5, np.nan, 2.25]),
        (",", ["1.234", "unknown", "2.500"], None),  # thousands, or decimals of another file
        (".", ["1.234", "unknown", "2.500"], [1.234, np.nan, 2.5]),
        (".", ["1,234", "unknown", "2.500"], None),
        (".", ["12 %", "unknown", "2"], None),
    ],
)
def test_texts_are_numbers_only_as_their_file_writes_them(decimal, texts, numbers):
    column = pd.Series(texts, dtype=object)
    column.attrs[DECIMAL] = decimal
    made = without(column, ["unknown"])
    if numbers is None:
        assert made.tolist()[::2] == texts[::2]
    else:
        np.testing.assert_array_equal(made, numbers)
    assert made.isna().tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", ["int16", "int64", "float32", "float64", "Int64", "Float32", "string"])
def test_numbers_of_every_dtype(dtype):
    column = pd.Series([7, -999, 8, -999], dtype=dtype)
    assert without(column, ["-999.0"]).isna().tolist() == [False, True, False, True]
    assert without(column, ["8", "x"]).isna().tolist() == [False, False, True, False]
    if dtype.startswith("float"):
        assert without(column / 10, ["0.7"]).isna().tolist() == [True, False, False, False]


def test_numbers_and_words_are_taken_from_the_command_line():
    words = ["dataset=table", "dataset.path=x.csv", "dataset.missing_values=[-999, unknown, 1.50]"]
    assert Experiment.from_overrides(words).dataset.missing_values == (-999, "unknown", 1.5)


@given(
    st.lists(st.one_of(st.integers(-3, 3), st.sampled_from(["1", "x", "01", "2.0", "TRUE"]), st.none()), min_size=1),
    st.sampled_from(["1", "x", "-3", "2", "true"]),
)
def test_a_cell_is_missing_where_it_spells_the_value_and_nowhere_else(cells, value):
    column = pd.Series(cells, dtype=object)
    made = without(column, [value])
    as_number = {"1": 1.0, "-3": -3.0, "2": 2.0}.get(value)

    def spells(cell):
        if as_number is None:
            return isinstance(cell, str) and cell.lower() == value
        try:
            return float(cell) == as_number
        except (TypeError, ValueError):
            return False

    expected = [cell is None or spells(cell) for cell in cells]
    assert made.isna().tolist() == expected
    assert made.index.equals(column.index)
