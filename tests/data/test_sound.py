"""Data sets of packages: what they hold is what their preprocessing says, or a sentence tells where it is not."""

from dataclasses import replace

import numpy as np
import pytest

from sbvi.core import UserError
from sbvi.data import Dataset, Preprocessing, Split
from sbvi.data.sound import sound
from sbvi.data.sources.digits import Digits

pytestmark = pytest.mark.quick


class Mine:
    """A spec of a package."""


def held(x, label=None, preprocessing=None):
    part = Split(np.asarray(x), label)
    return Dataset("mine", part, part, part, preprocessing or Preprocessing.whole((4,), 16))


GOOD = np.arange(8).reshape(2, 4)


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        (
            held(GOOD, preprocessing=Preprocessing.real((5,))),
            r"has examples of shape \(4,\); its preprocessing says \(5,\)",
        ),
        (held(GOOD, np.zeros(1, np.int32)), r"has labels of shape \(1,\); it must be \(2,\), one each"),
        (held(GOOD + 10), r"holds values from 10 to 17; its preprocessing says whole numbers 0..16"),
        (held(GOOD / 16), "holds values from 0 to 0.4375; its preprocessing says whole numbers 0..16"),
        (held(GOOD * np.nan, preprocessing=Preprocessing.real((4,))), "holds NaN or an infinite value; every value"),
    ],
)
def test_what_a_package_holds_is_what_it_says(dataset, said):
    with pytest.raises(UserError, match=f"^The data set Mine: the train split {said}"):
        sound(dataset, Mine)
    assert sound(dataset, Digits) is dataset  # of sbvi, whose values were checked as they were stored


def test_what_is_sound_is_taken():
    whole = held(GOOD, np.zeros(2, np.int32))
    assert sound(whole, Mine) is whole
    real = replace(whole, preprocessing=Preprocessing.real((4,)))
    assert sound(real, Mine) is real
