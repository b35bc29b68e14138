"""The likelihood of a table's columns by themselves, beside scipy's laws of the source's values."""

import numpy as np
import pytest
from scipy import stats

from sbvi.data import Dataset, Preprocessing, Split
from sbvi.data.tabular.columns import Column, store
from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.evaluation import Evaluation, Evaluator
from sbvi.evaluation.baseline import independent_nll
from sbvi.evaluation.table_baseline import columns_nll
from sbvi.models import MODELS
from sbvi.models.values import DataFacts

COLUMNS = (
    Column("weight", "continuous", 70.0, 12.0),
    Column("income", "positive", 10.0, 0.7),
    Column("visits", "count", 1.0, 0.5),
    Column("rare", "count", 0.1, 0.5),
    Column("town", "categorical", values=("a", "b", "c", "never")),
    Column("rank", "ordinal", values=(1.0, 2.0, 5.0)),
    Column("ill", "binary", values=(False, True)),
)


def source(rows, seed):
    """Values of each kind, a fifth of them missing."""
    draws = np.random.default_rng(seed)
    x = np.stack(
        [
            draws.normal(65, 9, rows), draws.lognormal(9, 1.1, rows), draws.negative_binomial(2, 0.3, rows),
            draws.binomial(1, 0.2, rows), draws.integers(0, 3, rows), draws.integers(0, 3, rows),
            draws.integers(0, 2, rows),
        ],
        1,
    ).astype(np.float64)  # fmt: skip
    x[draws.random(x.shape) < 0.2] = np.nan
    return x


def expected(train, test):
    """By column the sum of -log p over test entries, from scipy's laws of the source's own values."""
    log_p = np.zeros(len(COLUMNS))
    for d, column in enumerate(COLUMNS):
        a, b = (x[~np.isnan(x[:, d]), d] for x in (train, test))
        if column.kind == "continuous":
            log_p[d] = stats.norm(a.mean(), a.std()).logpdf(b).sum()
        elif column.kind == "positive":
            log_p[d] = stats.lognorm(s=np.log(a).std(), scale=np.exp(np.log(a).mean())).logpdf(b).sum()
        elif column.kind == "count":
            mean, variance = (a.sum() + 0.5) / len(a), a.var()
            law = stats.poisson(mean)
            if variance > mean:
                law = stats.nbinom(mean**2 / (variance - mean), mean / variance)
            log_p[d] = law.logpmf(b).sum()
        else:
            size = len(column.values)
            log_p[d] = sum(np.log((np.sum(a == code) + 1) / (len(a) + size)) for code in b)
    return -log_p


def test_columns_of_every_kind_with_gaps():
    train, test = source(400, 0), source(150, 1)
    held = [store(COLUMNS, x, "x") for x in (train, test)]
    per_column = expected(train, test)
    assert columns_nll(COLUMNS, *held) == pytest.approx(per_column.sum() / 150, rel=1e-12)
    for d, column in enumerate(COLUMNS):
        alone = columns_nll((column,), held[0][:, d : d + 1], held[1][:, d : d + 1])
        assert alone == pytest.approx(per_column[d] / 150, rel=1e-12)
    splits = [Split(x.astype(np.float32)) for x in (held[0], held[1], held[1])]
    dataset = Dataset("x", *splits, Preprocessing((len(COLUMNS),), table=COLUMNS))
    for discrete in (False, True):
        assert independent_nll(dataset, discrete) == pytest.approx(per_column.sum() / 150, rel=1e-5)


def test_columns_without_a_law():
    """Nothing is known of a column of numbers that no training row has; one of a single value is as wide as that."""
    column, empty = COLUMNS[:1], np.full((3, 1), np.nan)
    assert columns_nll(column, empty, np.zeros((2, 1))) is None
    assert columns_nll(column, np.zeros((2, 1)), empty) == 0.0
    assert columns_nll(COLUMNS[4:5], empty, np.zeros((2, 1))) == pytest.approx(np.log(4))
    one = stats.norm(70 + 12 * 0.5, 70 + 12 * 0.5).logpdf(70)
    assert columns_nll(column, np.full((2, 1), 0.5), np.zeros((1, 1))) == pytest.approx(-one)
    positive = stats.lognorm(s=1, scale=np.exp(10 + 0.7 * 0.5)).logpdf(np.exp(10.0))
    assert columns_nll(COLUMNS[1:2], np.full((2, 1), 0.5), np.zeros((1, 1))) == pytest.approx(-positive)
    none = stats.norm(0, 1).logpdf(70)  # of zero, which has no size, one unit
    assert columns_nll(column, np.full((2, 1), np.float32(-70 / 12)), np.zeros((1, 1))) == pytest.approx(-none)
    none = stats.poisson(0.5 / 5).logpmf([0, 2]).mean()
    assert columns_nll(COLUMNS[2:3], np.zeros((5, 1)), np.array([[0.0], [2.0]])) == pytest.approx(-none)


