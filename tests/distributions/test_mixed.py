"""One likelihood for each column: normalised, in the columns' own units, over the entries that are there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sbvi.core import UserError, make
from sbvi.data.tabular.columns import Column, centres
from sbvi.distributions.likelihoods.likelihood import gives_means
from sbvi.distributions.likelihoods.missingness import SelfMasking
from sbvi.distributions.likelihoods.mixed import Mixed

#: In an order that mixes the groups.
COLUMNS = (
    Column("a", "continuous", 3.0, 2.0, -5.0, 9.0),
    Column("visits", "count", 1.2, 0.7, 0.0, 40.0),
    Column("site", "categorical", values=("x", "y", "z")),
    Column("crp", "positive", 0.5, 1.5, 0.01, 60.0),
    Column("sex", "binary", values=("f", "m")),
    Column("b", "continuous", -1.0, 0.5, -3.0, 1.0),
    Column("grade", "ordinal", values=(0.0, 1.0, 2.0, 3.0)),
)
D, SIZE, DRAWS = len(COLUMNS), 4000, 30_000
GRID = {
    "continuous": np.linspace(-100, 100, SIZE),
    "positive": np.geomspace(1e-5, 1e6, SIZE),
    "count": np.arange(SIZE, dtype=float),
}
ROWS = np.stack([GRID.get(c.kind, np.arange(SIZE) % max(len(c.values), 1)) for c in COLUMNS], 1)
#: The other laws of continuous columns and counts, with scales of columns.
OTHER = Mixed(continuous="gaussian", count="poisson", scale="learned")
TWO = np.array([[2.0, 3, 1, 0.8, 0, -1.2, 2], [5.0, 0, 2, 9.0, 1, -0.3, 0]])
MEAN = np.array([0.1, 2.5, 1.2, -0.1, 0.3, 0.0, 1.4])
SPREAD = np.array([1.0, 3.0, 0.8, 1.0, 0.45, 1.0, 0.9])


def held(rows):
    """Source numbers as a model sees them."""
    return np.stack([c.store(rows[:, d]) for d, c in enumerate(COLUMNS)], 1).astype(np.float32)


@pytest.mark.parametrize(
    ("columns", "settings", "told"),
    [
        ("05", {"continuous": "gaussian"}, True),
        ("05", {"continuous": "gaussian", "scale": "predicted"}, False),
        ("305", {"continuous": "gaussian"}, True),  # of logarithms, as a model sees them
        ("035", {"continuous": "gaussian"}, False),  # outputs stand by group, in another order than the columns
        ("01", {"count": "poisson"}, False),
        ("4", {}, False),  # bits by column are no bits of a likelihood that is binary
    ],
)
def test_outputs_are_means_of_real_columns_alone(columns, settings, told):
    law = Mixed(**{"scale": "learned"} | settings).of([COLUMNS[int(place)] for place in columns])
    assert gives_means(law, jnp.zeros(law.free(len(columns))), len(columns)) == told


GAPS = np.random.default_rng(1).random(TWO.shape) < 0.5


@pytest.fixture(scope="module")
def law():
    return Mixed(scale="predicted").of(COLUMNS)


@pytest.fixture(scope="module")
def found(law):
    """All that the tests look at, from one program."""
    generator = np.random.default_rng(0)
    outputs = jnp.asarray(0.5 * generator.normal(size=(1, 1, law.outputs(D))), jnp.float32)
    free = jnp.asarray(0.3 * generator.normal(size=law.free(D)), jnp.float32)
    first = tuple(jnp.asarray(f(MEAN, SPREAD), jnp.float32) for f in (law.initial_outputs, law.initial_free))
    two = jnp.asarray(held(TWO))
    other = OTHER.of(COLUMNS)
    others = (
        jnp.asarray(0.5 * generator.normal(size=(1, 1, other.outputs(D))), jnp.float32),
        jnp.asarray(0.3 * generator.normal(size=other.free(D)), jnp.float32),
    )
    some, nothing = jnp.where(GAPS, jnp.nan, two), jnp.full((2, D), jnp.nan, jnp.float32)

    @jax.jit
    def made(rows):
        many = jnp.broadcast_to(outputs, (DRAWS, 1, outputs.shape[-1]))
        total = jax.value_and_grad(lambda o, x: law.log_prob(o, free, x).sum())
        group = next(g for g in law._parts(outputs, free) if 3 in g[0].places)
        return {
            "grid": law.log_probs(outputs, free, rows[None])[0],
            "other_grid": other.log_probs(*others, rows[None])[0],
            "other_draws": other.sample(
                jax.random.key(2), jnp.broadcast_to(others[0], (DRAWS, 1, others[0].shape[-1])), others[1]
            )[:, 0],
            "two": law.log_probs(outputs, free, two[None])[0],
            "some": law.log_probs(outputs, free, some[None])[0],
            "total": total(outputs, some),
            "nothing": total(outputs, nothing),
            "precision": [law.precision_given(outputs, free, x[:1]) for x in (two, nothing)],
            "complete": law.output_precision(outputs, free),
            "draws": law.sample(jax.random.key(1), many, free)[:, 0],
            "mean": law.mean(outputs, free)[0, 0],
            "centred_mean": law.centred_mean(outputs, free)[0, 0],
            "log_normal": group[0].likelihood.moments(*group[1:]),
            "read": [law.read(x[:1], True) for x in (two, nothing)],
            "first_mean": law.mean(first[0][None, None], first[1])[0, 0],
        }

    return jax.device_get(made(jnp.asarray(held(ROWS))))


def masses(column, density, values):
    """Of a law with this density at a grid of source values: the mass up to each of them."""
    if column.coded or column.kind == "count":
        return np.cumsum(density)
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(values)
    return np.concatenate([[0], np.cumsum(steps)])


@pytest.mark.parametrize("which", ["", "other_"])
def test_every_column_is_normalised_in_its_own_units_and_sampled(which, found):
    """Sums over codes and counts and quadrature over source values; draws have the same masses below any value, and
    so the same moments: the second one too, where the law has it with few outliers."""
    density = np.exp(found[f"{which}grid"].astype(np.float64))
    for d, column in enumerate(COLUMNS):
        size = len(column.values) if column.coded else SIZE
        values, own = ROWS[:size, d], density[:size, d]
        below = masses(column, own, values)
        assert abs(below[-1] - 1) < 5e-3, column.name
        draws = np.sort(column.back(found[f"{which}draws"][:, d].astype(np.float64)))
        share = np.searchsorted(draws, values + 1e-4 * np.abs(values), "right") / DRAWS
        assert np.abs(share - below).max() < 0.012, column.name  # of Kolmogorov's law: once in 10,000 times
        if column.coded or column.kind == "count":
            mean = np.sum(values * own)
            variance = np.sum((values - mean) ** 2 * own)
        elif which and column.kind == "continuous":
            mean = np.trapezoid(values * own, values)
            variance = np.trapezoid((values - mean) ** 2 * own, values)
        else:
            continue
        assert draws.var() == pytest.approx(variance, rel=0.05), column.name
        assert abs(draws.mean() - mean) < 5 * draws.std() / np.sqrt(DRAWS), column.name


def test_positive_columns_are_log_normal(found):
    mean, deviation = (float(np.ravel(v)[0]) for v in found["log_normal"])
    exact = stats.lognorm(1.5 * deviation, scale=np.exp(0.5 + 1.5 * mean))
    np.testing.assert_allclose(found["two"][:, 3], exact.logpdf(TWO[:, 3]), rtol=1e-4)
    np.testing.assert_allclose(found["centred_mean"][3], min(exact.mean(), 60.0), rtol=1e-4)


def test_samples_have_the_means(found):
    draws = found["draws"]
    assert (np.abs(draws.mean(0) - found["mean"]) < 5 * draws.std(0) / np.sqrt(DRAWS) + 1e-5).all()
    for d in (0, 1, 5):
        back = COLUMNS[d].back(draws[:, d].astype(np.float64))
        mean = found["centred_mean"][d] + centres(COLUMNS)[d]
        assert abs(back.mean() - mean) < 5 * back.std() / np.sqrt(DRAWS)


def test_what_is_missing_counts_nothing(found):
    """In value and gradient, whatever is missing; and the sum is over the entries."""
    there = np.where(GAPS, 0, found["two"])
    np.testing.assert_allclose(found["some"], there, rtol=1e-6)
    value, slope = found["total"]
    np.testing.assert_allclose(value, there.sum(), rtol=1e-5)
    assert np.isfinite(slope).all()
    assert slope.any()
    value, slope = found["nothing"]
    assert value == 0
    assert (slope == 0).all()
    complete, none = found["precision"]
    np.testing.assert_allclose(complete, found["complete"])
    assert (none == 0).all()


def test_a_network_reads_no_missing_value(law, found):
    seen, blank = found["read"]
    assert seen.shape == (1, law.inputs(True))
    wanted = [(2 - 3) / 2, (np.log1p(3) - 1.2) / 0.7, 0, 1, 0, (np.log(0.8) - 0.5) / 1.5, -1, -0.4, 1 / 3, *[1] * D]
    np.testing.assert_allclose(seen[0], wanted, rtol=1e-5)
    assert (blank == 0).all()
    assert law.inputs(False) == law.inputs(True) - D


def test_a_model_starts_at_the_columns_means(found):
    np.testing.assert_allclose(found["first_mean"], MEAN, atol=2e-3)


def test_entries_that_go_missing_by_their_value(x64):
    """Their masses add to one, and mean and draws given that they are missing are those of quadrature."""
    m, s, a, b = (np.array(v) for v in ([0.3, -1.0, 0.5], [0.8, 1.5, 0.2], [-0.5, 0.4, 0.0], [1.2, -2.0, 0.0]))
    law = SelfMasking(*(jnp.asarray(v)[None] for v in (m, s, a, b)))
    v = np.linspace(-14, 14, 40_001)[:, None]
    density = stats.norm(m, s).pdf(v)
    missing = np.trapezoid(density * stats.norm.cdf(a + b * v), v, axis=0)
    many = SelfMasking(*(jnp.broadcast_to(jnp.asarray(x), (40_000, 3)) for x in (m, s, a, b)))
    power = np.array([0.7, -0.4, 2.0])

    @jax.jit
    def made(law, many, v):
        raised = law.missing_log_power(jnp.asarray(power)[None])[0]
        drawn = many.missing_sample(jax.random.key(0))
        return law.log_missing()[0], law.log_there(v), law.missing_mean()[0], raised, drawn

    gone, here, expected, raised, drawn = jax.device_get(made(law, many, jnp.asarray(v)))
    np.testing.assert_allclose(np.exp(gone), missing, rtol=1e-8)
    there = np.trapezoid(density * np.exp(here), v, axis=0)
    np.testing.assert_allclose(there + missing, 1, rtol=1e-8)
    mean = np.trapezoid(v * density * stats.norm.cdf(a + b * v), v, axis=0) / missing
    square = np.trapezoid(v**2 * density * stats.norm.cdf(a + b * v), v, axis=0) / missing
    np.testing.assert_allclose(expected, mean, rtol=1e-7)
    powers = np.trapezoid(np.exp(power * v) * density * stats.norm.cdf(a + b * v), v, axis=0) / missing
    np.testing.assert_allclose(raised, np.log(powers), rtol=1e-6, atol=1e-8)
    assert (np.abs(drawn.mean(0) - mean) < 5 * drawn.std(0) / 200).all()
    np.testing.assert_allclose(drawn.std(0), np.sqrt(square - mean**2), rtol=0.03)


def test_means_of_powers_hold_far_in_the_tail():
    """In float32, beside float64: P(missing | z) down to e^-1,600,000, of which two logarithms hold no difference."""
    m, s, a, b = (
        np.array(v) for v in ([0.0, -20.0, -20.0, 40.0], [1.0, 0.1, 0.01, 0.01], [-35.0, -1, 0, 0], [1.0, 50, 20, -50])
    )
    power = np.array([0.5, 1.0, 1.0, 0.5])
    law = SelfMasking(*(jnp.asarray(v, jnp.float32)[None] for v in (m, s, a, b)))
    width = np.sqrt(1 + (b * s) ** 2)
    places = [(a + b * mean) / width for mean in (m, m + power * s**2)]
    wanted = power * m + 0.5 * (power * s) ** 2 + stats.norm.logcdf(places[1]) - stats.norm.logcdf(places[0])
    found = law.missing_log_power(jnp.asarray(power, jnp.float32)[None])[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-5)


def test_a_likelihood_with_masking_counts_what_is_missing(x64):
    law = Mixed(continuous="gaussian", missingness="self_masking").of(COLUMNS)
    plain = Mixed(continuous="gaussian").of(COLUMNS)
    assert list(law.masking) == [0, 3, 5]
    generator = np.random.default_rng(0)
    outputs = jnp.asarray(0.5 * generator.normal(size=(1, 1, law.outputs(D))))
    free = jnp.asarray(0.3 * generator.normal(size=law.free(D)))
    rows = jnp.asarray(np.where(GAPS, np.nan, held(TWO)).astype(np.float64))

    @jax.jit
    def made(outputs, free):
        masked = law._masked(outputs, free)
        extra = law.log_probs(outputs, free, rows[None])[0] - plain.log_probs(outputs, free[:-6], rows[None])[0]
        raised = masked.missing_log_power(jnp.asarray([[[1.0, 1.5, 1.0]]]))[0, 0]  # of the scale of column 3
        moments = masked.mean[0, 0], masked.scale[0, 0], masked.missing_mean()[0, 0], raised
        drawn = law.missing_sample(jax.random.key(0), outputs, free)
        return extra, moments, law.missing_mean(outputs, free)[0, 0], drawn

    extra, (m, s, moved, raised), mean, drawn = jax.device_get(made(outputs, free))
    assert (np.abs(extra[:, [1, 2, 4, 6]]) < 1e-12).all()
    a, b = np.asarray(free[-6:-3]), np.asarray(free[-3:])
    for place, d in enumerate(law.masking):
        for r in range(2):
            t = a[place] + b[place] * held(TWO)[r, d]
            gone = (a[place] + b[place] * m[place]) / np.hypot(1, b[place] * s[place])
            wanted = stats.norm.logcdf(gone) if GAPS[r, d] else stats.norm.logcdf(-t)
            assert extra[r, d] == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_allclose(mean[[0, 5]], moved[[0, 2]] * [2.0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(mean[3], min(np.exp(0.5 + raised[1]), 60), rtol=1e-6)
    # Where being missing tells nothing, the mean is the one of any value.
    flat = free.at[-3:].set(0)
    np.testing.assert_allclose(law.missing_mean(outputs, flat), law.centred_mean(outputs, flat), rtol=1e-6)
    assert np.isfinite(drawn).all()
    with pytest.raises(UserError, match="needs continuous=gaussian"):
        make(Mixed, {"missingness": "self_masking"}, "likelihood")
