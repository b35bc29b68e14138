"""Intervals that cover as often as they say, whatever the draws' spread."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy.stats import norm

from sbvi.data.tabular.columns import Column
from sbvi.evaluation.calibrated_tails import CalibratedTails, calibrate
from sbvi.evaluation.filling import fill
from sbvi.evaluation.hidden_entries import Places
from sbvi.inference.resampling import Resampled

COLUMNS = (
    Column("wide", "continuous", 3.0, 2.0),
    Column("site", "categorical", values=("x", "y")),
    Column("narrow", "continuous", -1.0, 0.5),
    Column("visits", "count", 1.2, 0.7, 0.0, 40.0),
)
#: Standard deviations of the truth where draws are N(0, 1), in held numbers.
TRUTH = np.array([0.4, 1.0, 1.8, 1.0])


def draw(params, key, x):
    """Draws that do not look at what is there: of the last columns 0 and 1."""
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    draws = generator.normal(size=(400, *x.shape))
    draws[..., 1::2] = draws[..., 1::2] > 0
    return Resampled(draws.mean(0), draws, np.full(len(x), 400.0), np.ones(len(x)))


def held(count, seed):
    values = TRUTH * np.random.default_rng(seed).normal(size=(count, 4))
    values[:, 1::2] = values[:, 1::2] > 0
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def tails():
    parts = [(draw, (), Places.of(held(600, seed), 0.5, seed)) for seed in (1, 2)]
    return calibrate(COLUMNS, parts, 0)


@pytest.mark.parametrize("interval", [0.5, 0.9])
def test_intervals_cover_what_was_not_held_out(tails, interval):
    x = held(3000, 9)
    table = SimpleNamespace(table=COLUMNS, to_source=lambda values: values)
    gaps = np.full_like(x, np.nan)
    found = fill(draw, (), table, gaps, 0, interval, tails=tails(interval))
    plain = fill(draw, (), table, gaps, 0, interval)
    np.testing.assert_array_equal(found.median, plain.median)
    for column, held_column in zip((0, 2), x.T[[0, 2]], strict=True):
        truth = COLUMNS[column].location + COLUMNS[column].scale * held_column
        inside = (found.lower[:, column] <= truth) & (truth <= found.upper[:, column])
        before = (plain.lower[:, column] <= truth) & (truth <= plain.upper[:, column])
        assert inside.mean() == pytest.approx(interval, abs=0.04)
        assert abs(before.mean() - interval) > 0.06
    for column in (1, 3):
        np.testing.assert_array_equal(found.lower[:, column], plain.lower[:, column])


@pytest.mark.parametrize("interval", [0.5, 0.9])
def test_intervals_of_a_positive_column_cover_by_its_law(interval):
    """Held numbers are N(0, deviation^2), so that the column is log-normal: P(lower < x < upper) is a difference of two
    normal distribution functions."""
    columns = (Column("income", "positive", 0.7, 1.5, 0.01, 900.0), COLUMNS[1])

    def some(count, seed):
        values = 0.6 * np.random.default_rng(seed).normal(size=(count, 2))
        values[:, 1] = values[:, 1] > 0
        return values.astype(np.float32)

    parts = [(draw, (), Places.of(some(1000, seed), 0.5, seed)) for seed in (1, 2, 3)]
    tails = calibrate(columns, parts, 0)
    x = some(3000, 9)
    table = SimpleNamespace(table=columns, to_source=lambda values: values)
    found = fill(draw, (), table, np.full_like(x, np.nan), 0, interval, tails=tails(interval))
    truth = columns[0].back(x[:, 0].astype(float))
    inside = (found.lower[:, 0] <= truth) & (truth <= found.upper[:, 0])
    assert inside.mean() == pytest.approx(interval, abs=0.04)
    below, above = (norm.cdf(columns[0].store(bound[:, 0]) / 0.6) for bound in (found.lower, found.upper))
    assert (above - below).mean() == pytest.approx(interval, abs=0.04)


def test_a_column_with_few_entries_leans_on_all_columns():
    """t of draws that are right is uniform on [0, 1/2]: there the tail is (1 - p) / 2."""
    right = np.linspace(0, 0.5, 4001)
    few = np.full(3, 0.4)
    both = CalibratedTails((right, few, np.empty(0)))(0.9)
    np.testing.assert_allclose(both, [0.05, 0.05, 0.05], atol=0.005)
    many = CalibratedTails((right, np.full(5000, 0.4), np.empty(0)))(0.9)
    assert many[1] == pytest.approx(0.4, abs=0.01)
    assert many[0] == pytest.approx(0.05, abs=0.005)


def test_nothing_is_calibrated_without_numbers_held_out():
    places = Places.of(held(50, 3), 0.0, 0)
    assert calibrate(COLUMNS, [(draw, (), places)], 0) is None
    named = (COLUMNS[1], COLUMNS[1])
    coded = Places.of(held(50, 3)[:, [1, 3]], 0.5, 0)
    assert calibrate(named, [(draw, (), coded)], 0) is None


LARGE = pytest.param(200, 1800, marks=pytest.mark.slow)


@pytest.mark.parametrize("interval", [0.5, 0.9])
@pytest.mark.parametrize(("own", "others"), [(1, 0), (3, 0), (10, 0), (40, 0), (10, 90), (3, 2000), LARGE])
def test_however_few_entries_are_held_out_the_mean_coverage_is_what_was_asked(own, others, interval):
    """The k-th of n values of a uniform law has mean k / (n + 1), n + 1 of which are the spaces between them and the
    ends. An interval between tails a covers 1 - 2a of draws that are right; the mean is over what is held out."""
    generator = np.random.default_rng([own, others])
    covered = []
    for _ in range(4000):
        parts = [np.sort(generator.uniform(0, 0.5, size)) for size in (own, others)]
        covered.append(1 - 2 * CalibratedTails(tuple(parts))(interval)[0])
    error = np.std(covered) / np.sqrt(len(covered))
    assert np.mean(covered) == pytest.approx(interval, abs=0.003 + 3 * error)
