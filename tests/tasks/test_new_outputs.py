"""The file that task.output names is whole or not there, and never written over another."""

import gzip

import numpy as np
import pandas as pd
import pytest

from sbvi.core import UserError
from sbvi.data.formats.text_tables import read_fields
from sbvi.tasks.files import check_output, new_output, write_arrays
from sbvi.tasks.filled_texts import put_rows
from sbvi.tasks.tables import check_tables, write_frame

pytestmark = pytest.mark.quick

FRAME = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})


def texts(folder):
    """Fields to be written, read from a file beside the folder."""
    path = folder.with_name(f"{folder.name}-given.csv")
    path.write_text("a,b\n1,2\n3,4\n")
    return read_fields(path, "task.input=given.csv")


def write_rows(path):
    with new_output(path) as file:
        put_rows(file, path, texts(path.parent), [["1", "2"]])


WRITERS = {
    "out.npz": lambda path: write_arrays(str(path), {"x": np.arange(3)}),
    "out.csv": lambda path: write_frame(path, FRAME),
    "out.tsv.gz": lambda path: write_frame(path, FRAME),
    "rows.csv": write_rows,
    "rows.csv.gz": write_rows,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_fills_up_leaves_no_half_file(tmp_path, monkeypatch, name):
    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("sbvi.core.atomic.os.fsync", full)
        with pytest.raises(
            UserError, match=rf"^task\.output=\S*{name} cannot be written \(No space left on device\)\.$"
        ):
            WRITERS[name](tmp_path / name)
        assert list(tmp_path.iterdir()) == []
    WRITERS[name](tmp_path / name)
    content = (tmp_path / name).read_bytes()
    with pytest.raises(UserError, match=rf"^task\.output=\S*{name} is there already; name another file\.$"):
        WRITERS[name](tmp_path / name)
    assert (tmp_path / name).read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name.endswith(".gz"):
        assert gzip.decompress(content)


def test_a_compressed_table_tells_its_own_name(tmp_path):
    """Some programs unpack under the name that the archive holds."""
    write_frame(tmp_path / "out.csv.gz", FRAME)
    assert (tmp_path / "out.csv.gz").read_bytes()[10:18] == b"out.csv\0"


def test_an_ending_without_a_name(tmp_path):
    with pytest.raises(
        UserError, match=r"^task\.output=\.npz is an ending without a name; name a file, such as x\.npz\.$"
    ):
        check_output(".npz")


def test_a_file_beside_the_output_that_is_there_is_told_as_one(tmp_path):
    (tmp_path / "h.upper.csv").touch()
    said = rf"^task\.output={tmp_path}/h\.csv would also write {tmp_path}/h\.upper\.csv, which is there already; name"
    with pytest.raises(UserError, match=said):
        check_tables(f"{tmp_path}/h.csv", ["lower", "upper"])
