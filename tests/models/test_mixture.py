"""A mixture against enumeration, SciPy, and what expectation maximisation promises."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from support.models import summary

from sbvi.algorithms import ALGORITHMS
from sbvi.core import UserError
from sbvi.data import Batch
from sbvi.models.capabilities import Classifier, Density, Marginals, Mixing, Recentring, offers
from sbvi.models.mixture import Mixture
from sbvi.models.values import DataFacts

D = 8
BITS = np.array(list(itertools.product((0, 1), repeat=D)), np.float64)


@pytest.fixture
def binary(x64):
    """Three components far apart, in float64."""
    model = Mixture(count=3, components="bernoulli").build(DataFacts((D,), True, 1))
    rng = np.random.default_rng(0)
    return model, {
        "weights": jnp.asarray(rng.normal(size=3)),
        "components": {"logits": jnp.asarray(2 * rng.normal(size=(3, D)))},
    }


def by_hand(params, x):
    """p(x), written out."""
    w = np.exp(np.asarray(params["weights"]))
    p = 1 / (1 + np.exp(-np.asarray(params["components"]["logits"])))
    each = np.prod(np.where(x[:, None] > 0, p[None], 1 - p[None]), -1)
    return each @ (w / w.sum())


KEY = jax.random.key(0)


def test_probabilities_are_the_definition_and_sum_to_one(binary):
    model, params = binary
    found = model.log_prob(params, KEY, jnp.asarray(BITS))
    assert found.kind == "exact"
    np.testing.assert_allclose(np.exp(found.value), by_hand(params, BITS), rtol=1e-10)
    assert np.exp(found.value).sum() == pytest.approx(1, abs=1e-12)
    assert model.discrete


@pytest.mark.parametrize("seen", [[], [0], [1, 4, 6], list(range(D))])
def test_marginals_and_conditionals_by_brute_force(binary, seen):
    model, params = binary
    observed = np.isin(np.arange(D), seen)
    probability = by_hand(params, BITS)
    x = BITS[::37]
    rows = jnp.asarray(np.where(observed, x, 7.0))  # what is missing is not looked at
    mask = jnp.asarray(np.broadcast_to(observed, x.shape))

    @jax.jit
    def program(params):
        drawn = jax.vmap(lambda key: model.conditional(params, key, rows, mask).value)(jax.random.split(KEY, 4000))
        return model.marginal_log_prob(params, rows, mask).value, drawn, model.conditional(params, KEY, rows, mask).mean

    log_prob, draws, means = jax.device_get(program(params))
    found = np.exp(log_prob)
    for row in range(len(x)):
        fits = (BITS[:, observed] == x[row, observed]).all(1)
        assert found[row] == pytest.approx(probability[fits].sum(), rel=1e-10)
        exact = (probability[fits, None] * BITS[fits]).sum(0) / probability[fits].sum()
        np.testing.assert_allclose(means[row], exact, rtol=1e-9, atol=1e-12)
        error = np.sqrt(np.maximum(exact * (1 - exact), 0) / 4000)  # 1 may be met from above by rounding
        assert (np.abs(np.asarray(draws[:, row]).mean(0) - exact) <= 4.5 * error + 1e-12).all()
        assert (np.asarray(draws)[:, row, observed] == x[row, observed]).all()


def test_samples_have_the_model_s_frequencies(binary):
    model, params = binary
    drawn = jax.jit(model.sample, static_argnums=2)(params, KEY, 20_000)
    index = np.asarray(drawn.value) @ 2 ** np.arange(D)[::-1]
    counts, probability = np.bincount(index.astype(int), minlength=2**D), by_hand(params, BITS)
    assert scipy.stats.chisquare(counts, 20_000 * probability).pvalue > 1e-4
    np.testing.assert_allclose(drawn.mean.mean(0), probability @ BITS, atol=0.02)


def test_gaussian_components_are_scipy_s(x64):
    """Values far from zero too: squares must not cost the digits of differences."""
    model = Mixture(count=2, components="gaussian", minimum_scale=0.2).build(DataFacts((3,), False))
    rng = np.random.default_rng(1)
    mean, log_scale = 1e3 + rng.normal(size=(2, 3)), rng.normal(size=(2, 3)) - 1
    params = {
        "weights": jnp.asarray([0.3, -0.5]),
        "components": {"mean": jnp.asarray(mean), "log_scale": jnp.asarray(log_scale)},
    }
    x = mean[rng.integers(0, 2, 6)] + rng.normal(size=(6, 3))
    scale = np.sqrt(0.2**2 + np.exp(2 * log_scale))
    w = np.exp([0.3, -0.5]) / np.exp([0.3, -0.5]).sum()
    each = scipy.stats.norm.logpdf(x[:, None], mean[None], scale[None])
    np.testing.assert_allclose(
        model.log_prob(params, KEY, jnp.asarray(x)).value, np.log(np.exp(each.sum(-1)) @ w), rtol=1e-9
    )
    mask = jnp.asarray(np.broadcast_to([True, False, True], (6, 3)))
    np.testing.assert_allclose(
        model.marginal_log_prob(params, jnp.asarray(x), mask).value, np.log(np.exp(each[..., [0, 2]].sum(-1)) @ w),
        rtol=1e-9,
    )  # fmt: skip
    share = np.exp(each[..., [0, 2]].sum(-1)) * w
    exact = (share / share.sum(1, keepdims=True)) @ mean[:, 1]
    np.testing.assert_allclose(model.conditional(params, KEY, jnp.asarray(x), mask).mean[:, 1], exact, rtol=1e-9)


@pytest.mark.parametrize("distance", [1.0, 10.0, 100.0, 1e4])
def test_components_far_apart_for_their_width_keep_their_digits(distance):
    """In float32; a sum of squares about one centre loses 0.06 nats of the second and 5 of the third."""
    model = Mixture(count=3, components="gaussian", minimum_scale=0.01).build(DataFacts((10,), False))
    rng = np.random.default_rng(0)
    mean = np.float32(np.array([-1, 1, 1.001])[:, None] * distance * np.ones(10))
    scale = np.float32(0.05)
    x = (mean[rng.integers(0, 3, 200)] + scale * rng.normal(size=(200, 10))).astype(np.float32)
    log_scale = np.full((3, 10), 0.5 * np.log(scale**2 - 0.01**2), np.float32)
    params = {"weights": jnp.zeros(3), "components": {"mean": jnp.asarray(mean), "log_scale": jnp.asarray(log_scale)}}
    scale = np.sqrt(0.01**2 + np.exp(2 * log_scale[0, 0].astype(np.float64)))
    each = scipy.stats.norm.logpdf(x[:, None].astype(np.float64), mean[None], scale)
    for seen in (np.ones(10, bool), np.arange(10) % 3 > 0):
        wanted = scipy.special.logsumexp(each[..., seen].sum(-1), axis=-1) - np.log(3)
        mask = jnp.asarray(np.broadcast_to(seen, x.shape))

        @jax.jit
        def both(params, x, mask=mask):
            return model.marginal_log_prob(params, x, mask).value, model.log_prob(params, KEY, x).value

        partly, whole = both(params, jnp.asarray(x))
        np.testing.assert_allclose(partly, wanted, atol=0.02)
        if seen.all():
            np.testing.assert_allclose(whole, wanted, atol=0.02)


def test_the_gradient_of_components_far_apart_is_that_of_float64(x64):
    """Scored one by one, and by the expanded square where that keeps its digits."""
    model = Mixture(count=2, components="gaussian", minimum_scale=0.01).build(DataFacts((3,), False))
    rng = np.random.default_rng(1)
    mean, x = (
        np.array([[-3.0] * 3, [3.0] * 3]),
        0.05 * rng.normal(size=(20, 3)) + np.where(rng.random((20, 1)) < 0.5, -3, 3),
    )

    def gradient(dtype):
        params = {"mean": jnp.asarray(mean, dtype), "log_scale": jnp.full((2, 3), -4.0, dtype)}

        def total(components):
            return jnp.sum(model.log_prob({"weights": jnp.zeros(2, dtype), "components": components}, KEY, rows).value)

        rows = jnp.asarray(x, dtype)
        return jax.jit(jax.grad(total))(params)

    near, exact = gradient(jnp.float32), gradient(jnp.float64)
    for name, wanted in exact.items():
        np.testing.assert_allclose(near[name], wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("pseudocount", [0.0, 2.0])
def test_maximising_ends_where_the_gradient_is_zero_and_never_lowers(x64, kind, pseudocount):
    """Without a pseudocount the likelihood itself rises at every step, and its gradient vanishes at the end."""
    rng = np.random.default_rng(2)
    centres = rng.uniform(0.1, 0.9, size=(2, D))
    x = (rng.random((300, D)) < centres[rng.integers(0, 2, 300)]).astype(float)
    x = x if kind == "bernoulli" else x + 0.3 * rng.normal(size=x.shape)
    model = Mixture(count=2, components=kind).build(DataFacts((D,), kind == "bernoulli"))
    params = model.init(0, summary(x.mean(0), x.std(0))._replace(x=x))
    params = jax.tree.map(lambda a: a.astype(jnp.float64), params)

    def likelihood(params):
        return jnp.mean(model.log_prob(params, KEY, jnp.asarray(x)).value)

    @jax.jit
    def step(params):
        found = model.statistics(params, jnp.asarray(x), jnp.ones(300))
        return model.maximise(params, found, pseudocount), likelihood(params), jax.grad(likelihood)(params)

    values, slopes = [], []
    for _ in range(400):
        params, value, slope = step(params)
        values.append(float(value))
        slopes.append(max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slope)))
    if not pseudocount:
        assert (np.diff(values) > -1e-12).all()
        assert slopes[-1] < 0.01 * slopes[0]
    assert values[-1] > values[0] + 0.05


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian"])
def test_a_maximum_with_a_pseudocount_is_that_of_so_many_further_examples(x64, kind):
    """Bernoulli ones are half ones and half zeros, twice as many; Gaussian ones are spread as the whole data is. Rows
    count by their mask."""
    rng, c, mask = np.random.default_rng(4), 1.5, np.array([1.0, 1.0, 0.5, 1.0, 0.0, 1.0])
    x = rng.integers(0, 2, (6, 2)).astype(float) if kind == "bernoulli" else 3 + rng.normal(size=(6, 2))
    model = Mixture(count=3, components=kind, **({"minimum_scale": 0.3} if kind == "gaussian" else {})).build(
        DataFacts((2,), kind == "bernoulli")
    )
    logits, mean, log_scale = rng.normal(size=(3, 3, 2))
    own = {"logits": logits} if kind == "bernoulli" else {"mean": 3 + mean, "log_scale": log_scale}
    params = jax.tree.map(jnp.asarray, {"weights": rng.normal(size=3), "components": own})
    if kind == "bernoulli":
        p = 1 / (1 + np.exp(-logits))
        each = np.log(np.where(x[:, None] > 0, p[None], 1 - p[None])).sum(-1)
    else:
        each = scipy.stats.norm.logpdf(x[:, None], 3 + mean, np.sqrt(0.3**2 + np.exp(2 * log_scale))).sum(-1)
    share = np.exp(each + np.asarray(params["weights"]))
    share = share / share.sum(1, keepdims=True) * mask[:, None]

    found = jax.jit(lambda p: model.maximise(p, model.statistics(p, jnp.asarray(x), jnp.asarray(mask)), c))(params)
    count = share.sum(0)[:, None]
    np.testing.assert_allclose(np.exp(found["weights"]), share.sum(0) + c, rtol=1e-9)
    if kind == "bernoulli":
        expected = (share.T @ x + c) / (count + 2 * c)
        np.testing.assert_allclose(jax.nn.sigmoid(found["components"]["logits"]), expected, rtol=1e-9)
    else:
        whole = mask @ x / mask.sum()
        spread = mask @ (x - whole) ** 2 / mask.sum()
        mean = (share.T @ x + c * whole) / (count + c)
        square = (share.T @ x**2 + c * (spread + whole**2)) / (count + c)
        np.testing.assert_allclose(found["components"]["mean"], mean, rtol=1e-9)
        variance = 0.3**2 + np.exp(2 * np.asarray(found["components"]["log_scale"]))
        np.testing.assert_allclose(variance, np.maximum(square - mean**2, 0.3**2), rtol=1e-8)


@pytest.mark.parametrize("mode", ["full_batch", "online"])
def test_gaussians_far_from_zero_are_learned_as_those_around_it(mode):
    """In float32: squares of 10^4 have no digit left of a variance of one."""
    far, count = 1e4, 200
    model = Mixture(count=2, components="gaussian").build(DataFacts((3,), False))
    spec = ALGORITHMS["expectation_maximisation"](mode=mode, step_size=0.5)
    algorithm = spec.build(model, 2 * count)
    rng = np.random.default_rng(3)
    x = np.where(rng.random((2 * count, 1)) < 0.4, 2.0, -2.0) + rng.normal(size=(2 * count, 3))
    x = (np.round(x * 256) / 256).astype(np.float32)  # the same numbers, exactly, in both places
    hyper = {name: jnp.asarray(v) for name, v in algorithm.hypers(np.arange(20), 2, 20).items()}

    @jax.jit
    def learned(params, x):
        def one(step, state):
            rows = jax.lax.dynamic_slice_in_dim(x, (step % 2) * count, count)
            batch = Batch(rows, jnp.arange(count), jnp.ones(count), None)
            return algorithm.step(state, batch, KEY, {name: v[step] for name, v in hyper.items()})[0]

        return jax.lax.fori_loop(0, 20, one, algorithm.fresh(params)).params

    start = {"mean": jnp.asarray([[1.0] * 3, [-1.0] * 3]), "log_scale": jnp.zeros((2, 3))}
    found = [
        learned({"weights": jnp.zeros(2), "components": start | {"mean": start["mean"] + by}}, x + np.float32(by))
        for by in (0.0, far)
    ]
    near, other = ({"weights": p["weights"], **p["components"]} for p in jax.device_get(found))
    np.testing.assert_allclose(other["mean"] - far, near["mean"], atol=0.01)
    np.testing.assert_allclose(np.exp(other["log_scale"]), np.exp(near["log_scale"]), rtol=0.01)
    assert (np.abs(np.exp(near["log_scale"]) - 1) < 0.2).all()


@pytest.mark.parametrize("mode", ["full_batch", "online"])
def test_gaussians_far_apart_for_their_width_learn_it(mode):
    """In float32, 3,000 widths apart: of squares about the middle of both, none of the variance's digits are right."""
    count, distance, scale = 400, 150.0, 0.1
    model = Mixture(count=2, components="gaussian").build(DataFacts((2,), False))
    algorithm = ALGORITHMS["expectation_maximisation"](mode=mode, step_size=0.5, pseudocount=0.0).build(model, count)
    rng = np.random.default_rng(5)
    side = np.where(np.arange(count) % 4 == 0, 1.0, -1.0)
    x = np.float32(side[:, None] * distance + scale * rng.normal(size=(count, 2)))
    hyper = {name: jnp.asarray(v[0]) for name, v in algorithm.hypers(np.arange(20), 1, 20).items()}
    start = {"mean": jnp.asarray([[149.0] * 2, [-151.0] * 2]), "log_scale": jnp.zeros((2, 2))}
    batch = Batch(jnp.asarray(x), jnp.arange(count), jnp.ones(count), None)
    step = jax.jit(lambda state: algorithm.step(state, batch, KEY, hyper)[0])
    state = algorithm.fresh({"weights": jnp.zeros(2), "components": start})
    for _ in range(20):
        state = step(state)
    found = jax.device_get(algorithm.eval_params(state))["components"]
    variance = 0.01**2 + np.exp(2 * found["log_scale"])
    for place, sign in enumerate((1.0, -1.0)):
        rows = x[side == sign].astype(np.float64)
        np.testing.assert_allclose(found["mean"][place], rows.mean(0), atol=1e-4)
        np.testing.assert_allclose(variance[place], rows.var(0), rtol=2e-3)


def test_what_it_offers_and_refuses():
    model = Mixture(count=2, components="bernoulli").build(DataFacts((4,), True, 1))
    for capability in (Density, Marginals, Mixing, Recentring):
        assert offers(model, capability)
    assert not offers(model, Classifier)
    assert Mixture().completed("bernoulli").components == "bernoulli"
    assert Mixture().completed("gaussian").components == "gaussian"
    with pytest.raises(UserError, match=r"model\.components=gaussian, and the data set is binary; allowed: bernoulli"):
        Mixture(components="gaussian").check(DataFacts((4,), True, 1))
