"""Files that users have: as many rows out as lines in, or a refusal that names the line."""

import copy
import datetime
import gzip
import sys

import numpy as np
import pandas as pd
import pytest

from sbvi.core import UserError
from sbvi.data.checks import Lines
from sbvi.data.formats.own_files import read_own
from sbvi.data.tabular.columns import Column
from sbvi.runs.frame_files import kept_frame
from sbvi.tasks.files import read_array, read_values

NAN = np.nan

# name -> (content, values, names)
READ = {
    "plain.csv": ("1,2\n3,4\n", [[1, 2], [3, 4]], None),
    "no-end.csv": ("1,2\n3,4", [[1, 2], [3, 4]], None),
    "header.csv": ("a,b\n1,2.5\n", [[1, 2.5]], ("a", "b")),
    "SHOUTED.CSV": ("a,b\n1,2\n", [[1, 2]], ("a", "b")),
    "bom.csv": ("\ufeffx,y\n1,2\n", [[1, 2]], ("x", "y")),
    "german.csv": ("x;y\n1,5;2\nNA;-0,25\n", [[1.5, 2], [NAN, -0.25]], ("x", "y")),
    "semicolons.csv": ("1.5;2\n3;4\n", [[1.5, 2], [3, 4]], None),
    "tabs.tsv": ("a\tb\n1\t2\n", [[1, 2]], ("a", "b")),
    "tabs.csv": ("1\t2,5\n3\t4\n", [[1, 2.5], [3, 4]], None),
    "windows.csv": ("1,2\r\n3,4\r\n", [[1, 2], [3, 4]], None),
    "old-mac.csv": ("1,2\r3,4\r", [[1, 2], [3, 4]], None),
    "quoted.csv": ('"a, b","c"\n"1","2"\n', [[1, 2]], ("a, b", "c")),
    "spaced.csv": ("1, 2\n3, 4\n", [[1, 2], [3, 4]], None),
    "missing.csv": ("1,NA\n?,-\nnull,\nNaN,None\n", [[1, NAN], [NAN, NAN], [NAN, NAN], [NAN, NAN]], None),
    "one-column.csv": ("1\n\n3\n", [[1], [NAN], [3]], None),
    "one-column-end.csv": ("1\n2\n\n", [[1], [2], [NAN]], None),
    "blank-end.csv": ("1,2\n3,4\n\n \n", [[1, 2], [3, 4]], None),
    "numpy-header.csv": ("# a,b\n1,2\n", [[1, 2]], ("a", "b")),
    "index.csv": (",a\n0,5\n1,6\n", [[5], [6]], ("a",)),
    "index-and-counts.csv": (",0,1\n0,5,6\n1,7,8\n", [[5, 6], [7, 8]], ("0", "1")),
    "counts.csv": ("0,1,2,3,4,5,6,7\n" + "9,8,7,6,5,4,3,2\n", [[9, 8, 7, 6, 5, 4, 3, 2]], tuple("01234567")),
    "short-counts.csv": ("0,1,2\n3,4,5\n", [[0, 1, 2], [3, 4, 5]], None),
    "target.csv": ("0,1,target\n3,4,5\n", [[3, 4, 5]], ("0", "1", "target")),
    "bools.csv": ("a,b\nTrue,1\nFalse,0\n", [[1, 1], [0, 0]], ("a", "b")),
    "large.csv": ("18446744073709551615,1\n", [[2.0**64, 1]], None),
    "signed-zero.csv": ("1e-3,+2\n-0.0,.5\n", [[1e-3, 2], [0, 0.5]], None),
}


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("packed", ["", ".gz", ".GZ"])
def test_tables_are_read_whole(name, packed, tmp_path):
    content, values, names = READ[name]
    path = tmp_path / (name + packed)
    data = content.encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    table = read_own(str(path), "input")
    np.testing.assert_array_equal(table.values(), values)
    assert table.names() == names


