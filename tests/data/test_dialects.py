"""How text tables are written: encodings without a mark, bars, comments, and what is no file of one."""

import numpy as np
import pandas as pd
import pytest

from sbvi.core import UserError
from sbvi.data.formats.own_files import read_own
from sbvi.data.formats.text_tables import read_fields
from sbvi.runs import frame_files

pytestmark = pytest.mark.quick

TEXT = "a,b,word\n1,2,été\n3,4,нет\n5,6,été\n7,8,нет\n"
FRAME = pd.DataFrame({"a": [1, 3, 5, 7], "b": [2, 4, 6, 8], "word": ["été", "нет"] * 2})


def read(folder, content):
    path = folder / "x.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_own(str(path), "x").frame


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_utf16_needs_no_mark(encoding, tmp_path):
    pd.testing.assert_frame_equal(read(tmp_path, TEXT.encode(encoding)), FRAME, check_dtype=False)


@pytest.mark.parametrize("content", [np.arange(1, 300, dtype="<i2").tobytes(), bytes(range(256)), b"a\0b,c\n1,2\n"])
def test_numbers_in_bytes_are_no_text(content, tmp_path):
    with pytest.raises(UserError, match=r"^x is not a text file\.$"):
        read(tmp_path, content)


def test_bars_separate_where_every_line_has_as_many(tmp_path):
    pd.testing.assert_frame_equal(read(tmp_path, TEXT.replace(",", "|")), FRAME, check_dtype=False)
    assert read(tmp_path, "a|b\n1,5|2\n3|4\n").to_numpy().tolist() == [[1.5, 2], [3, 4]]
    assert read(tmp_path, 'a|b\n"x|y"|2\nz|3\nz|4\n')["a"].tolist() == ["x|y", "z", "z"]
    assert read_fields(tmp_path / "x.csv", "x").rows[0] == ["x|y", "2"]
    for text in ("a|b\nx\ny|z\n", "n\nx|y\nz|w\n"):
        assert read(tmp_path, text).shape[1] == 1
    assert list(read(tmp_path, "a|b,c\n1,2\n").columns) == ["a|b", "c"]


def test_fields_between_bars_may_have_several_lines(tmp_path):
    frame = read(tmp_path, 'a|b\n"x\ny|z"|2\n"p ""q|"""|4\n5" r|6\n7" s|8\n')
    assert frame["a"].tolist() == ["x\ny|z", 'p "q|"', '5" r', '7" s']
    assert frame["b"].tolist() == [2, 4, 6, 8]


def test_commas_within_numbers_between_bars_separate_nothing(tmp_path):
    """The first row has both."""
    assert read(tmp_path, "1,5|2\n2,5|-3,25\n3|4\n").to_numpy().tolist() == [[1.5, 2], [2.5, -3.25], [3, 4]]
    assert read(tmp_path, "1,5|x\n2,5|y\n").to_numpy().tolist() == [[1.5, "x"], [2.5, "y"]]
    for text in ("1,x|y\n2,z|w\n", "a,b|c\n1,2\n", '1,"x|y"\n2,"z|w"\n'):
        assert read(tmp_path, text).iloc[:, 0].tolist()[-1] in (1, 2)


@pytest.mark.parametrize("text", ["#tag\nx;y\nz\n", "#tag\nx | y\nz\nx | y\n", '#tag\n"x\ty"\n"z\tw"\n'])
def test_a_name_that_begins_as_a_comment_does_is_one_of_marked_texts(text, tmp_path):
    assert read(tmp_path, text).shape[1] == 1


def test_a_name_with_a_bar_is_kept_as_one(tmp_path):
    frame = pd.DataFrame({"a|b": ["x|y", "z|w", "x|y", "z|w"] * 3})
    name, content = frame_files.kept_frame(frame)
    assert name == "data.csv"
    pd.testing.assert_frame_equal(read(tmp_path, content), frame, check_dtype=False)


@pytest.mark.parametrize(
    "text",
    [
        f"# comment\n{TEXT}",
        f"# made by x; version 2\n{TEXT}",
        f"# one, comma\n{TEXT}",
        "# comment\n" + TEXT.replace(",", ";"),
        "# comment\n" + TEXT.replace(",", "\t"),
        "# comment\n" + TEXT.replace(",", "|"),
    ],
)
def test_a_comment_in_the_first_line_is_refused_with_its_number(text, tmp_path):
    with pytest.raises(UserError, match=r"^x: line 1 begins with # and has not the fields of the others; leave it out"):
        read(tmp_path, text)
    assert list(read(tmp_path, f"# {TEXT}").columns) == list(FRAME.columns)  # as NumPy writes names


def test_a_folder_of_images_is_answered_with_where_these_go(tmp_path):
    with pytest.raises(UserError, match=r"^x is a folder, and must be a file\.$"):
        read_own(str(tmp_path), "x")
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "1.PNG").touch()
    with pytest.raises(UserError, match=r"must be a file; images go into one array of an \.npy or \.npz file, see"):
        read_own(str(tmp_path), "x")
