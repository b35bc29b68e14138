"""Frames by split: dtypes of categories, and splits without rows."""

import numpy as np
import pandas as pd
import pytest

import sbvi
from sbvi.core import UserError
from sbvi.runs.frame_splits import joined

pytestmark = pytest.mark.quick

N = 12
FRAME = pd.DataFrame({"a": np.arange(N) / 7})
GRADES = ["lo", "mid", "hi"]


def graded(cells, levels, ordered=True):
    return FRAME.assign(g=pd.Categorical(np.resize(np.array(cells, dtype=object), N), levels, ordered=ordered))


TRAIN = graded(GRADES, GRADES)


@pytest.mark.parametrize(
    "test",
    [
        graded(["lo", "hi"], ["lo", "hi"]),
        graded(["lo"], GRADES),
        graded(["hi", "lo", None], ["hi", "lo"], ordered=False),
        FRAME.assign(g=["mid", None] * 6),
    ],
)
def test_the_training_frames_order_is_that_of_all(test):
    frame, column = joined({"train": TRAIN, "test": test})
    assert column == "split"
    assert frame["g"].dtype == TRAIN["g"].dtype
    assert frame["g"].isna().sum() == test["g"].isna().sum()
    assert list(frame["g"][N:].dropna()) == list(test["g"].dropna())
    assert TRAIN.columns.tolist() == ["a", "g"]


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (graded(["lo"], ["hi", "lo"]), "has the order hi, lo; that of x['train'] is lo, mid, hi."),
        (graded(["lo"], ["lo", "top"]), "has the category top; those of x['train'] are lo, mid, hi, in this order."),
        (FRAME.assign(g="low"), "has the category low; those of x['train'] are lo, mid, hi, in this order."),
        (FRAME.assign(g=[[1]] * N), "holds [1] in row 0; a cell must be a real number, a text, a time, or true or"),
    ],
)
def test_another_order_or_category_is_refused(test, said):
    with pytest.raises(UserError) as caught:
        joined({"train": TRAIN, "test": test})
    assert str(caught.value).startswith(f"x['test']: column g {said}")


def test_numbers_that_are_names_stay_these():
    """Of categories that differ pandas makes numbers."""
    train = graded([501, 7], [501, 7], ordered=False)
    for test, categories in (
        (graded([7], [7], ordered=False), [501, 7]),
        (FRAME.assign(g=7.0), [501, 7]),
        (graded([9, 7], [7, 9], ordered=False), [501, 7, 9]),
    ):
        frame, _ = joined({"train": train, "test": test})
        assert list(frame["g"].cat.categories) == categories
        assert not frame["g"].isna().any()
    order = graded([100, 4, 30], [100, 4, 30])
    assert joined({"train": order, "test": FRAME.assign(g=30)})[0]["g"].dtype == order["g"].dtype


def test_a_split_without_rows_is_refused(tmp_path):
    """And not drawn from the others."""
    with pytest.raises(UserError, match=r"^x\['test'\] has shape \(0, 2\); it must be \(N, D\) with rows, or be left"):
        sbvi.train(["experiment=table"], tmp_path / "run", x={"train": TRAIN, "test": TRAIN.head(0)})
    assert not (tmp_path / "run").exists()