REFUSED = {
    "comment.csv": ("1,2\n#3,4\n5,6\n", "column 0 holds '#3' in line 2, which is no number"),
    "comment-first.csv": ("#1,2\n3,4\n", "line 1 begins with #"),
    "blank.csv": ("1,2\n\n3,4\n", "line 2 is empty"),
    "short.csv": ("1,2\n3\n", "line 2 has 1 fields, and the first line has 2"),
    "long.csv": ("1,2\n3,4,5\n", "line 2 has 3 fields, and the first line has 2"),
    "trailing.csv": ("a,b\n1,2,\n", "line 2 has 3 fields"),
    "text.csv": ("a,b\n1,2\n3,x\n", "column b holds 'x' in line 3, which is no number"),
    "typing.csv": ("1x,2\n3,4\n", "line 1 holds '1x' among numbers"),
    "twice.csv": ("a,a\n1,2\n", "more than one column named a"),
    "lines.csv": ('a,b\n"1\n2",3\n4,5\n', "column a holds '1\\n2' in row 0, which is no number"),
    "quote.csv": ('1,2\n"3,4\n', "line 2"),
    "nothing.csv": ("", "is empty"),
    "blanks.csv": ("\n\n", "is empty"),
    "names.csv": ("a,b\n", "holds a header and no rows"),
    "nul.csv": ("1,2\n\0,4\n", "is not a text file"),
    "table.xlsx": ("1,2\n", "must end in .npz, .npy, .csv"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_one_sentence(name, tmp_path):
    content, sentence = REFUSED[name]
    (tmp_path / name).write_text(content, newline="")
    with pytest.raises(UserError) as caught:
        read_array(str(tmp_path / name))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_was_understood_is_logged_in_one_line(tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "x.csv").write_text("a;b\n1,5;NA\n2;3\n")
    read_own(str(tmp_path / "x.csv"), "input")
    words, record = caplog.records
    assert words.getMessage() == "Taken as missing in input: NA in b."
    expected = "x.csv: 2 rows, 2 columns, 1 missing, float64 (semicolon-separated, decimal comma, a header)."
    assert record.getMessage().endswith(expected)


def test_spellings_of_gaps_are_looked_for_in_every_part(tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO")
    monkeypatch.setattr("sbvi.data.formats.text_tables.PART", 2)
    (tmp_path / "x.csv").write_text("a,b,c\n1,2,3\n4,5,NA\n6,?,7\n,8,9\n-,8,9\n")
    read_own(str(tmp_path / "x.csv"), "input")
    assert caplog.records[0].getMessage() == "Taken as missing in input: NA in c; ? in b; - in a."


def test_a_field_in_quotes_may_have_several_lines(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('"dose, in\nmg",note\n1,"one, or\ntwo"\n2,plain\n,"a ""word""\n\nbelow"\n\n')
    table = read_own(str(path), "input")
    assert table.names() == ("dose, in\nmg", "note")
    assert table.frame["note"].tolist() == ["one, or\ntwo", "plain", 'a "word"\n\nbelow']
    np.testing.assert_array_equal(table.frame.iloc[:, 0], [1, 2, NAN])


def test_categories_that_read_like_gaps_stay(tmp_path, caplog):
    """In columns of text what pandas takes as missing by default is missing, and no more."""
    caplog.set_level("INFO")
    path = tmp_path / "x.csv"
    path.write_text("pain,dose,sign,only\nnone,1,?,none\nmild,-,NA,\nmissing,none,-,missing\n,2.5,.,none\nNONE,.,+,\n")
    frame = read_own(str(path), "input").frame
    expected = pd.read_csv(path)
    for name in ("pain", "sign", "only"):
        assert frame[name].fillna("<gap>").tolist() == expected[name].fillna("<gap>").tolist(), name
    assert frame["pain"].dropna().tolist() == ["none", "mild", "missing", "NONE"]
    np.testing.assert_array_equal(frame["dose"], [1, NAN, NAN, 2.5, NAN])
    said = "Taken as missing in input: - in dose; none in dose; . in dose; NA in sign."
    assert caplog.records[0].getMessage() == said


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_other_encodings(encoding, tmp_path):
    (tmp_path / "x.csv").write_bytes("größe,b\n1,2\n".encode(encoding))
    table = read_own(str(tmp_path / "x.csv"), "input")
    assert table.names() == ("größe", "b")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([b"caf\xe9,1", "naïve,2".encode(), "café,3".encode()], (2, "naÃ¯ve", "naïve")),
        (["à b,1".encode(), b"caf\xe9,2"], (1, "Ã\xa0", "à")),
        ([b"caf\xe9,1", b"na\xefve,2", b"plain,3"], None),
        (["café,1".encode(), "naïve,2".encode()], None),
    ],
)
def test_lines_of_utf_8_in_another_encoding_are_warned_of(lines, said, tmp_path, caplog):
    (tmp_path / "x.csv").write_bytes(b"\r\n".join(lines))
    read_own(str(tmp_path / "x.csv"), "input")
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    sentence = (
        "input is not UTF-8 and is read as Windows-1252, but line {} is UTF-8, so that its {} is likely {} and is "
        "taken for another word; save the file in one encoding."
    )
    assert told == ([sentence.format(*said)] if said else [])


def test_every_float_comes_back_to_the_last_bit(tmp_path):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(500, 4)) * 10.0 ** generator.integers(-30, 30, (500, 4))
    (tmp_path / "x.csv").write_text("\n".join(",".join(map(repr, row)) for row in x.tolist()))
    np.testing.assert_array_equal(read_array(str(tmp_path / "x.csv")), x)


def test_parquet(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, None]})
    frame.to_parquet(tmp_path / "X.PARQUET")
    table = read_own(str(tmp_path / "X.PARQUET"), "input")
    np.testing.assert_array_equal(table.values(), [[1, 0.5], [2, NAN]])
    assert table.names() == ("a", "b")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"is not a readable \.parquet file"):
        read_own(str(tmp_path / "bad.parquet"), "input")


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "x.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"needs pyarrow, which is not installed: pip install 'sbvi\[parquet\]'"):
        read_own(str(tmp_path / "x.parquet"), "input")


