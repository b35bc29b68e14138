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


@pytest.mark.parametrize("words", [("red", "", "blue"), ("0", "", "1"), ("red", "NA", "blue")])
@pytest.mark.parametrize("types", ["found", "numbers"])
def test_empty_labels_are_refused_by_number(words, types, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b,label\n" + "".join(f"{i}.5,{i % 7}.25,{words[i % 3]}\n" for i in range(30)))
    with pytest.raises(UserError) as caught:
        Table(path=str(path), labels="label", types=types).load()
    assert "label has 10 empty labels of 30, the first in row 1; leave these rows out" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"b": np.nan},
            "column b lacks 1 of 100 values, the first in row 3; every row must be complete",
        ),
        ({"b": np.inf}, "holds inf at row 3, column b"),
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
