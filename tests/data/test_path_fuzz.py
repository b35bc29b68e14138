"""One data set in every file form, dtype, order, range and scale is one data set."""

import dataclasses
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.file_forms import FORMS

from sbvi.data.sources.npz import Npz
from sbvi.data.sources.table import Table
from sbvi.tasks.files import read_values

WHOLE = ("uint8", "int16", "int64", "uint32", "float32", "float64")
NAMES = [f"column {i}" for i in range(12)]


@st.composite
def whole_sets(draw):
    """Whole numbers minimum .. maximum, (N, D) or (N, H, W)."""
    shape = (draw(st.integers(8, 20)), *draw(st.sampled_from([(1,), (2,), (7,), (2, 3), (3, 4)])))
    minimum = draw(st.sampled_from([0, 0, 0, -1, -20, 5]))
    levels = draw(st.sampled_from([1, 2, 16, 100, 255]))
    x = np.random.default_rng(draw(st.integers(0, 99))).integers(0, levels + 1, shape) + minimum
    options = {"minimum": float(minimum), "maximum": float(minimum + levels)}
    bounds = {d: np.iinfo(d if d[0] != "f" else "i8") for d in WHOLE}
    return x, options, [d for d, b in bounds.items() if b.min <= minimum and minimum + levels <= b.max]


@st.composite
def real_sets(draw):
    """Real numbers in a range, exact in float32."""
    shape = (draw(st.integers(8, 20)), *draw(st.sampled_from([(2,), (7,), (2, 3)])))
    low, width = draw(st.sampled_from([(0.0, 1.0), (-20.0, 40.0), (-1.0, 2.0), (100.0, 1e4), (0.0, 1e-3)]))
    x = np.random.default_rng(draw(st.integers(0, 99))).uniform(low, low + width, shape).astype(np.float32)
    x = np.clip(x, np.float32(low), np.float32(low + width)).astype(np.float64)
    options = {"minimum": min(low, x.min()), "maximum": max(low + width, x.max()), "rescale": draw(st.booleans())}
    return x, options, ["float32", "float64"]


def written(folder, name, x, names=NAMES):
    path = folder / name
    write, keeps, named = FORMS[name]
    write(path, x, names[: x[0].size])
    return str(path), keeps, named


def flat(dataset):
    return [dataset.preprocessing.read(split.x) for split in dataset.splits.values()]


@pytest.mark.promise(
    "A data set is the same in every file form, dtype, order and range: its split, the model's input, the way back",
    "data sets",
)
def test_one_data_set_in_every_form(tmp_path, tally):
    tried = [0]

    @given(whole_sets() | real_sets(), st.data())
    def each(made, data):
        tried[0] += 1
        x, options, dtypes = made
        noise = data.draw(st.booleans())
        reference, _, _ = written(tmp_path, "x.npy", x.reshape(len(x), -1))
        expected = Npz(path=reference, **options).load()
        # A decimal comma in a column of its own is read as two fields, and refused.
        name = data.draw(st.sampled_from([n for n in sorted(FORMS) if x[0].size > 1 or n != "german.csv"]))
        dtype = data.draw(st.sampled_from(dtypes))
        path, keeps, named = written(tmp_path, name, x.astype(dtype))
        try:
            found = Npz(path=path, **options).load()
            values, *_ = read_values(path, found.preprocessing.columns)
        finally:
            os.unlink(path)
        assert found.event_shape == (x.shape[1:] if keeps else (x[0].size,))
        assert found.preprocessing.columns == (tuple(NAMES[: x[0].size]) if named else None)
        for ours, theirs in zip(flat(found), flat(expected), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        # As a task's input: the file, and every dtype, in the run's own preprocessing.
        known = dataclasses.replace(found.preprocessing, dequantize=noise and found.levels is not None)
        if known.binary:
            known = found.preprocessing
        model = known.to_model(values)
        for other in dtypes:
            np.testing.assert_array_equal(known.to_model(x.astype(other).reshape(len(x), -1)), model)
        scale = max(1.0, np.abs(x).max())
        np.testing.assert_allclose(known.to_source(model), x.reshape(len(x), -1), rtol=0, atol=4e-6 * scale)
        if options.get("rescale") or known.levels is not None:
            assert model.min() >= 0
            assert model.max() <= 1

    each()
    tally(tried[0])


@pytest.mark.promise("A table's model input does not depend on the columns' units, order or file form", "tables")
def test_tables_on_every_scale(tmp_path, tally):
    tried = [0]

    @given(st.data())
    def each(data):
        tried[0] += 1
        generator = np.random.default_rng(data.draw(st.integers(0, 999)))
        width = data.draw(st.integers(2, 6))
        x = generator.normal(size=(20, width))
        names = NAMES[:width]
        first, _, _ = written(tmp_path, "header.csv", x)
        how = data.draw(st.sampled_from(["deviation", "range"]))
        expected = Table(path=first, scale=how).load()
        units = 10.0 ** generator.integers(-6, 7, width)
        moved = x * units + units * generator.normal(size=width)
        order = generator.permutation(width)
        name = data.draw(st.sampled_from([n for n, (_, _, named) in FORMS.items() if named]))
        path, _, _ = written(tmp_path, name, moved[:, order], [names[i] for i in order])
        found = Table(path=path, scale=how).load()
        for ours, theirs in zip(flat(found), flat(expected), strict=True):
            np.testing.assert_allclose(ours[:, np.argsort(order)], theirs, rtol=0, atol=2e-5)
        # The same columns in another order are found by their names.
        elsewhere, _, _ = written(tmp_path, "x.tsv", moved, names)
        values, *_ = read_values(elsewhere, found.preprocessing.columns)
        np.testing.assert_array_equal(values, moved[:, order])

    each()
    tally(tried[0])
