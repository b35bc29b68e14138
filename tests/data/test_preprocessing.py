"""From source values to model input and back: every kind of data, on the host and in the compiled program."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pandas
import pytest

from sbvi.core import UserError
from sbvi.data import DATASETS, Dataset, Preprocessing, Split, binarize
from sbvi.data.checks import not_there
from sbvi.data.convert import convert
from sbvi.data.recorded import recorded, same_data
from sbvi.data.sources.digits import Digits
from sbvi.data.sources.npz import Npz
from sbvi.data.sources.shards import Shards
from sbvi.data.tabular.columns import Column
from sbvi.data.traced import Traced

SHAPE = (2, 3)
WHOLE = Preprocessing.whole(SHAPE, 16)
TABLE = Preprocessing((3,), columns=("a", "b", "c"), location=(1.0, -2.0, 1e6), scale=(2.0, 0.5, 1e3))
KINDS = {
    "whole": WHOLE,
    "shifted": Preprocessing.whole(SHAPE, 20, -3.0),
    "noisy": dataclasses.replace(WHOLE, dequantize=True),
    "bits": Preprocessing.whole(SHAPE, 1),
    "unit": Preprocessing.real(SHAPE, 0.0, 1.0),
    "real": Preprocessing.real(SHAPE),
    "rescaled": dataclasses.replace(Preprocessing.real(SHAPE, -20.0, 20.0), rescale=True),
    "far": dataclasses.replace(Preprocessing.real(SHAPE, -1e6 - 1, -1e6), rescale=True),
    "static": dataclasses.replace(WHOLE, binarization="static", seed=3),
    "dynamic": dataclasses.replace(WHOLE, binarization="dynamic", seed=3),
    "threshold": dataclasses.replace(Preprocessing.real(SHAPE, -1.0, 1.0), binarization="threshold"),
    "table": TABLE,
}


def source(known, count=40, seed=0):
    """Values that a data set of this kind may hold, its ends among them."""
    generator = np.random.default_rng(seed)
    shape = (count, *known.event_shape)
    if known.levels is not None:
        x = generator.integers(0, known.levels + 1, shape) + int(known.minimum)
        x.reshape(-1)[:2] = int(known.minimum), int(known.maximum)
        return x
    if known.location is not None:
        return generator.normal(size=shape) * known.scale + known.location
    low, high = (-5.0, 5.0) if known.minimum is None else (known.minimum, known.maximum)
    x = generator.uniform(low, high, shape)
    x.reshape(-1)[:2] = low, high
    return x


@pytest.mark.parametrize("kind", KINDS)
def test_run_json_holds_all_of_it(kind):
    known = KINDS[kind]
    assert Preprocessing.from_config(json.loads(json.dumps(known.to_config(), allow_nan=False))) == known
    assert known.to_config()["units"]


@pytest.mark.parametrize("kind", KINDS)
def test_host_and_program_agree(kind):
    """`read` is what the compiled evaluation makes of the same held values, noise aside."""
    known = KINDS[kind]
    held = known.own(source(known))
    there = np.asarray(jax.jit(Traced(known, False))(jax.random.key(0), jnp.asarray(held.reshape(len(held), -1))))
    here = known.read(held)
    assert here.dtype == there.dtype == np.float32
    if known.dequantize:
        assert (np.abs(here - there) <= 0.5 / 17 + 1e-6).all()
        np.testing.assert_array_equal(np.floor(there * 17), np.rint(here * 17 - 0.5))
    else:
        np.testing.assert_allclose(here, there, rtol=2e-7)


@pytest.mark.parametrize("kind", ["whole", "shifted", "noisy", "bits", "unit", "real", "rescaled", "table"])
def test_back_to_source_units(kind):
    known = KINDS[kind]
    x = source(known)
    back = known.to_source(known.to_model(x)).reshape(x.shape)
    np.testing.assert_allclose(back, x, rtol=2e-6, atol=2e-6 * max(1, np.abs(x).max()))


@pytest.mark.parametrize("levels", range(1, 256))
def test_whole_levels_come_back_whole(levels):
    """Counts beyond the levels too, which laws of counts draw; and what is no level stays what it is."""
    known = Preprocessing.whole((3000,), levels)
    counts = np.arange(3000, dtype=np.float32)
    for divided in (counts / np.float32(levels), counts * np.float32(1 / levels)):  # as a compiler may do it
        np.testing.assert_array_equal(known.to_source(divided), counts)
    between = np.array([0.001, 0.5, 1.0001, 2.25], np.float32)
    np.testing.assert_allclose(known.to_source(between / np.float32(levels)), between, rtol=1e-6)


def test_values_far_from_0_keep_the_digits_that_float32_has_of_0_to_1():
    known = KINDS["far"]
    x = source(known)
    held = known.to_model(x)
    assert held.dtype == np.float32
    np.testing.assert_allclose(held, (x + 1e6 + 1).reshape(held.shape), rtol=0, atol=1e-7)
    np.testing.assert_allclose(known.to_source(held), x.reshape(held.shape), rtol=0, atol=1e-7)


def test_whole_numbers_that_float32_has_not_come_back():
    known = Preprocessing.whole(SHAPE, 200, 1e8 + 1)
    x = source(known)
    np.testing.assert_array_equal(np.rint(known.to_source(known.to_model(x))), x.reshape(len(x), -1))
    assert known.units == "whole numbers 100000001..100000201"


def test_what_is_just_outside_a_range_far_from_0_is_told_with_its_digits():
    with pytest.raises(UserError, match=r"^x holds -999999\.5 at row 1, place \(0, 0\); allowed: real numbers of "):
        KINDS["far"].store(np.stack([np.full(SHAPE, -1e6), np.full(SHAPE, -999999.5)]))
    with pytest.raises(UserError, match=r"^x holds 0\.1 at row 0"):  # of float32, 0.1000000015 in as many digits
        KINDS["far"].store(np.full((1, *SHAPE), np.float32(0.1)))


def test_noise_is_within_the_level_and_training_draws_anew():
    held = np.arange(17, dtype=np.uint8).repeat(400)[:, None]
    noisy = dataclasses.replace(Preprocessing.whole((1,), 16), dequantize=True)
    x = np.asarray(Traced(noisy, True)(jax.random.key(1), jnp.asarray(held)))[:, 0].reshape(17, 400)
    np.testing.assert_array_equal(np.floor(x * 17), np.arange(17)[:, None].repeat(400, 1))
    np.testing.assert_allclose(x.mean(1), (np.arange(17) + 0.5) / 17, atol=5 / 17 / np.sqrt(12 * 400))
    dynamic = dataclasses.replace(Preprocessing.whole((1,), 16), binarization="dynamic")
    draws = [np.asarray(Traced(dynamic, True)(jax.random.key(k), jnp.asarray(held))) for k in (0, 1)]
    assert (draws[0] != draws[1]).any()
    share = draws[0].reshape(17, 400).mean(1)
    np.testing.assert_allclose(share, np.arange(17) / 16, atol=5 * 0.5 / np.sqrt(400))


@pytest.mark.parametrize("kind", KINDS)
def test_one_set_of_whole_numbers_in_every_dtype(kind):
    known = KINDS[kind]
    if known.levels is None or known.minimum < 0:
        dtypes = [np.float64, np.int64, np.int32 if kind == "far" else np.int16, np.float32]
        x = np.random.default_rng(0).integers(0, 2, (9, *known.event_shape)) + int(known.minimum or 0)
    else:
        dtypes = [np.uint8, np.int8, np.int64, np.uint32, np.float16, np.float32, np.float64]
        x = source(known, 9)
    first = known.to_model(x.astype(dtypes[0]))
    for dtype in dtypes[1:]:
        np.testing.assert_array_equal(known.to_model(x.astype(dtype)), first)
    np.testing.assert_array_equal(known.to_model(np.asfortranarray(x)), first)
    np.testing.assert_array_equal(known.to_model(x.reshape(9, -1)), first)


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        ("whole", 17, "x holds 17 at row 1, place (0, 2); allowed: whole numbers 0..16"),
        ("whole", -1, "x holds -1 at row 1, place (0, 2); allowed: whole numbers 0..16"),
        ("whole", 0.5, "holds 0.5 at row 1, place (0, 2); allowed: whole numbers 0..16, which this data set's"),
        ("noisy", 16.5, "holds 16.5 at row 1"),
        ("bits", 2, "holds 2 at row 1, place (0, 2); allowed: 0 and 1"),
        ("static", 200, "holds 200 at row 1, place (0, 2); allowed: whole numbers 0..16"),
        ("unit", 1.5, "allowed: real numbers of [0, 1]"),
        ("unit", 7, "holds 7 at row 1"),
        ("rescaled", -20.5, "allowed: real numbers of [-20, 20]"),
        ("real", np.inf, "must not be NaN or infinite"),
        ("real", np.nan, "must not be NaN or infinite"),
        ("real", 1e39, "holds 1e+39 at row 1, place (0, 2); it is too large for float32"),
    ],
)
def test_what_is_outside_is_refused_with_its_place(kind, value, sentence):
    x = np.zeros((3, *SHAPE), np.asarray(value).dtype)
    x[1, 0, 2] = value
    with pytest.raises(UserError) as caught:
        KINDS[kind].to_model(x)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tables_name_the_column():
    x = np.zeros((4, 3))
    x[2, 1] = np.nan
    with pytest.raises(UserError, match="holds nan at row 2, column b"):
        TABLE.to_model(x)


@pytest.mark.parametrize(
    ("event", "shape", "sentence"),
    [
        ((8, 8, 3), (5, 3, 8, 8), r"channels come first, and they must come last: x\.transpose\(0, 2, 3, 1\)"),
        ((8, 8), (5, 1, 8, 8), r"it must be \(N, 8, 8\).*; give it without the axis of its one channel: x\[:, 0\]\.$"),
        ((8, 8), (5, 8, 8, 1), r"; give it without the axis of its one channel: x\[\.\.\., 0\]\.$"),
        ((8, 8), (5, 9), r"must be \(N, 8, 8\)"),
        ((5, 7), (3, 7, 5), r"N > 0; its axes are the other way round: x\.transpose\(0, 2, 1\)\.$"),
        ((4,), (0, 4), "N > 0"),
    ],
)
def test_shapes(event, shape, sentence):
    with pytest.raises(UserError, match=sentence):
        Preprocessing.real(event).to_model(np.zeros(shape))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_masked_array_hides_does_not_come_back(kind):
    x = source(KINDS[kind])
    hidden = np.ma.masked_array(x, np.arange(x.size).reshape(x.shape) % 4 == 1)
    for read in (KINDS[kind].store, KINDS[kind].own, KINDS[kind].to_model, not_there):
        with pytest.raises(UserError, match=f"x is a masked array that hides {-(-(x.size - 1) // 4)} values; NaN says"):
            read(hidden)
    np.testing.assert_array_equal(KINDS[kind].store(np.ma.masked_array(x)), KINDS[kind].store(x))


def test_no_rows_are_a_matter_of_shape():
    assert not_there(np.zeros((0, *SHAPE))).shape == (0, 6)
    with pytest.raises(UserError, match=r"x has shape \(0, 2, 3\); it must be \(N, 2, 3\), N > 0\.$"):
        WHOLE.store(np.zeros((0, *SHAPE)))


def test_gaps_stand_for_nothing():
    x = np.array([[1.0, np.nan, 1e6], [np.nan, -2.0, 1e6 + 1e3]])
    missing = np.isnan(x)
    np.testing.assert_allclose(TABLE.to_model(x, "x", missing), [[0, 0, 0], [0, 0, 1]], atol=1e-6)
    filled = TABLE.filled(np.full((2, 3), 2.0, np.float32), missing, x)
    np.testing.assert_array_equal(filled, [[1, -1, 1e6], [5, -2, 1e6 + 1e3]])
    digits = np.array([[0.1, np.nan], [np.nan, 1 / 3]])  # which float32 does not have
    back = Preprocessing.real((2,)).filled(np.full((2, 2), 0.5, np.float32), np.isnan(digits), digits)
    np.testing.assert_array_equal(back, [[0.1, 0.5], [0.5, 1 / 3]])


def test_grey_values_go_by_the_models_own_rule_and_it_is_said(caplog):
    caplog.set_level("INFO")
    grey = Digits().load()
    drawn = binarize(grey, "static", 0)
    known = drawn.preprocessing
    assert (known.levels, known.binarization, known.seed) == (16, "static", 0)
    for x in (grey.test.x, grey.test.x.astype(np.float64), grey.test.x[:50]):  # as the test split was drawn
        np.testing.assert_array_equal(known.own(x), drawn.test.x[: len(x)])
    assert "holds grey values; they are binarized by the run's own rule (draws of seed 0)" in caplog.text
    caplog.clear()
    np.testing.assert_array_equal(known.own(drawn.test.x), drawn.test.x)  # 0 and 1 as they are
    assert not caplog.records
    on = binarize(grey, "threshold", 0)
    np.testing.assert_array_equal(on.preprocessing.own(grey.test.x), on.test.x)


def test_evaluation_never_sees_means():
    """Every split of a dynamic set is drawn once, by the seed alone, whichever examples are asked for."""
    grey = Digits().load()
    dynamic, static = binarize(grey, "dynamic", 5), binarize(grey, "static", 5)
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(dynamic.evaluated(name).x, static.split(name).x)
        rows = np.arange(30) * len(static.split(name)) // 30
        np.testing.assert_array_equal(dynamic.evaluated(name, 30).x, static.split(name).x[rows])
        assert set(np.unique(dynamic.seen(name, 30))) == {0, 1}
    again = dynamic.with_split("train", dynamic.evaluated("train", 40))
    np.testing.assert_array_equal(again.evaluated("train").x, again.train.x)  # not drawn a second time
    np.testing.assert_array_equal(dynamic.train.x, grey.train.x)


@pytest.mark.parametrize(("minimum", "maximum"), [(0.0, 255.0), (-1.0, 1.0), (0.0, 1.0)])
def test_binarization_takes_a_values_place_in_the_declared_range(minimum, maximum, tmp_path):
    """A share of ones equal to the mean place, whether drawn once, in training, or through shards."""
    unit = np.random.default_rng(0).beta(1, 2.2, (600, 10))
    np.savez(tmp_path / "own.npz", x_train=minimum + unit * (maximum - minimum))
    loaded = Npz(path=str(tmp_path / "own.npz"), minimum=minimum, maximum=maximum).load()
    expected, stderr = unit.mean(), 0.5 / np.sqrt(unit.size)
    convert(loaded, tmp_path / "shards", 200)
    for dataset in (loaded, Shards(path=str(tmp_path / "shards")).load()):
        dynamic = binarize(dataset, "dynamic", 0)
        drawn = np.concatenate([dynamic.evaluated(name).x[:] for name in dynamic.splits])
        assert abs(drawn.mean() - expected) < 5 * stderr
        held = jnp.asarray(dynamic.train.x[:])
        traced = np.asarray(Traced(dynamic.preprocessing, True)(jax.random.key(0), held))
        assert set(np.unique(traced)) == {0, 1}
        assert abs(traced.mean() - expected) < 6 * stderr
        np.testing.assert_allclose(dynamic.preprocessing.scaled(dynamic.train.x[:]).mean(), expected, atol=0.01)
    static = binarize(loaded, "static", 0)
    assert abs(static.train.x.mean() - expected) < 6 * stderr


def test_values_without_a_range_are_not_drawn_from():
    split = Split(np.zeros((4, 2), np.float32))
    dataset = Dataset("real", split, split, split, Preprocessing.real((2,)))
    with pytest.raises(UserError, match=r"dataset\.binarization=static needs values with a range"):
        binarize(dataset, "static", 0)


OLD = {
    "static": ({"levels": 1, "binary": True}, Digits(binarization="static"), Preprocessing.whole((8, 8), 1)),
    "dynamic": (
        {"levels": 16, "binary": True},
        Digits(binarization="dynamic", split_seed=4),
        dataclasses.replace(Preprocessing.whole((8, 8), 16), binarization="dynamic", seed=4),
    ),
    "levels": (
        {"levels": 16, "binary": False},
        Digits(binarization="none"),
        dataclasses.replace(Preprocessing.whole((8, 8), 16), dequantize=True),
    ),
    "real": (
        {"levels": None, "binary": False},
        Npz(path="own.npz", minimum=-20.0, maximum=20.0, rescale=True, binarization="none"),
        dataclasses.replace(Preprocessing.real((8, 8), -20.0, 20.0), rescale=True),
    ),
    "unit": (
        {"levels": None, "binary": False},
        Npz(path="own.npz", binarization="none"),
        Preprocessing.real((8, 8), 0.0, 1.0),
    ),
}


@pytest.mark.parametrize("case", OLD)
def test_runs_that_recorded_less(case):
    data, spec, expected = OLD[case]
    assert recorded(data, (8, 8), spec, True) == expected
    assert recorded({"preprocessing": WHOLE.to_config()} | data, (8, 8), spec, True) == WHOLE
    now = data | {"digest": "a", "preprocessing": WHOLE.to_config()}
    assert same_data(data | {"digest": "a"}, now)
    assert same_data(now | {"preprocessing": WHOLE.to_config() | {"units": "in other words"}}, now)
    assert not same_data(now | {"digest": "b"}, now)
    assert not same_data(now | {"preprocessing": TABLE.to_config()}, now)  # other units, the same held values


def test_frey_blocks_are_in_the_order_of_the_video(monkeypatch, caplog):
    caplog.set_level("INFO")
    import sbvi.data.sources.frey_faces as module

    frames = np.arange(1000) % 256 * np.ones((560, 1))
    monkeypatch.setattr(module, "mat", lambda *given: {"ff": frames.astype(np.uint8)})
    dataset = DATASETS["frey_faces"](split="blocks").load()
    order = np.concatenate([s.x[:, 0, 0] for s in dataset.splits.values()])
    np.testing.assert_array_equal(order, np.arange(1000) % 256)
    assert [len(s) for s in dataset.splits.values()] == [600, 200, 200]
    assert not caplog.records
    random = DATASETS["frey_faces"]().load()
    assert "split at random: most test frames have a neighbour that trains" in caplog.text
    assert (np.diff(random.test.x[:, 0, 0].astype(int)) != 1).mean() > 0.9


@pytest.mark.parametrize("known", [TABLE, dataclasses.replace(TABLE, location=None, scale=None)])
def test_a_frame_is_taken_by_the_names_of_its_columns(known):
    values = np.array([[1.0, -2.0, 1e6], [3.0, np.nan, 0.0]])
    frame = pandas.DataFrame(values, columns=["a", "b", "c"])[["c", "b", "a"]].assign(other="text")
    missing = not_there(known.arranged(frame))
    np.testing.assert_array_equal(known.arranged(frame), values)
    np.testing.assert_array_equal(known.to_model(frame, "x", missing), known.to_model(values, "x", not_there(values)))
    with pytest.raises(UserError, match="x has no column b, which the run was trained on"):
        known.to_model(frame[["a", "c"]])


def test_a_frame_of_bits_is_taken_by_names_too():
    known = dataclasses.replace(Preprocessing.whole((2,), 1), columns=("a", "b"), binarization="static")
    frame = pandas.DataFrame({"b": [1, 1], "a": [0, 1]})
    assert known.own(frame).tolist() == [[0, 1], [1, 1]]


#: A frame of these numbers by dtypes of its own, as `convert_dtypes` and Parquet files give them.
NUMBERS = np.array([[1.0, -2.0, 1e6], [3.0, np.nan, 0.0]])
DTYPES = {
    "nullable": {"a": "Int64", "b": "Float64", "c": "Int64"},
    "of objects": dict.fromkeys("abc", object),
    "of texts": {"c": "string"},
    "mixed": {"b": "category", "c": "int64[pyarrow]"},
}


@pytest.mark.parametrize("dtypes", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("names", [("a", "b", "c"), None])
def test_numbers_of_a_frame_are_taken_whatever_dtypes_hold_them(dtypes, names):
    if "int64[pyarrow]" in dtypes.values():
        pytest.importorskip("pyarrow")
    known = dataclasses.replace(TABLE, columns=names)
    frame = pandas.DataFrame(NUMBERS, columns=["a", "b", "c"]).astype(dtypes)
    np.testing.assert_array_equal(known.arranged(frame), NUMBERS)
    with pytest.raises(UserError, match=r"^x: column b holds Timedelta\(.*\) in row 1, which is no number\.$"):
        known.to_model(frame.assign(b=pandas.to_timedelta([None, "1D"])))
    with pytest.raises(UserError, match=r"^x: column a holds 'no' in row 0, which is no number\.$"):
        known.to_model(frame.assign(a=["no", "1"]))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("known", ["table", "columns"])
def test_what_float32_cannot_hold_has_one_sentence(known):
    """Without NumPy's own warning before it."""
    columns = (Column("a", "continuous"), Column("b", "continuous", 1.0, 2.0))
    made = {
        "table": Preprocessing((2,), columns=("a", "b"), location=(1.0, -2.0), scale=(2.0, 0.5)),
        "columns": Preprocessing((2,), columns=("a", "b"), table=columns),
    }[known]
    with pytest.raises(UserError, match=r"^x holds 1e\+300 at row 1, column b; it is too large for float32"):
        made.store(np.array([[1.0, 2.0], [1.0, 1e300]]))
