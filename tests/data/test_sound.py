"""Data sets of packages: what they hold is what their preprocessing says, or a sentence tells where it is not."""

from dataclasses import replace
from types import SimpleNamespace

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
        (held(GOOD + 0j), r"has x that is an array of complex128; allowed: a NumPy array of real numbers\.$"),
        (held(GOOD.astype(object)), "has x that is an array of object; allowed"),
        (replace(held(GOOD), train=Split([[1, 2, 3, 4]])), "has x that is a list; allowed"),
        (replace(held(GOOD), train=Split(None)), "has x that is None; allowed"),
        (held(GOOD, [0, 1]), "has labels that are a list; allowed"),
        (held(GOOD, SimpleNamespace(dtype="Int64", shape=(2,))), "has labels that are an array of shape .2,.; allowed"),
        (replace(held(GOOD), train=GOOD), r"is an array of shape \(2, 4\); it must be an sbvi\.data\.Split\.$"),
    ],
)
def test_what_a_package_holds_is_what_it_says(dataset, said):
    with pytest.raises(UserError, match=f"^The data set Mine: the train split {said}"):
        sound(dataset, Mine)
    assert sound(dataset, Digits) is dataset  # of sbvi, whose values were checked as they were stored


@pytest.mark.parametrize(("given", "said"), [(None, "None"), ((GOOD, GOOD, GOOD), "a tuple")])
def test_what_a_package_loads_is_a_data_set(given, said):
    with pytest.raises(UserError, match=rf"^Mine\.load gives {said}; it must give an sbvi\.data\.Dataset\.$"):
        sound(given, Mine)
    odd = replace(held(GOOD), preprocessing=given)
    with pytest.raises(UserError, match=f"^The data set Mine: its preprocessing is {said}; it must be an "):
        sound(odd, Mine)


def test_what_is_sound_is_taken():
    whole = held(GOOD, np.zeros(2, np.int32))
    assert sound(whole, Mine) is whole
    real = replace(whole, preprocessing=Preprocessing.real((4,)))
    assert sound(real, Mine) is real
