"""Entries held out of training, and several models of a table as one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.gaps import FactorAnalysis

from sbvi.data.tabular.columns import Column, centres
from sbvi.evaluation import hidden_entries
from sbvi.evaluation.hidden_entries import Places, Prediction, predicting
from sbvi.evaluation.linear_filling import Design, LinearFilling
from sbvi.evaluation.stacking import Beside, Mixture
from sbvi.inference.joint_gaussian import JointGaussian
from sbvi.inference.resampling import Resampled

COLUMNS = (
    Column("a", "continuous", 3.0, 2.0),
    Column("site", "categorical", values=("x", "y", "z")),
    Column("crp", "positive", 0.5, 1.5, 0.01, 60.0),
    Column("visits", "count", 1.2, 0.7, 0.0, 40.0),
    Column("sex", "binary", values=("f", "m")),
)


def table(count=300, gaps=0.2):
    """Held values: linear between columns as a network sees them."""
    generator = np.random.default_rng(0)
    z = generator.normal(size=count)
    a, crp = z + 0.3 * generator.normal(size=count), -z + 0.3 * generator.normal(size=count)
    visits = np.rint(np.exp(1.5 + 0.5 * z))
    site, sex = np.digitize(z, [-0.5, 0.5]), (generator.random(count) < 0.5)
    held = np.stack([a, site, crp, visits, sex], 1).astype(np.float32)
    return np.where(generator.random(held.shape) < gaps, np.float32(np.nan), held), held


def test_hidden_places_are_of_what_is_there():
    held, _ = table()
    places = Places.of(held, 0.1, 3)
    assert places.hidden.any()
    assert not (places.hidden & np.isnan(held[places.rows])).any()
    np.testing.assert_array_equal(np.isnan(places.truth), ~places.hidden)
    np.testing.assert_array_equal(places.truth[places.hidden], held[places.rows][places.hidden])
    rest = places.without(held)
    assert np.isnan(rest[places.rows][places.hidden]).all()
    assert np.isnan(rest).sum() == np.isnan(held).sum() + places.hidden.sum()
    assert (Places.of(held, 0.1, 4).hidden != places.hidden).any()
    few = Places.of(held[:4], 0.999, 0)
    kept = (~np.isnan(held[:4])).sum(0)
    assert not few.hidden[:, kept < 2].any()
    assert (kept - few.hidden.sum(0))[few.hidden.any(0)].min(initial=2) >= 2


def test_hidden_entries_are_scored_by_their_exact_densities(monkeypatch):
    """Of factor analysis in other units than its columns', with a recognition network that says the prior."""
    monkeypatch.setattr(hidden_entries, "SAMPLES", 5000)
    oracle = FactorAnalysis(D=4, K=2, dtype=jnp.float32, scale=2.5, location=-1.0)
    head = oracle.params.recognition["heads"][0]
    head["kernel"].set_value(0 * head["kernel"][...])
    head["bias"].set_value(0 * head["bias"][...])
    rows, _ = oracle.data(12, gaps=0.2)
    places = Places.of(rows.astype(np.float32), 0.3, 0)
    score, found = predicting(oracle.model)(oracle.params, jax.random.key(0), places)
    wanted = []
    for row, truth, mean, log_prob, hidden in zip(
        places.x.astype(np.float64), places.truth, found.mean, found.log_prob, places.hidden, strict=True
    ):
        exact, variance, _ = oracle.conditional(row)
        exact, variance, truth = (part[hidden] for part in (exact, variance, truth))
        normal = -0.5 * ((truth - exact) ** 2 / variance + np.log(2 * np.pi * variance)) - np.log(2.5)
        np.testing.assert_allclose(mean[hidden], 2.5 * exact, atol=0.25)
        np.testing.assert_allclose(log_prob[hidden], normal, atol=0.25)
        wanted += list(normal)
    assert score == pytest.approx(np.mean(wanted), abs=0.03)


@pytest.fixture(scope="module")
def filled():
    held, truth = table()
    linear = LinearFilling.fit(Design.of(COLUMNS), held, 0.05)
    return held, truth, linear


