import numpy as np
import pytest

from sbvi.core import UserError
from sbvi.data.sources.npz import Npz

pytestmark = pytest.mark.quick


def load(tmp_path, arrays, **options):
    np.savez(tmp_path / "own.npz", **arrays)
    return Npz(path=str(tmp_path / "own.npz"), **options).load()


def test_named_splits_keep_the_files_order(tmp_path):
    arrays = {n: np.full((k, 2, 2), k, np.uint8) for n, k in (("a", 7), ("b", 3), ("c", 2))}
    arrays["l"] = np.arange(7)
    dataset = load(tmp_path, arrays, train="a", validation="b", test="c", labels="l", maximum=10.0)
    assert [len(s) for s in dataset.splits.values()] == [7, 3, 2]
    assert dataset.levels == 10
    np.testing.assert_array_equal(dataset.train.label, np.arange(7))


def test_rescaling(tmp_path):
    dataset = load(tmp_path, {"x_train": np.linspace(-1, 1, 40).reshape(20, 2)}, minimum=-1.0, rescale=True)
    values = np.concatenate([s.x for s in dataset.splits.values()])
    assert values.min() == 0
    assert values.max() == 1


def test_values_that_float32_tells_apart_are_taken(tmp_path):
    x = np.linspace(0, 1, 40).reshape(20, 2)
    load(tmp_path, {"x_train": 1000 + x}, maximum=1001.0)
    moved = load(tmp_path, {"x_train": 1e6 + x}, minimum=1e6, maximum=1e6 + 1, rescale=True)
    values = np.sort(np.concatenate([s.x for s in moved.splits.values()]).ravel())
    np.testing.assert_allclose(values, x.ravel(), rtol=0, atol=1e-7)
    near = np.array([[5.0, 5.0001]])  # of one split alone, which says nothing of the others
    load(tmp_path, {"x_train": 10 * x, "x_valid": near, "x_test": near}, maximum=10.0)
    exact = np.float32(1e6) + x.astype(np.float32)  # few numbers, of which float32 loses nothing
    held = load(tmp_path, {"x_train": exact.astype(float)}, maximum=2e6)
    assert set(held.train.x.ravel()) <= set(exact.ravel())


def test_a_column_that_is_constant_but_for_rounding_is_held(tmp_path):
    rounded = np.where(np.arange(40) % 2, 0.1 + 0.2, 0.3)
    held = load(tmp_path, {"x_train": np.stack([rounded, np.linspace(0, 1, 40)], 1)})
    assert set(held.train.x[:, 0]) == {np.float32(0.3)}


def test_zeros_and_ones_are_binary_whatever_their_dtype(tmp_path):
    dataset = load(tmp_path, {"x_train": np.eye(20)})
    assert dataset.binary
    assert dataset.train.x.dtype == np.uint8


