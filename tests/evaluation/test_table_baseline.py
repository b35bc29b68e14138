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
    """Nothing is known of a column of numbers that no training row has; of one value it is as wide as its unit."""
    column, empty = COLUMNS[:1], np.full((3, 1), np.nan)
    assert columns_nll(column, empty, np.zeros((2, 1))) is None
    assert columns_nll(column, np.zeros((2, 1)), empty) == 0.0
    assert columns_nll(COLUMNS[4:5], empty, np.zeros((2, 1))) == pytest.approx(np.log(4))
    one = stats.norm(70 + 12 * 0.5, 12).logpdf(70)
    assert columns_nll(column, np.full((2, 1), 0.5), np.zeros((1, 1))) == pytest.approx(-one)
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
