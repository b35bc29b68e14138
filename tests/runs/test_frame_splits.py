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
        (
            graded(["lo", "top"], ["lo", "top"]),
            "has the category top; those of x['train'] are lo, mid, hi, in this order.",
        ),
        (FRAME.assign(g="low"), "has the category low; those of x['train'] are lo, mid, hi, in this order."),
        (FRAME.assign(g="1"), "has the category '1'; those of x['train'] are lo, mid, hi, in this order."),
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


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("width", ["float32", "float64"])
def test_numbers_of_other_widths_are_the_same_categories(ordered, width):
    """A float64 0.1 is none of the categories that are float32, and pandas makes a gap of it."""
    levels = np.array([0.1, 0.2, 0.3], "float32")
    train = FRAME.assign(g=pd.Categorical(np.resize(levels, N), levels, ordered=ordered))
    cells = np.resize(np.array([0.3, 0.1], width), N)
    for test in (cells, pd.Categorical(cells), levels.astype("float64")[[2, 0] * 6]):
        frame, _ = joined({"train": train, "test": FRAME.assign(g=test)})
        assert frame["g"].dtype == train["g"].dtype
        assert frame["g"].cat.codes.tolist() == [0, 1, 2] * 4 + [2, 0] * 6
    if not ordered:
        frame, _ = joined({"train": train, "test": FRAME.assign(g=np.resize([0.4, 0.1], N))})
        assert list(frame["g"].cat.categories) == [0.1, 0.2, 0.3, 0.4]
        assert frame["g"].cat.codes.tolist() == [0, 1, 2] * 4 + [3, 0] * 6


DAYS = pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"])


@pytest.mark.parametrize(
    ("train", "test", "told"),
    [
        (TRAIN, graded(["lo", "hi"], [*GRADES, "top"]), {}),
        (graded(["lo", "hi"], ["lo", "hi"]), graded(["lo", "hi"], ["hi", "lo"]), {}),
        (TRAIN, graded(["lo", "top"], ["lo", "top"]), {"g": "ignored"}),
        (TRAIN, graded(["hi", "lo"], ["hi", "lo"]), {"g": ["hi", "mid", "lo"]}),
        (graded(DAYS, DAYS), FRAME.assign(g=pd.Timestamp("2023-01-01")), {}),
    ],
)
def test_what_no_order_decides_is_not_refused(train, test, told):
    """A category that no cell holds, two of them, a column of which the user says more, and days."""
    frame, _ = joined({"train": train, "test": test}, told)
    assert frame["g"].astype(object).tolist() == [*train["g"], *test["g"]]


def test_an_order_in_a_column_that_is_left_out_is_no_matter(tmp_path):
    """What the words say of it is known where frames are joined and kept."""
    words = ["experiment=table", "dataset.columns={g: ignored}", "trainer.steps=1", "evaluation.num_samples=2"]
    x = {"train": TRAIN.assign(b=TRAIN["a"] ** 2), "test": graded(["top"], ["top", "lo"]).assign(b=1.5)}
    run = sbvi.train([*words, "model.latents=[2]"], tmp_path / "run", x=x)
    assert [column.name for column in run.preprocessing.table] == ["a", "b"]


def test_a_split_without_rows_is_refused(tmp_path):
    """And not drawn from the others."""
    with pytest.raises(UserError, match=r"^x\['test'\] has shape \(0, 2\); it must be \(N, D\) with rows, or be left"):
        sbvi.train(["experiment=table"], tmp_path / "run", x={"train": TRAIN, "test": TRAIN.head(0)})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("split", [False, True])
def test_sentences_tell_a_frame_by_its_rows(split, tmp_path, caplog):
    """Not by the lines of the file that keeps it; by split, by those of its own frame."""
    words = ["experiment=table", "trainer.steps=2", "evaluation.test=false"]
    numbers = pd.DataFrame({"a": [*map(str, range(20))], "b": np.arange(20) / 7}, index=range(100, 120))
    wrong = numbers.copy()
    wrong.iloc[7, 0], wrong.iloc[2, 1], wrong.iloc[4, 1] = "3o", np.nan, np.inf
    with pytest.raises(UserError) as caught:
        sbvi.train(words, tmp_path / "run", x={"train": numbers, "test": wrong} if split else wrong)
    own = " of x['test']" if split else ""
    assert str(caught.value) == (
        f"x: column b holds inf in row 4{own}; numbers must be finite, and NaN, in a file an empty cell, says that one "
        "is missing."
    )
    (warning,) = (line.getMessage() for line in caplog.records if line.levelname == "WARNING")
    assert warning.startswith("x: column a is ")
    assert f"holds '3o' in row 7{own} among numbers" in warning
