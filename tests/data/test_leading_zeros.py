"""Columns of whole numbers that a text file writes as names are told, and no others."""

import numpy as np
import pytest

from sbvi.data.formats import text_tables
from sbvi.data.sources.table import Table
from sbvi.data.tabular.leading_zeros import ZEROS

pytestmark = pytest.mark.quick
ZIPS = [f"{zip_code:05d}" for zip_code in np.random.default_rng(0).integers(0, 99_999, 60) // 1000 * 1000 + 501]


def load(folder, zips, name="zip", **settings):
    lines = [f"{zip_code},{0.5 + i / 100}" for i, zip_code in enumerate(zips)]
    (folder / "x.csv").write_text("\n".join([f"{name},size", *lines, ""]))
    return Table(path=str(folder / "x.csv"), types="found", **settings).load()


def said(caplog):
    return [record.getMessage() for record in caplog.records if "zero" in record.getMessage()]


def test_the_warning_names_the_first_field_and_what_helps(tmp_path, caplog):
    zips = ["10001", "", *ZIPS[:20], *ZIPS]
    first = next(place for place, text in enumerate(zips) if text.startswith("0"))
    found = load(tmp_path, zips).preprocessing.table[0].kind
    assert said(caplog) == [
        f"dataset.path={tmp_path}/x.csv: column zip is taken as {found}, and holds {zips[first]!r} in "
        f"line {first + 2}, with a zero in front as names have it; say what it is: "
        "'dataset.columns={zip: categorical}' where these are names, ignored to leave it out, or "
        f"{found} where they are numbers."
    ]
    for kind in ("categorical", "ignored", found):  # what it says is taken, and told no more
        caplog.clear()
        columns = load(tmp_path, zips, columns={"zip": kind}).preprocessing.table
        assert {c.name: c.kind for c in columns}.get("zip", "ignored") == kind
        assert said(caplog) == []


@pytest.mark.parametrize(
    "texts",
    [
        [str(n) for n in range(0, 120, 2)],
        [f"0.{n}" for n in range(60)],
        [f"{n:04d}.5" for n in range(60)],
        [f"00:{n}" for n in range(60)],
        [f"{n % 12 + 1:02d}/2020" for n in range(60)],
        [f"{n:03d}" for n in range(1, 61)],  # row numbers, which are left out
        ["00", "01"] * 30,  # two values, which are names anyway
        [f"{n % 20:03d}" for n in range(60)] + ["x"],  # names for the text among them
    ],
)
def test_other_columns_are_not_told(texts, tmp_path, caplog):
    load(tmp_path, texts)
    assert said(caplog) == []


def test_more_names_than_categories_can_be_are_to_be_left_out(tmp_path, caplog):
    load(tmp_path, [f"{n * 37:06d}" for n in range(1100)])
    (sentence,) = said(caplog)
    assert "'dataset.columns={zip: ignored}' where these are names, which leaves it out, or" in sentence


def test_the_first_field_is_found_in_any_part_and_none_is_looked_for_without(tmp_path, monkeypatch):
    """Of files in quotes, with decimal commas and gaps too; a file without such fields is not read again."""
    monkeypatch.setattr(text_tables, "PART", 3)
    (tmp_path / "x.csv").write_text(
        'code;size;city\n"7"; 1,05;a 01\n11;2,5;b\n;3,5;c 02\n4;0,5;d\n5; 012;e\n007 ;1,5;f\n'
    )
    frame, _, _ = text_tables.read_text(tmp_path / "x.csv", "x")
    assert frame.attrs[ZEROS] == {"code": (5, "007")}  # the sizes are no whole numbers
    (tmp_path / "plain.csv").write_text("a,b\n0,10\n0.05,100\n-0.01,200\n")
    read = []
    monkeypatch.setattr(
        text_tables, "_parsed", lambda *a, _own=text_tables._parsed, **k: read.append(1) or _own(*a, **k)
    )
    frame, _, _ = text_tables.read_text(tmp_path / "plain.csv", "x")
    assert (len(read), ZEROS in frame.attrs) == (1, False)