@pytest.mark.parametrize(("missingness", "told"), [("ignored", True), ("self_masking", False)])
def test_a_likelihood_of_which_entries_are_missing_is_not_compared(missingness, told):
    """-log p of entries alone says nothing of one that counts their gaps too."""
    held = store(COLUMNS, source(30, 0), "x").astype(np.float32)
    dataset = Dataset("x", *[Split(held)] * 3, Preprocessing((len(COLUMNS),), table=COLUMNS))
    facts = DataFacts((len(COLUMNS),), False, None, table=COLUMNS)
    law = LIKELIHOODS["mixed"](continuous="gaussian", missingness=missingness)
    model = MODELS["dlgm"](latents=(2,), likelihood=law).build(facts)
    assert (Evaluator(model, dataset, Evaluation()).independent_nll is not None) == told


UNITS = np.array([1.0, 1.0, 0.01, 100.0, 3.0, 0.2])


def of_numbers(x, preprocessing):
    """A data set of source values, 200 of which train."""
    held = preprocessing.store(x)
    return Dataset("x", *[Split(part) for part in (held[:200], held[200:], held[200:])], preprocessing)


@pytest.mark.parametrize("way", ["none", "deviation", "range"])
@pytest.mark.parametrize("units", [1.0, UNITS])
def test_columns_of_other_units_differ_by_the_jacobian(way, units):
    """Columns of several spreads, one of them constant and one zero in training, beside scipy's laws of the source:
    whatever is done to the columns, and whatever they are measured in."""
    draws = np.random.default_rng(2)
    x = np.concatenate([draws.normal([1, -5, 0.2, 3], [1, 0.02, 5, 0.5], (300, 4)), np.full((300, 2), (7, 0))], 1)
    x[200:, 4:] += draws.normal(size=(100, 2))
    x *= units
    train, test = x[:200], x[200:]
    deviation = train.std(0)
    deviation[4:] = np.abs(train[0, 4]), 1.0
    wanted = -stats.norm(train.mean(0), deviation).logpdf(test).sum(1).mean()
    known, scale = Preprocessing.real((6,)).but(location=(0.0,) * 6, scale=(1.0,) * 6), np.ones(6)
    if way == "deviation":
        scale = np.where(train.std(0) > 0, train.std(0), 1.0)
        known = known.but(location=tuple(train.mean(0)), scale=tuple(scale))
    elif way == "range":
        scale = np.array([4.0, 0.1, 20.0, 2.0, 30.0, 0.5])
        known = known.but(location=tuple(train.min(0) - 1), scale=tuple(scale))
    found = independent_nll(of_numbers(x, known), False)
    assert found == pytest.approx(wanted - np.log(scale).sum(), abs=1e-4)


@pytest.mark.parametrize("dequantize", [False, True])
def test_values_of_one_range_have_one_floor_as_rows_and_as_images(dequantize):
    """Values 0..15 of which three hardly move: these have a hundredth of the mean variance."""
    draws = np.random.default_rng(3)
    x = np.stack([draws.integers(0, 16, 300), draws.integers(4, 9, 300), np.full(300, 3), np.zeros(300)], 1)
    known = Preprocessing.whole((4,), 15).but(dequantize=dequantize)
    seen = ((x + 0.5) / 16 if dequantize else x / 15).astype(np.float64)
    noise = 1 / (12 * 16**2) if dequantize else 0.0
    for shape in ((4,), (2, 2)):
        variance = seen[:200].var(0) + noise
        variance = np.maximum(variance, 0.01 * variance.mean())
        squares = np.square(seen[200:] - seen[:200].mean(0)).mean(0) + noise
        wanted = 0.5 * np.sum(squares / variance + np.log(2 * np.pi * variance))
        dataset = of_numbers(x.reshape(300, *shape), known.but(event_shape=shape))
        assert independent_nll(dataset, False) == pytest.approx(wanted, rel=1e-5)