@pytest.mark.parametrize(
    "times",
    [
        pd.to_datetime(["2020-01-01", None]),
        pd.to_datetime(["2020-01-01", None], utc=True),
        pd.to_timedelta([1, None], "h"),
        pd.PeriodIndex(["2020", None], freq="Y"),
    ],
)
def test_times_are_no_numbers(times, tmp_path):
    """pandas would count them in their dtype's unit, the missing one as -9e18."""
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [1.5, 2.0], "t": times})
    frame.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"column t holds '.*' in row 0, which is no number"):
        read_own(str(tmp_path / "x.parquet"), "x").values()
    with pytest.raises(UserError, match=r"column t holds .* in row 0, which is no number"):
        Column("t", "continuous").codes(frame["t"], "x")


def test_an_index_with_a_name_is_said_to_be_left_out(tmp_path, caplog):
    pytest.importorskip("pyarrow")
    caplog.set_level("INFO")
    frame = pd.DataFrame({"k": ["x", "y"], "t": [1, 2], "a": [1.5, 2.0]})
    for index, said in ((["k", "t"], "parquet, its index k, t left out"), ([], "parquet")):
        (frame.set_index(index) if index else frame).to_parquet(tmp_path / "x.parquet")
        read_own(str(tmp_path / "x.parquet"), "x")
        assert caplog.messages[-1].endswith(f"({said}).")


def test_columns_are_found_by_name(tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "x.csv").write_text("c,label,a,b\n3,9,1,2\n6,9,4,5\n")
    x, named, _ = read_values(str(tmp_path / "x.csv"), ("a", "b", "c"))
    np.testing.assert_array_equal(x, [[1, 2, 3], [4, 5, 6]])
    assert named == ("a", "b", "c")
    assert "Columns left out: label." in caplog.text
    with pytest.raises(UserError, match="has no column d, which the run was trained on"):
        read_values(str(tmp_path / "x.csv"), ("a", "d"))
    (tmp_path / "y.csv").write_text("1,2,3\n4,5,6\n")
    assert read_values(str(tmp_path / "y.csv"), ("a", "b", "c"))[1] is None


def test_a_path_that_is_too_long_or_from_home(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="cannot be read \\(File name too long\\)"):
        read_array("x" * 5000 + ".csv")
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "x.npy", np.eye(3))
    np.testing.assert_array_equal(read_array("~/x.npy"), np.eye(3))


