"""The estimators for scikit-learn: its own checks that apply, and a pipeline."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks as checks

from sbvi.sklearn import DensityEstimator, Imputer
from sbvi.sklearn.estimator import _distinct

SMALL = {"steps": 3, "hidden": (4,), "latents": 2, "bound_samples": 2, "samples": 20, "batch_size": 8}

ONE = SMALL | {"members": 1, "continuous": "gaussian"}  # of an imputer; draws of Student's t take half of its time

#: Of scikit-learn's checks those that fit nothing, and a few that fit once.
QUICK = (
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_get_params_invariance",
    "check_set_params",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_fit2d_1sample",
    "check_estimator_sparse_tag",
    "check_estimator_sparse_array",
    "check_complex_data",
    "check_estimators_empty_data_messages",
)
ONE_FIT = ("check_n_features_in", "check_dict_unchanged")


def cases():
    for kind in (Imputer, DensityEstimator):
        for name in QUICK if kind is Imputer else QUICK[:8]:
            yield pytest.param(kind, name, id=f"{kind.__name__}-{name}")
        for name in ONE_FIT if kind is Imputer else ():
            yield pytest.param(kind, name, id=f"{kind.__name__}-{name}")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(("kind", "name"), list(cases()))
def test_scikit_learns_checks(kind, name):
    getattr(checks, name)(kind.__name__, kind(**(ONE if kind is Imputer else SMALL), random_state=0))


@pytest.fixture(scope="module")
def table():
    generator = np.random.default_rng(0)
    z = generator.normal(size=200)
    x = np.stack([z + 0.1 * generator.normal(size=200), 100 - 30 * z + generator.normal(size=200), -z], 1)
    gaps = generator.random(x.shape) < 0.2
    return x, np.where(gaps, np.nan, x), gaps


@pytest.fixture(scope="module")
def imputer(table):
    settings = SMALL | {"steps": 300, "hidden": (16,), "batch_size": 32, "learning_rate": 0.01, "samples": 200}
    return Imputer(**settings, members=2, random_state=0).fit(table[1])


def test_gaps_are_filled_and_the_rest_is_left(table, imputer):
    x, holes, gaps = table
    assert len(imputer.params_) == len(imputer.best_steps_) == len(imputer.validation_scores_) == 2
    assert imputer.beside_.weights.shape == (3,)
    filled = imputer.transform(holes)
    assert filled.shape == x.shape
    np.testing.assert_array_equal(filled[~gaps], holes[~gaps])
    alone = gaps & (gaps.sum(1) < 3)[:, None]
    error = ((filled - x) / x.std(0))[alone]
    assert np.sqrt(np.mean(error**2)) < 0.5
    again = pickle.loads(pickle.dumps(imputer)).transform(holes)
    np.testing.assert_array_equal(again, filled)
    draws, lower, upper = imputer.multiple(holes, 2)
    assert (draws[0] != draws[1])[gaps].all()
    assert ((lower <= x) & (x <= upper))[alone].mean() > 0.7
    assert list(imputer.get_feature_names_out()) == ["x0", "x1", "x2"]
    frame = pd.DataFrame(
        holes, columns=["b", "a", "c"], index=range(5, 205)
    )  # columns of one fitted to an array are by place
    with pytest.warns(UserWarning, match="X has feature names, but Imputer was fitted without"):
        named = imputer.transform(frame)
    pd.testing.assert_frame_equal(named, pd.DataFrame(filled, columns=frame.columns, index=frame.index))


def test_one_of_an_earlier_version_fills_but_has_no_intervals(table, imputer):
    known = pickle.loads(pickle.dumps(imputer))
    del known.tails_
    old = pickle.loads(pickle.dumps(known))
    np.testing.assert_array_equal(old.transform(table[1][:40]), imputer.transform(table[1][:40]))
    for ask in (old.multiple, old.complete):
        with pytest.raises(ValueError, match=r"did not calibrate intervals; fit it again\.$"):
            ask(table[1][:40])


def test_intervals_of_positive_columns_cover_by_the_law_that_made_them():
    """log x ~ N(m, C): P(lower < x_h < upper | x_o) is of a Gaussian whose moments are known."""
    generator = np.random.default_rng(5)
    loadings, noise, center = np.array([1.0, -0.8, 1.5, 0.5]), np.array([0.4, 0.5, 0.5, 1.0]), np.array([0, 3, -2, 1.0])
    logs = center + generator.normal(size=(500, 1)) * loadings + generator.normal(size=(500, 4)) * noise
    gaps = generator.random(logs.shape) < 0.25
    settings = SMALL | {"steps": 300, "hidden": (16,), "batch_size": 32, "learning_rate": 0.01, "samples": 200}
    kinds = {str(d): "positive" for d in range(4)}
    fitted = Imputer(**settings, members=2, columns=kinds, random_state=0)
    holes = np.where(gaps, np.nan, np.exp(logs))
    said = fitted.fit(holes).complete(holes, 0)
    assert [column.kind for column in fitted.columns_] == ["positive"] * 4
    C = np.outer(loadings, loadings) + np.diag(noise**2)
    covered = np.full(logs.shape, np.nan)
    for row in np.flatnonzero(gaps.any(1)):
        h, o = np.flatnonzero(gaps[row]), np.flatnonzero(~gaps[row])
        gain = C[np.ix_(h, o)] @ np.linalg.inv(C[np.ix_(o, o)])
        mean = center[h] + gain @ (logs[row, o] - center[o])
        spread = np.sqrt(np.diag(C[np.ix_(h, h)] - gain @ C[np.ix_(o, h)]))
        below, above = (norm.cdf((np.log(bound[row, h]) - mean) / spread) for bound in (said.lower, said.upper))
        covered[row, h] = above - below
    assert np.nanmean(covered) == pytest.approx(0.9, abs=0.025)
    np.testing.assert_allclose(np.nanmean(covered, 0), 0.9, atol=0.05)


def test_the_density_is_of_the_tables_own_units(table, imputer):
    density = DensityEstimator(**SMALL, random_state=0)
    for name in ("columns_", "params_", "seed_", "_settings", "n_features_in_", "constants_"):
        setattr(density, name, getattr(imputer, name))
    one = density.score_samples(table[1][:20])
    assert one.shape == (20,)
    assert density.score(table[1][:20]) == pytest.approx(one.mean())
    other = clone(density)
    for name in ("params_", "seed_", "_settings", "n_features_in_", "constants_"):
        setattr(other, name, getattr(imputer, name))
    scaled = [
        c.__class__(**{**c.__dict__, "location": 10 * c.location, "scale": 10 * c.scale}) for c in imputer.columns_
    ]
    other.columns_ = tuple(scaled)
    there = (~np.isnan(table[1][:20])).sum(1)
    np.testing.assert_allclose(other.score_samples(10 * table[1][:20]), one - there * np.log(10), rtol=1e-3)
    drawn = density.sample(50)
    assert list(drawn.columns) == ["0", "1", "2"]
    assert len(drawn) == 50
    first, second = (density.sample(50, random_state=None) for _ in range(2))
    assert (first["0"] != second["0"]).any()
    by_generator = [density.sample(50, random_state=np.random.RandomState(3)) for _ in range(2)]
    pd.testing.assert_frame_equal(*by_generator)
    pd.testing.assert_frame_equal(*(density.sample(50, random_state=seed) for seed in (5, np.int64(5))))
    with pytest.raises(ValueError, match="random_state=4294967301 cannot be used"):  # which would draw as 5 does
        density.sample(50, random_state=2**32 + 5)


def test_samples_are_those_that_are_set_last(table, imputer, caplog):
    """They are asked for after the fit, which `set_params` may change."""
    density = DensityEstimator(**SMALL, random_state=0)
    for name in ("columns_", "params_", "seed_", "_settings", "n_features_in_", "constants_"):
        setattr(density, name, getattr(imputer, name))
    rows = table[1][:20]
    few = density.score_samples(rows)
    many = density.set_params(samples=50).score_samples(rows)
    assert (few != many).any()
    np.testing.assert_array_equal(density.set_params(samples=20).score_samples(rows), few)
    caplog.clear()
    density.set_params(samples=400).score_samples(rows)
    assert not caplog.text
    density.score_samples(1e3 * rows)  # of which the recognition model has seen none
    assert "% of the rows fewer than 10 of the 400 importance samples count" in caplog.text
    assert "take more samples, or" in caplog.text
    with pytest.raises(ValueError, match="samples=0 cannot be used"):
        density.set_params(samples=0).score_samples(rows)
    _, held = imputer._held(rows)
    try:  # what samples are worth is no more than how many there are, of two members
        assert imputer.set_params(samples=20)._fill(held).effective.max() <= 40
    finally:
        imputer.set_params(samples=200)
    assert imputer._fill(held).effective.max() > 40
    assert len(_distinct(pd.Series([[1], [1], None]))) == 0  # of a column that is ignored
    assert list(_distinct(pd.Series(["a", None, "a"]))) == ["a"]


def test_a_row_without_entries_has_probability_1(table, imputer, caplog):
    density = DensityEstimator(**SMALL, random_state=0)
    for name in ("columns_", "params_", "seed_", "_settings", "n_features_in_", "constants_"):
        setattr(density, name, getattr(imputer, name))
    rows = table[1][:20].copy()
    rows[3:] = np.nan
    found = density.set_params(samples=400).score_samples(rows)
    assert (found[3:] == 0).all()
    assert (found[:3] != 0).all()
    assert not caplog.text


def test_frames_and_pipelines(table):
    x, holes, _ = table
    with pytest.raises(ValueError, match="X is a masked array that hides"):
        Imputer(**ONE).fit(np.ma.masked_invalid(holes))
    frame = pd.DataFrame(holes, columns=["a", "b", "c"], index=[f"row {i}" for i in range(len(x))])
    frame["town"] = np.where(x[:, 0] > 0, "lyon", "oslo")
    frame["ward"] = 7.0
    frame.loc["row 3", ["town", "ward"]] = None
    filled = Imputer(**ONE, linear=False, random_state=1).fit_transform(frame)
    assert not filled.isna().any().any()
    assert list(filled.columns) == list(frame.columns)
    assert filled.index.equals(frame.index)
    assert filled.loc["row 3", "town"] in ("lyon", "oslo")
    assert filled.loc["row 3", "ward"] == 7
    scored = (
        make_pipeline(Imputer(**ONE, random_state=1), Ridge()).fit(holes[:, :2], x[:, 2]).score(holes[:, :2], x[:, 2])
    )
    assert np.isfinite(scored)


def test_columns_are_those_of_the_fit_whatever_their_labels_count(table):
    """Labels that are whole numbers in another order than 0, 1, 2 are names too, by which columns were swapped."""
    values = table[0][:, :3] + np.array([0, 50, -1000])
    by_place = DensityEstimator(**SMALL, random_state=0).fit(values)
    numbered = DensityEstimator(**SMALL, random_state=0).fit(pd.DataFrame(values, columns=[2, 0, 1]))
    assert [column.name for column in numbered.columns_] == ["2", "0", "1"]
    expected = by_place.score_samples(values[:20])
    frame = pd.DataFrame(values[:20], columns=[2, 0, 1])
    earlier = copy.copy(numbered)
    del earlier._labels  # as versions before pickled it
    for rows in (frame, values[:20], frame[[0, 1, 2]]):
        for density in (numbered, pickle.loads(pickle.dumps(numbered)), earlier):
            np.testing.assert_array_equal(density.score_samples(rows), expected)
    np.testing.assert_array_equal(by_place.score_samples(pd.DataFrame(values[:20])), expected)
    with pytest.raises(ValueError, match="X has the columns 2, 0, 5, and the table that was fitted 2, 0, 1"):
        numbered.score_samples(frame.set_axis([2, 0, 5], axis=1))
    spelled = copy.copy(numbered)  # as of texts, which the same names are made of
    spelled._labels, spelled.feature_names_in_ = ["2", "0", "1"], np.array(["2", "0", "1"], object)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_array_equal(spelled.score_samples(values[:20]), expected)
    with pytest.raises(ValueError, match="must be in the same order"):
        spelled.score_samples(pd.DataFrame(values[:20], columns=["0", "1", "2"]))
    gaps = pd.DataFrame({7: values[:, 0], 3: values[:, 1], 5: 1.0})
    gaps.iloc[::4, 0], gaps.iloc[1::4, 2] = np.nan, np.nan
    imputer = Imputer(**ONE, linear=False, random_state=0).fit(gaps)
    filled = imputer.transform(gaps)
    assert list(filled.columns) == [7, 3, 5]
    pd.testing.assert_frame_equal(imputer.transform(gaps[[5, 7, 3]]), filled[[5, 7, 3]])
    by_place = imputer.transform(gaps.set_axis(range(3), axis=1))
    pd.testing.assert_frame_equal(by_place, filled.set_axis(range(3), axis=1))
    assert (filled[5] == 1).all()
    assert filled[7].between(*gaps[7].agg(["min", "max"])).all()
    pd.testing.assert_series_equal(filled[3], gaps[3])


BAD_ARGUMENTS = [
    (Imputer, {"members": 0}, "members=0 cannot be used; allowed: whole numbers of at least 1"),
    (Imputer, {"steps": 0}, "steps=0 cannot be used; allowed: None, or whole numbers of at least 1"),
    (Imputer, {"guess": "meen"}, "guess='meen' cannot be used; allowed: mean, median, mode"),
    (Imputer, {"hidden": (4, 0)}, "hidden=(4, 0) cannot be used; allowed: a tuple of whole numbers of at least 1"),
    (DensityEstimator, {"steps": 2.5}, "steps=2.5 cannot be used"),
    (DensityEstimator, {"latents": True}, "latents=True cannot be used"),
    (DensityEstimator, {"batch_size": 0}, "batch_size=0 cannot be used"),
    (DensityEstimator, {"learning_rate": -1.0}, "learning_rate=-1.0 cannot be used; allowed: finite numbers above 0"),
    (DensityEstimator, {"validation": 1.0}, "validation=1.0 cannot be used; allowed: numbers above 0 and below 1"),
    (DensityEstimator, {"extra_missing": 1}, "extra_missing=1 cannot be used; allowed: numbers from 0 and below 1"),
    (DensityEstimator, {"random_state": 2**32}, "random_state=4294967296 cannot be used; allowed: whole numbers"),
    (Imputer, {"random_state": -1}, "random_state=-1 cannot be used; allowed: whole numbers from 0 to 4294967295"),
    (DensityEstimator, {"scale": None}, "scale=None cannot be used; allowed: learned, predicted"),
]


@pytest.mark.parametrize(("kind", "given", "sentence"), BAD_ARGUMENTS)
def test_arguments_are_checked_before_anything_is_learned(kind, given, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        kind(**(SMALL | given)).fit(pd.DataFrame({"a": np.arange(20) / 7}))


@pytest.mark.parametrize("interval", [0, 1, 90, -0.1, "0.9", float("nan")])
def test_intervals_are_probabilities(interval, table, imputer):
    with pytest.raises(ValueError, match=r"interval=.* cannot be used; allowed: numbers above 0 and below 1"):
        imputer.multiple(table[1], 2, interval)
    with pytest.raises(ValueError, match="imputations=-1 cannot be used"):
        imputer.complete(table[1], -1)


def test_categories_of_numbers_are_filled_and_drawn_as_such():
    """Of post codes neither a mean nor a rank is known."""
    rng = np.random.default_rng(0)
    codes = pd.Series(pd.Categorical(rng.choice([501, 10001, 94110], 40)))
    frame = pd.DataFrame({"a": rng.normal(size=40), "zip": codes.where(np.arange(40) % 5 > 0)})
    filled = Imputer(**ONE, random_state=0).fit_transform(frame)
    assert filled["zip"].dtype == frame["zip"].dtype
    assert filled["zip"].notna().all()
    density = pickle.loads(pickle.dumps(DensityEstimator(**SMALL, random_state=0).fit(frame)))
    assert [column.kind for column in density.columns_] == ["continuous", "categorical"]
    drawn = density.sample(30)
    assert drawn["zip"].dtype == frame["zip"].dtype
    assert density.score_samples(drawn).shape == (30,)


def test_ranks_that_are_given_twice_are_refused():
    frame = pd.DataFrame({"a": np.arange(20) / 7, "k": ["q", "p"] * 10})
    with pytest.raises(ValueError, match=r"^dataset\.columns\.k has p twice; each rank is given once\.$"):
        DensityEstimator(**SMALL, columns={"k": ["q", "p", "p"]}).fit(frame)
