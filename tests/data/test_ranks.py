"""Ranks and categories: those that a user lists, and those that a frame's dtype declares, in memory and in its file."""

import datetime
import io
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import sbvi
from sbvi.core import UserError
from sbvi.data.formats import parquet
from sbvi.data.sources.table import Known
from sbvi.data.tabular import columns as tables
from sbvi.data.tabular.columns import Column, from_config, to_config
from sbvi.data.tabular.kinds import column_kind
from sbvi.runs import frame_files

pytestmark = pytest.mark.quick

N = 60
PICK = np.random.default_rng(0)


def picked(values, dtype=object):
    return pd.Series(PICK.choice(np.array(values, dtype=object), N), dtype=dtype)


def beside(column):
    return pd.DataFrame({"a": np.random.default_rng(1).normal(size=N), "b": column})


def kept(frame, folder):
    """The columns of the frame's own file, as `sbvi.train(x=frame)` keeps it."""
    name, content = frame_files.kept_frame(frame)
    (folder / name).write_bytes(content)
    words = ["dataset=table", f"dataset.path={folder / name}", "likelihood=mixed"]
    return {column.name: column for column in sbvi.Experiment.from_overrides(words).dataset.load().preprocessing.table}


@pytest.mark.parametrize(
    ("ranks", "said"),
    [
        (["q", "p", "p"], "has p twice"),
        (("1", "2", "01"), "has 1 and 01, which are one"),
        ([1, 2, "1.0"], "has 1 and 1.0, which are one"),
        (["True", "TRUE", "p"], "has True and TRUE, which are one"),
    ],
)
def test_a_rank_is_given_once(ranks, said):
    """Of two codes for one value the second has a probability that no value has: these would not sum to 1."""
    with pytest.raises(UserError, match=rf"^dataset\.columns\.k {said}; each rank is given once\.$"):
        column_kind(pd.Series(["q", "p"] * 10, name="k"), ranks, "x")


@pytest.mark.parametrize(
    ("given", "cells", "held"),
    [
        ("[3, 2, 1]", [1, 2, 3], (3.0, 2.0, 1.0)),
        ("[0.5, 10, 2]", [2, 0.5, 10], (0.5, 10.0, 2.0)),
        ("[low, 2, high]", ["high", "2", "low"], ("low", "2", "high")),
        ("['01', '02']", ["02", "01", "01"], (1.0, 2.0)),
    ],
)
def test_ranks_are_numbers_on_the_command_line_too(given, cells, held, tmp_path):
    beside(pd.Series(cells * 20)).to_csv(tmp_path / "x.csv", index=False)
    words = ["dataset=table", f"dataset.path={tmp_path}/x.csv", f"dataset.columns={{b: {given}}}"]
    experiment = sbvi.Experiment.from_overrides([*words, "likelihood=mixed"])
    column = experiment.dataset.load().preprocessing.table[1]
    assert (column.kind, column.values) == ("ordinal", held)
    assert sbvi.Experiment.from_config(experiment.to_config()) == experiment


CATEGORIES = {
    "order": (pd.Categorical(picked([100, 4, None, 30]), [100, 4, 30, 7], ordered=True), "ordinal", (100, 4, 30, 7)),
    "fifteen": (pd.Categorical(picked(range(15)), range(15)[::-1], ordered=True), "ordinal", tuple(range(15)[::-1])),
    "halves": (pd.Categorical(picked([1.5, 2.0, 3.0]), [3.0, 1.5, 2.0], ordered=True), "ordinal", (3, 1.5, 2)),
    "zip": (pd.Categorical(picked([501, 10001, 94110])), "categorical", (501, 10001, 94110)),
    "gaps": (picked([1, 2, None, 5]).astype("category"), "categorical", (1, 2, 5)),
    "narrow": (picked([1, 2, 3], "Int8").astype("category"), "categorical", (1, 2, 3)),
    "float32": (picked([0.5, 0.25, 3], "float32").astype("category"), "categorical", (0.25, 0.5, 3)),
}


@pytest.mark.parametrize("name", CATEGORIES)
def test_categories_of_numbers_are_what_the_dtype_says(name, tmp_path):
    """In memory and in the file that is kept; what is filled in and drawn has categories again."""
    pytest.importorskip("pyarrow")
    cells, kind, values = CATEGORIES[name]
    frame = beside(cells)
    known = Known.of(frame, {}, "x")
    made = known.preprocessing(known.numbers, "deviation").table[1]
    assert (made.kind, made.values, made.category) == (kind, values, True)
    read = kept(frame, tmp_path)["b"]
    assert read == made
    assert from_config(to_config([read])) == (read,)
    stored = parquet.read(tmp_path / "data.parquet")
    pd.testing.assert_frame_equal(stored, frame)
    content = (tmp_path / "data.parquet").read_bytes()
    assert frame_files.same_content(tmp_path / "data.parquet", content)
    turned = frame.assign(b=frame["b"].cat.reorder_categories(frame["b"].cat.categories[::-1]))
    assert frame_files.same_content(tmp_path / "data.parquet", frame_files.kept_frame(turned)[1]) == (kind != "ordinal")
    codes = np.where(np.isnan(known.numbers), 0, known.numbers)
    drawn = tables.framed(known.preprocessing(known.numbers, "deviation").table, codes)["b"]
    assert list(drawn.cat.categories) == list(values)
    assert drawn.cat.ordered == (kind == "ordinal")
    filled = tables.decoded([made], codes[:, 1:], frame, frame[["b"]].isna().to_numpy())["b"]
    assert filled.dtype == frame["b"].dtype
    assert filled.notna().all()


def test_categories_of_numbers_are_left_out_where_texts_would_be():
    many = pd.Series(pd.Categorical(np.arange(N)), name="id")
    assert column_kind(many, None, "x") == ("ignored", (), "categories with 60 different values")
    assert column_kind(many, "count", "x").kind == "count"


