from typing import Literal

import pytest

from sbvi.core import Positive, PositiveInt, UserError, build, make, plain, spec

pytestmark = pytest.mark.quick


@spec
class Inner:
    size: PositiveInt = 1


@spec
class Entry:
    count: PositiveInt = 3
    rate: Positive | None = None
    kind: Literal["first", "second"] = "first"
    sizes: tuple[PositiveInt, ...] = (1, 2)
    inner: Inner = Inner()
    either: tuple[PositiveInt, ...] | Inner = (1,)

    def __post_init__(self):
        if self.count == 13:
            raise ValueError("count=13 is refused")


def test_round_trip():
    entry = make(Entry, {"count": 5, "rate": 2, "sizes": [4], "inner": {"size": 9}}, "group")
    assert entry == Entry(count=5, rate=2.0, sizes=(4,), inner=Inner(size=9))
    assert make(Entry, plain(entry), "group") == entry
    assert make(Entry, {"rate": 10**20}, "group").rate == 1e20  # of a number that is not whole there is a float


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"count": 0}, "group.count=0 should be greater than 0."),
        ({"count": "3"}, 'group.count="3" should be a valid integer.'),
        ({"count": True}, "group.count=true should be a valid integer."),
        ({"count": 13}, "group: count=13 is refused."),
        ({"rate": float("nan")}, "group.rate=NaN should be a finite number."),
        ({"kind": "frist"}, "group.kind=frist is not known (did you mean first?); allowed: first, second."),
        ({"inner": 3}, "group.inner=3 must be a group of settings: give one of group.inner.size."),
        ({"sizes": [1, -2]}, "group.sizes[1]=-2 should be greater than 0."),
        ({"cuont": 1}, "group.cuont=1 is not a key (did you mean group.count?)"),
        ({"inner": {"sise": 1}}, "group.inner.sise=1 is not a key (did you mean group.inner.size?)"),
        ({"inner": {"size": -1}}, "group.inner.size=-1 should be greater than 0."),
        ({"either": 3}, "group.either=3 must be a list, such as group.either=[3]"),
        ({"either": {"size": -1}}, "group.either.size=-1 should be greater than 0."),
        ({"either": {"sise": 1}}, "group.either.sise=1 is not a key (did you mean group.either.size?)"),
        ({"count": object()}, "not plain data"),
        ({"count": 10**20}, "group.count=100000000000000000000 must be a whole number of at most 9007199254740992."),
        ({"sizes": [1, 2**53 + 1]}, "group.sizes[1]=9007199254740993 must be a whole number of at most"),
        ({"inner": {"size": 2**64}}, "group.inner.size=18446744073709551616 must be a whole number of at most"),
    ],
)
def test_one_sentence_for_a_mistake(values, sentence):
    with pytest.raises(UserError) as error:
        make(Entry, values, "group")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_name_lists_choices():
    with pytest.raises(UserError, match=r"group.name=entri is not known \(did you mean entry\?\); allowed: entry"):
        build({"entry": Entry}, "group", {"name": "entri"})
