"""Tables of numbers, each column on its own scale."""

import numpy as np
import pytest

from sbvi.core import UserError
from sbvi.data.sources.table import Table


def rows(count=100):
    generator = np.random.default_rng(0)
    return np.stack([generator.normal(1e5, 10, count), generator.exponential(1e-3, count), np.full(count, 7.0)], 1)


def written(path, x, names="a,b,c"):
    np.savetxt(path, x, delimiter=",", header=names, comments="")
    return str(path)


@pytest.mark.parametrize("scale", ["deviation", "range", "none"])
def test_scales_are_of_the_training_rows_and_recorded(scale, tmp_path):
    x = rows()
    found = Table(path=written(tmp_path / "x.csv", x), scale=scale).load()
    known = found.preprocessing
    assert known.columns == ("a", "b", "c")
    back = known.to_source(np.concatenate([s.x for s in found.splits.values()]))
    np.testing.assert_allclose(back[np.argsort(back[:, 1])], x[np.argsort(x[:, 1])], rtol=1e-6, atol=1e-9)
    train = known.to_source(found.train.x)
    location, spread = {
        "deviation": (train.mean(0), train.std(0)),
        "range": (train.min(0), np.ptp(train, 0)),
        "none": (np.zeros(3), np.ones(3)),
    }[scale]
    np.testing.assert_allclose(known.location, location, rtol=1e-6)
    np.testing.assert_allclose(known.scale[:2], spread[:2], rtol=1e-4)
    assert known.scale[2] == 1  # of a constant column
    if scale == "deviation":
        np.testing.assert_allclose(found.train.x[:, :2].mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(found.train.x[:, :2].std(0), 1, atol=1e-5)


def test_labels_and_bits(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2, (40, 3))
    found = Table(path=written(tmp_path / "x.csv", bits, "a,b,y"), labels="y").load()
    assert found.binary
    assert found.event_shape == (2,)
    assert set(np.unique(found.train.label)) == {0, 1}


@pytest.mark.parametrize("types", ["found", "numbers"])
@pytest.mark.parametrize("labels", [None, "y"])
def test_a_column_says_which_split_a_row_is_of(types, labels, tmp_path, caplog):
    """Scales are of the rows for training; a split that no row is of is drawn from these."""
    path = tmp_path / "x.csv"
    parts = ["train"] * 70 + ["test"] * 20 + ["validation"] * 10
    order = np.random.default_rng(0).permutation(100)

    def write(parts):
        rows = [f"{10 * parts[i].startswith('t') + i / 100},{i % 4},{parts[i]},{i / 7}" for i in order]
        path.write_text("a,y,part,b\n" + "\n".join(rows) + "\n")

    def back(split):
        values = found.preprocessing.to_source(split.x)
        return values[:, 0] if types == "numbers" else np.asarray(values)[:, 0]

    write(parts)
    found = Table(path=str(path), types=types, split="part", labels=labels).load()
    assert found.preprocessing.columns == (("a", "b") if labels else ("a", "y", "b"))
    assert [len(split) for split in found.splits.values()] == [70, 10, 20]
    np.testing.assert_allclose(np.sort(back(found.train)), 10 + np.arange(70) / 100, rtol=1e-5)
    np.testing.assert_allclose(np.sort(back(found.validation)), np.arange(90, 100) / 100, rtol=1e-5)
    np.testing.assert_allclose(np.sort(back(found.test)), 10 + np.arange(70, 90) / 100, rtol=1e-5)
    if labels:
        np.testing.assert_array_equal(found.test.label, np.rint(100 * (back(found.test) - 10)).astype(int) % 4)
    table = found.preprocessing.table
    location = found.preprocessing.location[0] if table is None else table[0].location
    assert location == pytest.approx(10 + np.arange(70).mean() / 100)

    write([part.replace("validation", "train") for part in parts])
    found = Table(path=str(path), types=types, split="part", validation_size=8).load()
    assert [len(split) for split in found.splits.values()] == [72, 8, 20]
    np.testing.assert_allclose(np.sort(back(found.test)), 10 + np.arange(70, 90) / 100, rtol=1e-5)
    for told, sentence in (
        (
            {"test_size": 5},
            "dataset.test_size=5 has no use where dataset.split=part says which rows are the test split",
        ),
        ({"split": "prat"}, "has no column prat; it has: a, y, part, b"),
        ({"labels": "part"}, "dataset.split=part is dataset.labels too"),
    ):
        with pytest.raises(UserError, match=sentence):
            Table(**{"path": str(path), "types": types, "split": "part"} | told).load()
    for parts, sentence in (
        (
            ["train"] * 50 + ["Test"] * 50,
            r"column part holds Test in line \d+; allowed with dataset.split=part: train, val",
        ),
        (["train"] * 50 + [""] * 50, r"column part holds nan in line \d+"),
        (["test"] * 50 + ["validation"] * 50, "column part says train of no row"),
    ):
        write(parts)
        with pytest.raises(UserError, match=sentence):
            Table(path=str(path), types=types, split="part").load()
    if types == "found":
        lines = (f"{i / 3 if i > 30 else ''},{i / 7},{'test' if i > 30 else 'train'}" for i in range(60))
        path.write_text("a,b,part\n" + "\n".join(lines) + "\n")
        Table(path=str(path), types=types, split="part").load()
        assert "column a has no value among the training rows: nothing is learned of it." in caplog.text
        assert "column b has" not in caplog.text
    np.save(tmp_path / "x.npy", rows())
    with pytest.raises(
        UserError, match="is not a table with named columns" if types == "numbers" else "has no column part"
    ):
        Table(path=str(tmp_path / "x.npy"), types=types, split="part").load()


@pytest.mark.parametrize("words", [("red", "", "blue"), ("0", "", "1"), ("red", "NA", "blue")])
@pytest.mark.parametrize("types", ["found", "numbers"])
def test_empty_labels_are_refused_by_number(words, types, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b,label\n" + "".join(f"{i}.5,{i % 7}.25,{words[i % 3]}\n" for i in range(30)))
    with pytest.raises(UserError) as caught:
        Table(path=str(path), labels="label", types=types).load()
    assert "label has 10 empty labels of 30, the first in line 3; leave these rows out" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"b": np.nan},
            "column b lacks 1 of 100 values, the first in line 5; every row must be complete, or use "
            "dataset.types=found with model=dlgm likelihood=mixed.",
        ),
        ({"b": np.inf}, "holds inf at line 5, column b"),
    ],
)
def test_gaps_are_refused_by_column(change, sentence, tmp_path):
    x = rows()
    x[3, 1] = change["b"]
    with pytest.raises(UserError) as caught:
        Table(path=written(tmp_path / "x.csv", x)).load()
    assert sentence in str(caught.value)


def test_words_are_refused_by_column(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,red\n" * 1)
    with pytest.raises(UserError, match="column b holds 'red' in line 3"):
        Table(path=str(tmp_path / "x.csv")).load()
    np.savez(tmp_path / "x.npz", x=np.eye(4))
    with pytest.raises(UserError, match="use dataset=npz"):
        Table(path=str(tmp_path / "x.npz")).load()