BAD = {
    "dtype": ({"x_train": np.ones((20, 2), complex)}, {}, "dtype complex128; it must be numbers"),
    "first": ({"x_train": np.zeros((20, 3, 8, 8), np.uint8)}, {}, "channels must come last: x.transpose(0, 2, 3, 1)"),
    "overflow": ({"x_train": np.full((20, 2), 1e39)}, {"maximum": 1e40}, "holds 1e+39 at row 0, column 0; it is too"),
    "rank": ({"x_train": np.ones(20)}, {}, "shape (20,)"),
    "empty": ({"x_train": np.ones((0, 3))}, {}, "shape (0, 3)"),
    "nan": (
        {"x_train": np.full((20, 2), np.nan)},
        {},
        "nan at row 0, column 0; values must not be NaN",
    ),
    "range": ({"x_train": np.full((20, 2), 3.5)}, {}, "holds 3.5 at row 0, column 0; allowed: dataset.minimum=0 to"),
    "negative": ({"x_train": np.full((20, 2), -3)}, {}, "holds -3 at row 0, column 0; allowed: dataset.minimum=0 to"),
    "levels": ({"x_train": np.full((20, 2), 9, np.uint8)}, {"maximum": 5.0}, "holds 9 at row 0, column 0; allowed:"),
    "name": ({"other": np.ones((20, 2))}, {}, "no array x_train; it holds: other"),
    "events": ({"x_train": np.zeros((20, 2)), "t": np.zeros((5, 3))}, {"test": "t"}, "t has events (3,)"),
    "labels": (
        {"x_train": np.zeros((20, 2)), "l": np.zeros(3, int)},
        {"labels": "l"},
        "must be (20,) whole numbers or",
    ),
    "named": ({"x_train": np.zeros((20, 2))}, {"labels": "l"}, "no array l; it holds: x_train"),
    "bounds": ({"x_train": np.full((20, 2), 0.5)}, {"minimum": 2.0}, "must be less than"),
    "far": (
        {"x_train": 1e6 + np.linspace(0, 1, 40).reshape(20, 2)},
        {"maximum": 2e6},
        "holds 1000000 to 1000001, where float32 has 16 numbers; set dataset.rescale=true with dataset.minimum",
    ),
    "far when moved": (
        {"x_train": 1e6 + np.linspace(0, 1, 40).reshape(20, 2)},
        {"maximum": 1e12, "rescale": True, "minimum": -1e12},
        "where float32 has 0 numbers",
    ),
    "far and moved in float32": (
        {"x_train": 1e6 + np.linspace(0, 10, 40).reshape(20, 2)},
        {"maximum": 2e6, "rescale": True, "minimum": 1e6},
        "holds 1000000 to 1000010, where float32 has 160 numbers",
    ),
    "far in one column": (
        {"x_train": np.stack([1e6 + np.linspace(0, 1, 40), np.linspace(0, 1, 40)], 1)},
        {"maximum": 2e6},
        "holds 1000000 to 1000001 in column 0, where float32 has 16 numbers; give its values in another unit",
    ),
    "pickled": ({"x_train": np.array([{}, []], dtype=object)}, {}, "not a readable .npz file of plain arrays"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_are_refused_in_one_sentence(case, tmp_path):
    arrays, options, sentence = BAD[case]
    with pytest.raises(UserError) as error:
        load(tmp_path, arrays, **options)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_bad_files(content, tmp_path):
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"own.npz"):
        Npz(path=str(tmp_path / "own.npz")).load()
    assert (tmp_path / "own.npz").read_bytes() == content


def test_truncated_archives(tmp_path):
    load(tmp_path, {"x_train": np.random.default_rng(0).random((50, 4))})
    content = (tmp_path / "own.npz").read_bytes()
    for end in range(0, len(content), 97):
        (tmp_path / "cut.npz").write_bytes(content[:end])
        with pytest.raises(UserError):
            Npz(path=str(tmp_path / "cut.npz")).load()


def test_missing_file():
    with pytest.raises(UserError, match=r"dataset.path=/.*/nowhere.npz is not a file"):
        Npz(path="nowhere.npz").load()


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_whole_numbers_are_one_data_set_in_every_dtype_and_file(dtype, tmp_path):
    x = np.random.default_rng(0).integers(0, 17, (60, 4))
    expected = load(tmp_path, {"x_train": x.astype(np.uint8)}, maximum=16.0)
    found = load(tmp_path, {"x_train": x.astype(dtype)}, maximum=16.0)
    assert found.digest() == expected.digest()
    assert found.preprocessing == expected.preprocessing
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", fmt="%d" if dtype == np.uint8 else "%.18e")
    np.save(tmp_path / "x.npy", np.asfortranarray(x.astype(dtype)))
    for name in ("x.csv", "x.npy"):
        assert Npz(path=str(tmp_path / name), maximum=16.0).load().digest() == expected.digest()


@pytest.mark.parametrize(("top", "said"), [(16, True), (127, True), (128, False)])
def test_a_default_maximum_far_above_the_data_is_said(top, said, tmp_path, caplog):
    x = np.random.default_rng(0).integers(0, top + 1, (60, 4)).astype(np.uint8)
    x[0, 0] = top
    load(tmp_path, {"x_train": x})
    assert (f"never exceed {top}, and dataset.maximum is 255 by default" in caplog.text) == said
    caplog.clear()
    load(tmp_path, {"x_train": x}, maximum=255.0)
    assert not caplog.records


def test_usual_names_are_used_and_it_is_said(tmp_path, caplog):
    caplog.set_level("INFO")
    generator = np.random.default_rng(0)
    arrays = {f"x_{n}": generator.integers(0, 256, (k, 3)) for n, k in (("train", 40), ("valid", 8), ("test", 9))}
    for name in ("train", "test"):
        arrays[f"y_{name}"] = np.array(["cat", "dog"])[generator.integers(0, 2, len(arrays[f"x_{name}"]))]
    found = load(tmp_path, arrays)
    for role, name in (("train", "train"), ("validation", "valid"), ("test", "test")):
        np.testing.assert_array_equal(found.split(role).x, arrays[f"x_{name}"])
    assert found.classes == ("cat", "dog")
    assert found.validation.label is None
    np.testing.assert_array_equal(np.array(found.classes)[found.test.label], arrays["y_test"])
    assert "x_test is the test split, as its name says" in caplog.text
    assert "labels from y_train, y_test" in caplog.text
    off = load(tmp_path, arrays, validation=None, test=None, labels=None)
    assert [len(s) for s in off.splits.values()] == [32, 4, 4]
    assert off.train.label is None


def test_several_arrays_with_a_usual_name_are_told(tmp_path, caplog):
    x = np.random.default_rng(0).random((20, 2))
    arrays = {"x_train": x, "x_dev": x[:3], "x_valid": x[:9], "x_validation": x[:7]}
    found = load(tmp_path, arrays)
    assert len(found.validation) == 7
    assert (
        "x_validation is taken as the validation split, and x_valid, x_dev, which may be one by name too, is not"
        in (caplog.text)
    )
    caplog.clear()
    assert len(load(tmp_path, arrays, validation="x_dev").validation) == 3
    load(tmp_path, {"x_train": x, "x_val": x[:5]})
    assert "may be one" not in caplog.text


def test_twelve_rows_are_enough_and_eleven_too_many_are_told(tmp_path):
    assert [len(s) for s in load(tmp_path, {"x_train": np.eye(12)}).splits.values()] == [8, 2, 2]
    with pytest.raises(UserError, match=r"dataset\.validation_size=2 and dataset\.test_size=11 leave nothing"):
        load(tmp_path, {"x_train": np.eye(12)}, test_size=11)


def test_what_is_not_asked_for_is_not_read(tmp_path):
    found = load(tmp_path, {"x_train": np.eye(20), "notes": np.array([{}], dtype=object)})
    assert found.binary


def test_paths_are_recorded_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Npz(path="own.npz").path == str(tmp_path / "own.npz")
    assert Npz(path="~/own.npz").path == str(tmp_path / "home" / "own.npz")


def test_a_column_of_labels_by_name(tmp_path):
    lines = [f"{i},{'ox' if i % 3 else 'ass'},{i % 7}" for i in range(30)]
    (tmp_path / "x.csv").write_text("\n".join(["a,kind,b", *lines]))
    found = Npz(path=str(tmp_path / "x.csv"), labels="kind", maximum=30.0).load()
    assert found.classes == ("ass", "ox")
    assert found.preprocessing.columns == ("a", "b")
    for split in found.splits.values():
        np.testing.assert_array_equal(split.label, split.x[:, 0] % 3 != 0)
    with pytest.raises(UserError, match="column kind holds 'ass' in line 2, which is no number"):
        Npz(path=str(tmp_path / "x.csv"), maximum=30.0).load()
    with pytest.raises(UserError, match="has no column sort; it has: a, kind, b"):
        Npz(path=str(tmp_path / "x.csv"), labels="sort").load()