def test_nothing_pickled_is_read(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"is not a readable \.npy file of plain arrays"):
        read_array(str(tmp_path / "x.npy"))


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_bytes_of_no_kind_are_not_said_to_be_pickled(tmp_path, name):
    """NumPy takes them for that, and tells how to load them unsafely."""
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match=r"plain arrays \(it does not begin as one\)"):
        read_array(str(tmp_path / name))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("colour,size\nred,small\nblue,large\nred,large\nred,small\n", ["colour", "size"]),
        ("red,small\nblue,large\nred,large\nred,small\n", [0, 1]),
        ("ann,small\nbob,large\ncid,tall\n", [0, 1]),
    ],
)
def test_words_over_words_are_names_where_only_those_below_repeat(text, names, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    frame = read_own(str(tmp_path / "x.csv"), "x").frame
    assert list(frame.columns) == names
    assert len(frame) == text.count("\n") - (names[0] != 0)


FRAMES = {
    "numbered": pd.DataFrame(np.arange(12.0).reshape(4, 3)),
    "words": pd.DataFrame({"colour": ["red", "blue", "red", "red"], "size": [1, 2, None, 4]}),
    "separators": pd.DataFrame({"a;b": [1.5, 2.5, None], "c": ["x;y", 'say "z"', None]}),
    "many": pd.DataFrame(np.arange(20.0).reshape(2, 10)),
    "separators below no header": pd.DataFrame({0: ["a;b", "c", "d"], 1: [1.5, 2.5, 3.0]}),
    "days as names": pd.DataFrame(np.eye(3), columns=pd.date_range("2020", periods=3)),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_in_memory_is_kept_as_it_is(name, tmp_path):
    kept_as, content = kept_frame(FRAMES[name])
    assert kept_as.endswith(".csv")
    (tmp_path / "x.csv").write_bytes(content)
    read = read_own(str(tmp_path / "x.csv"), "x").frame
    kept = FRAMES[name].set_axis(read.columns, axis=1)
    assert list(map(str, read.columns)) == list(map(str, FRAMES[name].columns))
    pd.testing.assert_frame_equal(read, kept, check_dtype=False)


LONG = "x," * 100_000


@pytest.mark.parametrize(
    ("column", "held"),
    [
        ("#a", [1.5, 2.0, 3.0]),  # names that lose their mark or space
        (" a", [1.5, 2.0, 3.0]),
        ("a\r", [1.5, 2.0, 3.0]),
        ("a\rb", ["x", "y", "x"]),
        ("a", ["x\ry", "x\r\ny", "z"]),  # ends of lines that become others
        ("a", ["x\0y", "x", "y"]),
        ("a", [LONG, "x", "y"]),  # which csv does not read
        ("a", pd.period_range("1990", periods=3, freq="Y")),  # times, which would be numbers
    ],
)
def test_a_frame_that_text_would_alter_is_kept_as_parquet(column, held, tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({column: held, "b": [0.5, 1.5, None]})
    kept_as, content = kept_frame(frame)
    assert kept_as.endswith(".parquet")
    (tmp_path / "x.parquet").write_bytes(content)
    pd.testing.assert_frame_equal(read_own(str(tmp_path / "x.parquet"), "x").frame, frame)


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        ([1820, 1821], [[1.5, 2.5], [3.5, 4.5]]),
        (["size", 1819, 1820], [[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]]),
        (["a", "inf"], [[1.5, 2.5], [3.5, 4.5]]),
        (["true", "a"], [[1.5, 2.5], [3.5, 4.5]]),
        (["name", "town"], [["ann", "bonn"], ["bob", "rome"]]),  # as a first row of words is
    ],
)
def test_names_that_look_like_a_row_are_names_all_the_same(names, rows, tmp_path):
    """What a frame says of its names is certain; text would leave it to a guess, which was refused."""
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(rows, columns=names)
    kept_as, content = kept_frame(frame)
    assert kept_as.endswith(".parquet")
    (tmp_path / kept_as).write_bytes(content)
    read = read_own(str(tmp_path / kept_as), "x")
    assert read.named
    pd.testing.assert_frame_equal(read.frame, frame.set_axis(list(map(str, names)), axis=1))


def test_what_sentences_call_a_file_can_be_copied():
    again = copy.deepcopy(Lines("x.csv", 2))
    assert (again, again.first_line) == ("x.csv", 2)


def test_what_is_said_of_a_header_of_numbers_helps(tmp_path):
    """A word for each name, and Parquet, are read with their names."""
    frame = pd.DataFrame({"size": [1.5, 2.5], "1819": [3.5, 4.5], "1820": [5.5, 6.5]})
    frame.to_csv(tmp_path / "x.csv", index=False)
    sentence = r"call them by words alone \(as y_1819\) or give the table as \.parquet\.$"
    with pytest.raises(UserError, match=sentence):
        read_own(str(tmp_path / "x.csv"), "x")
    worded = frame.set_axis(["size", "y_1819", "y_1820"], axis=1)
    worded.to_csv(tmp_path / "words.csv", index=False)
    pd.testing.assert_frame_equal(read_own(str(tmp_path / "words.csv"), "x").frame, worded, check_dtype=False)
    pytest.importorskip("pyarrow")
    frame.to_parquet(tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(read_own(str(tmp_path / "x.parquet"), "x").frame, frame)


def test_intervals_and_sparse_columns_are_kept_beside_texts_that_look_like_numbers(tmp_path):
    pytest.importorskip("pyarrow")
    values = [0.5, 1.5, np.nan, 2.5]
    frame = pd.DataFrame({"code": ["01", "02", "01", "1"], "bin": pd.cut(values, 2), "few": [0, 0, 7, 0]})
    kept_as, content = kept_frame(frame.astype({"few": pd.SparseDtype(int)}))
    (tmp_path / kept_as).write_bytes(content)
    back = read_own(str(tmp_path / kept_as), "x").frame
    assert back["code"].tolist() == frame["code"].tolist()
    assert back["few"].tolist() == frame["few"].tolist()
    assert [v if isinstance(v, str) else None for v in back["bin"]] == [
        None if pd.isna(v) else str(v) for v in frame["bin"]
    ]


@pytest.mark.parametrize(
    "categories", [pd.to_timedelta([1, 2], "D"), pd.period_range("2020", periods=2, freq="Y")], ids=["lengths", "years"]
)
def test_times_that_are_categories_are_kept_by_their_texts(categories, tmp_path):
    """Parquet would give lengths of time back as numbers, by which they would be ranks, and refuses periods."""
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": pd.Categorical(list(categories) * 2 + [None]), "b": [0.5, 1.5, 2.0, 3.0, 4.0]})
    kept_as, content = kept_frame(frame)
    (tmp_path / kept_as).write_bytes(content)
    back = read_own(str(tmp_path / kept_as), "x").frame["a"]
    assert back[:4].tolist() == [str(v) for v in [*categories, *categories]]
    assert back.isna().tolist() == [False] * 4 + [True]


def test_what_parquet_gives_back_as_something_else_is_refused():
    pytest.importorskip("pyarrow")
    day = datetime.timedelta(1)  # which comes back as one of NumPy's, of which the text is another
    frame = pd.DataFrame({"code": ["01", "02"], "long": pd.Series([day, day], dtype=object)})
    sentence = r"column code holds '01'.* as Parquet .*: column long would come back with '1 days .*' for '1 day, .*'"
    with pytest.raises(UserError, match=sentence):
        kept_frame(frame)


def test_dtypes_that_parquet_does_not_give_back_are_told(tmp_path):
    """pandas writes the name of an Arrow dictionary's dtype, and does not know it again."""
    pyarrow = pytest.importorskip("pyarrow")
    dtype = pd.ArrowDtype(pyarrow.dictionary(pyarrow.int32(), pyarrow.string()))
    frame = pd.DataFrame({"a": pd.array(["01", "02"], dtype=dtype)})
    with pytest.raises(UserError, match=r"x: column a holds '01', .* as Parquet it cannot be kept"):
        kept_frame(frame)
    frame.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"^x is not a readable \.parquet file"):
        read_own(str(tmp_path / "x.parquet"), "x")


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), "x has more than one column named a"),
        (pd.DataFrame([[1.0]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "x has columns of 2 levels"),
        (pd.DataFrame(), r"x has shape \(0, 0\); it must have rows and columns"),
        (pd.DataFrame({"a": []}), r"x has shape \(0, 1\)"),
        (
            pd.DataFrame({"a": pd.Series(["x\ud800", "y"], dtype=object), "b": 1.5}),
            "half of a character, which no file can keep",
        ),
        (pd.DataFrame({"a": pd.Series([True, 2, 3], dtype=object)}), "column a holds 'True', which is read back from"),
        (pd.DataFrame({"a": [1, "1", "b"], "c": 1.5}), "column a holds '1', which is read back from text as somethi"),
    ],
)
def test_what_a_file_cannot_keep_is_refused(frame, sentence):
    with pytest.raises(UserError, match=sentence):
        kept_frame(frame)
