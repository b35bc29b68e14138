"""A neural autoregressive density estimator against its definition, written out, and enumeration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from support.models import summary

from sbvi.core import UserError
from sbvi.inference import convergence
from sbvi.inference.imputation import directions, impute
from sbvi.models.capabilities import Classifier, Density, Generative, Imputing, Marginals, offers
from sbvi.models.nade import NADE
from sbvi.models.nade.particles import filtered, systematic
from sbvi.models.values import DataFacts

KEY = jax.random.key(0)


def bits(count):
    return np.array(list(itertools.product((0, 1), repeat=count)), np.float64)


def made(size, activation="relu", hidden=5):
    """A model with weights far from their start, in float64."""
    model = NADE(hidden=hidden, activation=activation).build(DataFacts((size,), True, 1))
    rng = np.random.default_rng(size)
    shapes = {"inputs": (size, hidden), "outputs": (size, hidden), "hidden_bias": (hidden,), "output_bias": (size,)}
    return model, {name: jnp.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}


def by_hand(params, x, activation):
    """p(x_i = 1 | x_<i), value by value, in plain NumPy."""
    w, v, c, b = (np.asarray(params[name]) for name in ("inputs", "outputs", "hidden_bias", "output_bias"))
    f = {"relu": lambda a: np.maximum(a, 0), "sigmoid": lambda a: 1 / (1 + np.exp(-a))}[activation]
    p = np.zeros(x.shape)
    for row, i in np.ndindex(*x.shape):
        h = f(c + sum((w[j] * x[row, j] for j in range(i)), np.zeros_like(c)))
        p[row, i] = 1 / (1 + np.exp(-(b[i] + v[i] @ h)))
    return p


def naive(params, x, function):
    """log p(x) by a dense masked sum, (B,): what automatic differentiation differentiates as it stands."""
    before = jnp.asarray(np.tril(np.ones((x.shape[1],) * 2), -1))
    a = params["hidden_bias"][None, None] + jnp.einsum("ij,bj,jh->bih", before, x, params["inputs"])
    logit = params["output_bias"][None] + jnp.einsum("bih,ih->bi", function(a), params["outputs"])
    return jnp.sum(x * logit - jnp.logaddexp(0.0, logit), -1)


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_probabilities_are_the_definition_and_sum_to_one(x64, activation):
    model, params = made(12, activation)
    x = bits(12)
    found = jax.jit(model.log_prob)(params, KEY, jnp.asarray(x))
    assert found.kind == "exact"
    assert model.discrete
    assert np.exp(found.value).sum() == pytest.approx(1, abs=1e-12)
    some = x[::341]
    p = by_hand(params, some, activation)
    np.testing.assert_allclose(jax.nn.sigmoid(model.logits(params, jnp.asarray(some))), p, rtol=1e-10)
    exact = np.log(np.where(some > 0, p, 1 - p)).sum(1)
    np.testing.assert_allclose(found.value[::341], exact, rtol=1e-10)


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_the_gradient_is_that_of_the_naive_form(x64, activation):
    """Examples weighed unequally, so that no row's gradient hides behind another's."""
    model, params = made(9, activation, hidden=4)
    rng = np.random.default_rng(1)
    x, weight = jnp.asarray((rng.random((6, 9)) < 0.4).astype(float)), jnp.asarray(rng.normal(size=6))
    function = {"relu": lambda a: jnp.maximum(a, 0), "sigmoid": lambda a: 1 / (1 + jnp.exp(-a))}[activation]
    found = jax.jit(jax.grad(lambda p: weight @ model.log_prob(p, KEY, x).value))(params)
    exact = jax.jit(jax.grad(lambda p: weight @ naive(p, x, function)))(params)
    for name in params:
        np.testing.assert_allclose(found[name], exact[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_gradient_keeps_its_digits_in_float32(x64):
    """The scan back takes off 784 rows in the order in which it added them; sigmoids, since a rectifier may switch."""
    model, params = made(784, "sigmoid", hidden=7)
    params = {name: value / np.sqrt(50) for name, value in params.items()}
    x = jnp.asarray((np.random.default_rng(2).random((3, 784)) < 0.3).astype(float))
    gradient = jax.jit(jax.grad(lambda p, x: jnp.sum(model.log_prob(p, KEY, x).value)))
    exact = gradient(params, x)
    single = gradient(jax.tree.map(lambda a: a.astype(jnp.float32), params), x.astype(jnp.float32))
    for name in params:
        error = np.linalg.norm(single[name].astype(float) - exact[name]) / np.linalg.norm(exact[name])
        assert error < 1e-4, name


def test_samples_have_the_model_s_frequencies_and_say_their_conditionals(x64):
    model, params = made(6)
    x = bits(6)
    probability = np.exp(model.log_prob(params, KEY, jnp.asarray(x)).value)
    drawn = jax.jit(model.sample, static_argnums=2)(params, KEY, 20_000)
    index = (np.asarray(drawn.value) @ 2 ** np.arange(6)[::-1]).astype(int)
    expected = 20_000 * probability
    rare = expected < 5  # joined: chi-square wants five in every cell
    counts = np.bincount(index, minlength=64)
    counts, expected = (np.append(a[~rare], a[rare].sum()) for a in (counts, expected))
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-4
    means, values = np.asarray(drawn.mean[:500]), np.asarray(drawn.value[:500])
    own = np.log(np.where(values > 0, means, 1 - means)).sum(1)
    np.testing.assert_allclose(own, model.log_prob(params, KEY, drawn.value[:500]).value, rtol=1e-9)


def test_missing_values_are_drawn_from_their_conditional(x64):
    """Every pattern of eight bits that fits the observed ones, by enumeration; twelve populations say the error."""
    model, params = made(8)
    every = bits(8)
    probability = np.exp(model.log_prob(params, KEY, jnp.asarray(every)).value)
    observed = np.array([[False] * 8, [True] * 8, [False, False, True, False, False, True, False, True],
                         [True, False, False, True, True, False, False, False]])  # fmt: skip
    truth = every[[3, 77, 37, 180]]
    rows = jnp.asarray(np.where(observed, truth, 7.0))  # what is missing is not looked at
    impute = jax.jit(lambda key: model.impute(params, key, rows, jnp.asarray(observed), 400))
    found = [jax.device_get(impute(key)) for key in jax.random.split(KEY, 12)]
    for row in range(len(truth)):
        fits = (every[:, observed[row]] == truth[row, observed[row]]).all(1)
        exact = np.where(fits, probability, 0) / probability[fits].sum()
        draws = np.stack([f.value[:, row] for f in found])
        assert (draws[..., observed[row]] == truth[row, observed[row]]).all()
        frequencies = np.stack(
            [np.bincount((d @ 2 ** np.arange(8)[::-1]).astype(int), minlength=256) / len(d) for d in draws]
        )
        # Three times the variance of independent draws: weights and resampling add theirs.
        error = np.sqrt(3 * exact * (1 - exact) / (12 * 400))
        assert (np.abs(frequencies.mean(0) - exact) <= 4.5 * error + 1 / 4800).all()
        mean = np.stack([f.mean[0, row] for f in found]).mean(0)
        target = np.clip(exact @ every, 0, 1)
        assert (np.abs(mean - target) <= 4.5 * np.sqrt(3 * target * (1 - target) / 4800) + 1e-9).all()


def test_particles_that_are_drawn_anew_take_their_states_along_and_weigh_the_same():
    """x_1 is 1 by a chance of 0.2, what is seen of x_2 says that it is, and x_3 follows x_1 by a chance of 0.9."""
    likely, sure = np.log(9.0), 12.0

    def conditional(state, row):
        own = jnp.where(state[..., 0] > 0, 1.0, -1.0)
        return jnp.where(row[0] == 0, -np.log(4.0), own * jnp.where(row[0] == 1, sure, likely))

    def extend(state, row, value):
        return jnp.where(row[0] == 0, value[..., None], state)

    x, observed = jnp.asarray([[0.0, 1.0, 0.0]]), jnp.asarray([[False, True, False]])
    run = jax.jit(lambda: filtered(KEY, jnp.zeros((1, 2000, 1)), conditional, extend, (jnp.arange(3),), x, observed))
    values, weights = map(np.asarray, run())
    np.testing.assert_allclose(weights, 1 / 2000, rtol=1e-4)
    first, second, third = values[0].mean(0)
    assert (first, second) == (1, 1)
    assert abs(third - 0.9) < 5 * np.sqrt(0.09 / 2000)


def test_systematic_indices_are_as_many_as_the_weights_say():
    weights = np.array([[0.5, 0.0, 0.3, 0.2], [0.0, 0.0, 0.0, 1.0]], np.float32)
    for offset in (0.0, 0.3, 0.99):
        chosen = np.asarray(systematic(jnp.full(2, offset), jnp.asarray(weights), 7))
        for row in range(2):
            counts = np.bincount(chosen[row], minlength=4)
            assert (np.abs(counts - 7 * weights[row]) < 1).all()
            assert not counts[weights[row] == 0].any()


def test_the_start_knows_the_data_s_means(x64):
    mean = np.array([0.1, 0.5, 0.0, 0.9])
    model = NADE(hidden=3).build(DataFacts((4,), True, 1))
    params = model.init(0, summary(mean, np.ones(4)))
    np.testing.assert_allclose(jax.nn.sigmoid(params["output_bias"]), np.maximum(mean, 0.01), rtol=1e-5)
    assert np.abs(params["inputs"]).max() <= np.sqrt(6 / 7)
    again = model.init(1, summary(mean, np.ones(4)))
    assert not np.array_equal(params["outputs"], again["outputs"])


def test_what_it_offers_and_refuses():
    model = NADE().build(DataFacts((4,), True, 1))
    for capability in (Density, Generative, Imputing):
        assert offers(model, capability)
    for capability in (Classifier, Marginals):
        assert not offers(model, capability)
    with pytest.raises(UserError, match="model=nade is of binary data, and the data set is not"):
        NADE().check(DataFacts((4,), False))


def test_populations_that_have_not_found_the_law_are_told(x64):
    """Where what is seen later says of what is drawn first, few particles of a population are left, others in each."""
    model, params = made(9)
    rows = jnp.asarray(bits(9)[[3, 200, 444]])
    missing = jnp.asarray(np.tile(np.arange(9) < 5, (3, 1)))

    def worst(factor):
        tiled = jnp.tile(rows, (4, 1)), jnp.tile(missing, (4, 1))
        weights = {name: factor * value for name, value in params.items()}
        filled = jax.jit(lambda p: impute(model, p, KEY, *tiled, 100, 0))(weights)
        return np.asarray(convergence.rhat(np.asarray(directions(model, filled, missing, 4, 0)))).max()

    assert worst(0.5) < 1.02
    assert worst(3.0) > 2 > convergence.LIMIT