def test_linear_relations_fill_numbers_of_every_kind(filled):
    held, truth, linear = filled
    assert list(linear.design.numeric) == [0, 2, 3]
    assert list(linear.design.places) == [0, 4, 5]
    seen = linear.design(held)
    assert seen.shape == (300, 7)
    np.testing.assert_allclose(seen[:, 5], (np.log1p(held[:, 3]) - 1.2) / 0.7, rtol=1e-5)
    drawn = linear.draws(held, 4000, np.random.default_rng(0))
    rows = np.isnan(held[:, [0, 2, 3]])
    assert np.isfinite(drawn).all()
    whole = drawn[:, rows[:, 2], 2]
    assert (whole == np.rint(whole)).all()
    assert whole.min() >= 0
    source = np.stack([3 + 2 * drawn[..., 0], np.exp(0.5 + 1.5 * drawn[..., 1]), drawn[..., 2]], -1)
    source[..., 1:] = np.minimum(source[..., 1:], [60, 40])
    mean = linear.mean(held)
    assert np.abs(source.mean(0) - mean)[:, 0].max() < 0.1
    few = mean[:, 1] < 5  # far from the greatest training value, which bounds means
    np.testing.assert_allclose(source.mean(0)[few, 1], mean[few, 1], rtol=0.25)
    np.testing.assert_allclose(source.mean(0)[:, 2], mean[:, 2], atol=0.5, rtol=0.1)
    alone = rows[:, 0] & ~rows[:, 1]
    assert np.corrcoef(mean[alone, 0], truth[alone, 0])[0, 1] > 0.8


@pytest.mark.parametrize("good", [True, False])
def test_weights_go_to_what_says_hidden_entries_better(good, filled):
    held, _, _ = filled
    generator = np.random.default_rng(1)
    told = []
    for seed in (0, 1):
        places = Places.of(held, 0.2, seed)
        true = np.nan_to_num(places.truth.astype(np.float64))
        source = np.stack([3 + 2 * true[:, 0], true[:, 1], np.exp(0.5 + 1.5 * true[:, 2]), true[:, 3], true[:, 4]], 1)
        noise = generator.normal(size=source.shape) * np.nanstd(source, 0)
        said = source + (0.02 if good else 3.0) * noise - centres(COLUMNS)
        told.append(Prediction(places, np.zeros_like(source), said))
    found = Beside.fit(COLUMNS, held, told)
    assert found.weights.shape == (3,)
    assert found.weights.max() < 0.1 if good else found.weights.min() > 0.7
    assert Beside.fit(COLUMNS[1:2], held[:, 1:2], told) is None


def test_a_mixture_has_the_moments_of_its_parts():
    """Two members, N(0, 1) and N(2, 1), and a Gaussian N(5, 0.25) with weight 0.3 for the first column, none for the
    other."""
    columns = (Column("a", "continuous", 4.0), Column("b", "continuous", -3.0))  # means are told without these
    gaussian = JointGaussian(np.array([5.0, 5.0]), 0.25 * np.eye(2))
    beside = Beside(LinearFilling(Design.of(columns), gaussian), np.array([0.3, 0.0]))
    count = 4000

    def draw(params, key, x):
        generator = np.random.default_rng(int(params))
        draws = params + generator.normal(size=(count, *x.shape))
        return Resampled(np.full(x.shape, params), draws, np.full(len(x), 10.0 + params), np.ones(len(x)))

    x = jnp.full((3, 2), jnp.nan)
    found = Mixture(draw, beside)((0.0, 2.0), jax.random.key(0), x)
    np.testing.assert_allclose(found.mean, [[0.7 * 1 + 0.3 * 5, 1.0]] * 3)
    assert found.draws.shape == (2 * count, 3, 2)
    np.testing.assert_allclose(found.draws.mean(0), found.mean, atol=0.15)
    second = 0.7 * (1 + (0 + 4) / 2) + 0.3 * (0.25 + 25)
    np.testing.assert_allclose(found.draws[..., 0].var(0), second - 2.2**2, rtol=0.06)
    np.testing.assert_allclose(found.draws[..., 1].var(0), 2.0, rtol=0.06)
    np.testing.assert_allclose(found.draws[: count // 2, :, 1].mean(0), 1.0, atol=0.15)  # the first are as any others
    assert (found.effective == 11).all()
    alone = Mixture(draw)((0.0,), jax.random.key(0), x)
    assert (alone.mean == 0).all()
