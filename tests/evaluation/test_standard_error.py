import numpy as np
import pytest
from scipy import stats

from sbvi.evaluation.standard_error import standard_error

pytestmark = pytest.mark.quick


def test_it_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(90, 3, 57)
    assert standard_error(values) == pytest.approx(stats.sem(values), rel=1e-14)


def test_one_value_says_nothing_of_it():
    assert np.isnan(standard_error(np.array([4.0])))


def test_it_is_computed_in_all_digits():
    values = np.float32(1e4) + np.random.default_rng(0).normal(0, 1e-2, 1000).astype(np.float32)
    assert standard_error(values) == pytest.approx(stats.sem(values.astype(np.float64)), rel=1e-12)


def test_values_that_are_not_finite_have_none():
    assert np.isnan(standard_error(np.array([1.0, np.inf])))
