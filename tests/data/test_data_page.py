"""docs/data.md follows one value of every kind of data from its source to the model and back: so does the code."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.paths import ROOT

from sbvi.data import Preprocessing
from sbvi.data.tabular.columns import Column
from sbvi.data.traced import Traced


def by_kind(column):
    return Preprocessing((1,), columns=("a",), table=(column,))


DIGITS, REALS = Preprocessing.whole((1,), 16), Preprocessing.real((1,), -1.0, 1.0)
KINDS = {
    "whole numbers": DIGITS,
    "whole numbers from -1": Preprocessing.whole((1,), 2, -1.0),
    "whole numbers, dequantised": dataclasses.replace(DIGITS, dequantize=True),
    "zeros and ones": Preprocessing.whole((1,), 1),
    "grey, static": dataclasses.replace(DIGITS, binarization="static"),
    "grey, dynamic": dataclasses.replace(DIGITS, binarization="dynamic"),
    "grey, threshold": dataclasses.replace(DIGITS, binarization="threshold"),
    "grey reals, static": dataclasses.replace(REALS, binarization="static"),
    "reals in a range": Preprocessing.real((1,), 0.0, 1.0),
    "reals, rescaled": dataclasses.replace(Preprocessing.real((1,), -20.0, 20.0), rescale=True),
    "reals": Preprocessing.real((1,)),
    "column of a table (mean 3, deviation 2)": Preprocessing((1,), location=(3.0,), scale=(2.0,)),
    "continuous column, by kind (mean 3, deviation 2)": by_kind(Column("a", "continuous", 3.0, 2.0)),
    "positive column, by kind (logarithms: mean 0, deviation 2)": by_kind(Column("a", "positive", 0.0, 2.0)),
    "count, by kind": by_kind(Column("a", "count", 1.0, 0.5)),
    "third of three categories, by kind": by_kind(Column("a", "categorical", values=("x", "y", "z"))),
}


def rows():
    lines = [line for line in (ROOT / "docs" / "data.md").read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_kind_has_a_row():
    assert [row[0] for row in rows()] == list(KINDS)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_the_row_is_what_the_code_does(row):
    kind, units, source, held, model, back = row
    known = KINDS[kind]
    assert known.to_config()["units"] == units
    # Another value beside the one shown, so that 0 and 1 alone are not taken for binary values.
    grey = np.array([[float(source)], [float(source)]]) if known.levels != 1 else np.array([[1.0], [0.0]])
    kept = known.own(grey)
    value, dtype = held.rstrip(")").split(" (")
    assert kept.dtype == dtype
    assert kept[0, 0] == pytest.approx(float(value), rel=1e-6)
    seen = known.read(kept)
    assert seen[0, 0] == pytest.approx(float(model), abs=1e-6)
    assert known.to_source(seen)[0, 0] == pytest.approx(float(back), rel=1e-5)
    traced = np.asarray(Traced(known, False)(jax.random.key(0), jnp.asarray(kept)))
    assert traced[0, 0] == pytest.approx(float(model), abs=0.5 / 17 + 1e-6 if known.dequantize else 1e-6)
