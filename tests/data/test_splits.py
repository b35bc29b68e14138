"""Cuts of data that has no official splits: every example once, with its own label, by the seed alone."""

import numpy as np
import pytest

from sbvi.data import Dataset, Preprocessing, Split, binarize
from sbvi.data.splits import blocks, held_out, seeded

pytestmark = pytest.mark.quick

X, LABEL = np.arange(40)[:, None], 3 * np.arange(40)


def of(parts):
    """The examples of each part, whose labels are looked at."""
    for part in parts:
        np.testing.assert_array_equal(part.label, 3 * part.x[:, 0])
    return [part.x[:, 0].tolist() for part in parts]


def test_a_seeded_split_has_every_example_once_with_its_label():
    first, again, other = (of(seeded(X, LABEL, 7, 5, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert [len(part) for part in first] == [28, 7, 5]
    assert sorted(np.concatenate(first)) == list(range(40)) != np.concatenate(first).tolist()


def test_blocks_are_in_the_order_of_the_examples():
    assert of(blocks(X, LABEL, 7, 5, 1)) == [list(range(28)), list(range(28, 35)), list(range(35, 40))]


def test_what_is_held_out_of_an_official_training_split_is_left_out_of_it():
    train = Split(X, LABEL)
    first, again, other = (of(held_out(train, 9, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert [len(part) for part in first] == [31, 9]
    assert sorted(np.concatenate(first)) == list(range(40))


def test_grey_values_are_drawn_apart_in_every_split_and_by_the_seed():
    grey = Split(np.full((20, 2, 3), 128, np.uint8))
    dataset = Dataset("grey", grey, grey, grey, Preprocessing.whole((2, 3), 255))
    drawn = [part.x for seed in (0, 5) for part in binarize(dataset, "static", seed).splits.values()]
    for place, one in enumerate(drawn):
        for other in drawn[:place]:
            assert (one != other).mean() > 0.2
