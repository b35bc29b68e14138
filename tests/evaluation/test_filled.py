"""Scores of values that were filled in."""

import numpy as np
import pytest

from sbvi.evaluation.filled import log_losses, squares, within

pytestmark = pytest.mark.quick


def test_errors_are_of_missing_places_alone():
    truth, guess = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[0.8, 9.0], [0.5, 0.25]])
    missing = np.array([[True, False], [True, True]])
    assert squares(guess, truth, missing) == pytest.approx(0.04 + 0.25 + 0.5625)
    assert log_losses(guess, truth, missing) == pytest.approx(-np.log(0.8 * 0.5 * 0.25))


def test_sums_of_draws_cover_as_often_as_they_should():
    """Truth and draws of one law with dependent values; draws that are too narrow, or off, cover less."""
    generator = np.random.default_rng(0)

    def drawn(*shape):
        return generator.normal(size=(*shape, 1)) + 0.3 * generator.normal(size=(*shape, 3))

    truth, missing = drawn(2000), np.tile([True, False, True], (2000, 1))
    draws = drawn(8, 50, 2000)
    draws[..., 1] = 1e6  # is not looked at
    assert within(draws, truth, missing).mean() == pytest.approx(0.9, abs=0.02)
    assert within(0.5 * draws, truth, missing).mean() < 0.7
    apart = generator.permuted(draws, axis=1)  # each value by itself has the same law
    assert within(apart, truth, missing).mean() < 0.83


@pytest.mark.parametrize("count", [4, 30])
def test_few_draws_of_few_bits_cover_as_often_too(count):
    """Where sums are often equal and quantiles of so few draws would be too narrow."""
    generator = np.random.default_rng(1)
    chances = generator.random((8000, 3))
    truth, draws = (1.0 * (generator.random((*shape, 8000, 3)) < chances) for shape in ((), (count,)))
    missing = np.tile([True, True, False], (8000, 1))
    assert within(draws, truth, missing).mean() == pytest.approx(0.9, abs=0.01)
    assert within(1 - draws, truth, missing).mean() < 0.88