def test_columns_that_an_earlier_version_recorded_have_no_categories():
    record = to_config([Column("b", "ordinal", values=(1.0, 2.0))])
    del record[0]["category"]
    (column,) = from_config(record)
    assert tables.framed([column], np.array([[1.0], [0.0]]))["b"].tolist() == [2, 1]
    frame = pd.DataFrame({"b": pd.Categorical([2, 1, 2])})
    np.testing.assert_array_equal(tables.encoded([column], frame, "x")[:, 0], [1, 0, 1])


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (pd.Categorical(picked([7, 9]), [9, 7]), {}),
        (pd.Categorical([3] * N, [1, 3, 4]), {}),
        (pd.Categorical([None] * N, [1, 3, 4]), {}),
        (pd.Categorical(picked([1, 2, 5])), {"b": "ignored"}),
        (pd.Categorical(picked([1, 2, 5])), {"b": "categorical"}),
    ],
)
def test_numbers_that_text_keeps_need_no_parquet(cells, told):
    """Those that are two, one or none, and those of which the user says what they are."""
    assert frame_files.kept_frame(beside(cells), told)[0] == "data.csv"


def test_categories_of_decimals_are_kept_as_floats(tmp_path):
    pytest.importorskip("pyarrow")
    cells = picked([Decimal("0.1"), None, Decimal("0.5"), Decimal(7)])
    for ordered, kind in ((False, "categorical"), (True, "ordinal")):
        read = kept(beside(pd.Categorical(cells, ordered=ordered)), tmp_path)["b"]
        assert (read.kind, read.values, read.category) == (kind, (0.1, 0.5, 7), True)


@pytest.mark.parametrize("days", [pd.to_datetime, lambda texts: [datetime.date.fromisoformat(t) for t in texts]])
def test_days_with_an_order_are_kept(days, tmp_path):
    """They are times, which no model sees, and Parquet gives them back without the categories."""
    pytest.importorskip("pyarrow")
    cells = pd.Categorical(days(["2020-01-01", "2021-01-01", "2022-05-05"] * 20), ordered=True)
    assert list(kept(beside(cells).assign(c=1.5 * np.arange(N)), tmp_path)) == ["a", "c"]


def test_numbers_so_great_that_a_float_has_one_for_two_are_no_ranks():
    great = pd.Categorical(picked([2**53, None, 3, 4]), [2**53, 3, 4])
    assert column_kind(pd.Series(great, name="b"), None, "x").kind == "categorical"
    close = pd.Series(pd.Categorical(picked([2**53, 2**53 + 1, 4]), [2**53, 2**53 + 1, 4], ordered=True), name="b")
    found = column_kind(close, None, "x")
    assert len(set(found.values)) == len(found.values)  # which a float does not tell apart


def test_no_cell_is_lost_of_a_file_that_was_changed_since():
    """Its record of the categories is of the frame that was written."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    def table(values, ordered=False):
        cells = pd.DataFrame({"c": pd.Categorical(values, ordered=ordered)})
        return files.read_table(io.BytesIO(parquet.written(cells)))

    def back(made):
        files.write_table(made, buffer := io.BytesIO())
        return parquet.read(buffer.getvalue())["c"]

    joined = back(pyarrow.concat_tables([table([2, 1]), table([2, 4, 3])]))
    assert joined.tolist() == [2, 1, 2, 4, 3]
    assert list(joined.cat.categories) == [1, 2, 4, 3]
    ordered = back(pyarrow.concat_tables([table([1, 2], True), table([2, 3], True)]))
    assert ordered.tolist() == [1, 2, 2, 3]
    assert ordered.dtype.kind == "i"
    for values in (["u", "v"], [11, 12]):
        assert back(table([1, 2]).set_column(0, "c", pyarrow.array(values))).tolist() == values


@pytest.mark.parametrize("beside", [b"{", b"[1]", b'{"k": 3}', b'{"k": {"values": [1], "dtype": "no", "ordered": 1}}'])
def test_what_others_wrote_beside_a_file_is_not_ours(beside):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    table = pyarrow.table({"k": [1, 2, 1]}).replace_schema_metadata({b"sbvi.categories": beside})
    files.write_table(table, file := io.BytesIO())
    assert parquet.read(file.getvalue())["k"].tolist() == [1, 2, 1]


def test_truth_values_stay_apart_from_numbers(tmp_path):
    """Python takes True for 1; a file of text does not, and there are as many categories in memory."""
    cells = pd.Series([1, "a", 2.5, True] * 15, dtype=object, name="b")
    found = column_kind(cells, None, "x")
    assert found[:2] == ("categorical", (1.0, True, 2.5, "a"))
    assert [type(value) for value in found.values] == [float, bool, float, str]
    column = Column("b", "categorical", values=found.values)
    np.testing.assert_array_equal(column.codes(cells, "x")[:4], [0, 3, 2, 1])
    np.testing.assert_array_equal(column.codes(pd.Series(["1.0", "true"]), "x"), [0, 1])
    assert tables.framed([column], np.arange(4.0)[:, None])["b"].tolist() == list(found.values)
    assert len(kept(beside(cells), tmp_path)["b"].values) == 4
    assert column_kind(pd.Series([True, 1, 0, 2] * 15, dtype=object), None, "x").kind == "categorical"
    assert column_kind(pd.Series([True, 0] * 15, dtype=object), None, "x")[:2] == ("binary", (0.0, True))
    truth = Column("b", "binary", values=(False, True))  # alone among its values each stands for the other
    np.testing.assert_array_equal(truth.codes(pd.Series([1, 0, 1.0]), "x"), [1, 0, 1])
