"""What the picture of an embedding says of its axes and colours."""

import numpy as np
import pytest

from sbvi.tasks.embedding import _draw, _heads, _plane

pytestmark = pytest.mark.quick

PLANE = np.random.default_rng(0).normal(size=(60, 2))


@pytest.mark.parametrize(
    ("size", "heads"),
    [
        (1, ("z, latent 0", "")),
        (2, ("z, latent 0", "z, latent 1")),
        (5, ("first component of z", "second component")),
    ],
)
def test_axes_are_named(size, heads):
    (axes,) = _draw(PLANE, None, None, 1.0, _heads("z", size)).get_axes()
    assert (axes.get_xlabel(), axes.get_ylabel()) == heads
    assert (len(axes.get_yticks()) == 0) == (size == 1)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_one_example_is_a_point(size):
    plane, _ = _plane(np.ones((1, size)))
    assert plane.shape == (1, 2)
    _draw(plane, None, None, 1.0, _heads("z", size))


def test_more_classes_than_there_are_colours_have_a_bar_and_few_a_legend():
    many, bar = _draw(PLANE, np.arange(60) % 47, None, 1.0, _heads("z", 2)).get_axes()
    assert bar.get_ylabel() == "label"
    assert many.get_legend() is None
    (few,) = _draw(PLANE, np.arange(60) % 3, ("a", "b", "c"), 1.0, _heads("z", 2)).get_axes()
    assert [text.get_text() for text in few.get_legend().get_texts()] == ["a", "b", "c"]
