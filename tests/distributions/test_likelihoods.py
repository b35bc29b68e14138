"""The contract that every likelihood keeps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from scipy import stats

from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.distributions.likelihoods.bernoulli import groups, log_bernoulli
from sbvi.distributions.likelihoods.categorical import Categorical
from sbvi.distributions.likelihoods.discretized_logistic import DiscretizedLogistic
from sbvi.distributions.likelihoods.gaussian import GaussianLikelihood
from sbvi.distributions.likelihoods.likelihood import Entrywise, gives_means
from sbvi.distributions.likelihoods.logistic_mixture import LogisticMixture
from sbvi.distributions.likelihoods.negative_binomial import NegativeBinomial
from sbvi.distributions.likelihoods.ordinal import Ordinal
from sbvi.distributions.likelihoods.poisson import Poisson
from sbvi.distributions.likelihoods.student_t import StudentT

D = 4
CASES = {
    "bernoulli": LIKELIHOODS["bernoulli"](),
    "gaussian fixed": GaussianLikelihood(scale="fixed", fixed_scale=0.4),
    "gaussian learned": GaussianLikelihood(scale="learned"),
    "gaussian predicted": GaussianLikelihood(scale="predicted"),
    "discretized logistic learned": DiscretizedLogistic(levels=16),
    "discretized logistic predicted": DiscretizedLogistic(levels=255, scale="predicted"),
    "student t learned": StudentT(scale="learned"),
    "student t predicted": StudentT(scale="predicted", minimum_degrees=2.5),
    "poisson": Poisson(levels=5),
    "negative binomial": NegativeBinomial(levels=5),
    "categorical": Categorical(levels=3),
    "ordinal": Ordinal(levels=3),
    "discretized mixture": LogisticMixture(levels=16, components=3),
}
#: Those that tables are put together of.
ENTRYWISE = [case for case in CASES if isinstance(CASES[case], Entrywise)]


#: Whose outputs are the values' means, or log-odds: that of discretised levels ends where they do.
MEANS = {"bernoulli", "gaussian fixed", "gaussian learned", "student t learned"}


@pytest.mark.parametrize("case", CASES)
def test_whose_outputs_are_means(case):
    likelihood = CASES[case]
    assert gives_means(likelihood, jnp.zeros(likelihood.free(D)), D) == (case in MEANS)


def parts(case, seed=0, rows=3, dtype=jnp.float32):
    generator = np.random.default_rng(seed)
    likelihood = CASES[case]
    outputs = jnp.asarray(generator.normal(size=(2, rows, likelihood.outputs(D))), dtype)
    free = jnp.asarray(generator.normal(size=likelihood.free(D)) * 0.3, dtype)
    if likelihood.binary:
        x = generator.integers(0, 2, (rows, D))
    elif likelihood.discrete:
        x = generator.integers(0, likelihood.levels + 1, (rows, D)) / likelihood.levels
        x[0] = [0, 1, 0, 1]
        x = np.float32(x)
    else:
        x = generator.normal(size=(rows, D))
    return likelihood, outputs, free, jnp.asarray(x, dtype)


def wide(raw):
    """What keeps a log-scale within 15."""
    return np.exp(15 * np.tanh(raw / 15))


def student_t(case, likelihood, outputs, free):
    degrees = likelihood.minimum_degrees + np.logaddexp(0, free[:D])
    mean, raw = np.split(outputs, 2, -1) if case.endswith("predicted") else (outputs, free[D:])
    return stats.t(degrees, mean, wide(raw) + likelihood.minimum_scale)


def categorical_mass(outputs, free, k, levels):
    logits = outputs.reshape(*outputs.shape[:-1], levels + 1, D)
    p = np.exp(logits) / np.exp(logits).sum(-2, keepdims=True)
    p = np.broadcast_to(p, (*np.broadcast_shapes(p.shape[:-2], k.shape[:-1]), levels + 1, D))
    k = np.broadcast_to(k, (*p.shape[:-2], D))
    return np.log(np.take_along_axis(p, k[..., None, :].astype(int), -2)[..., 0, :])


def ordinal_mass(outputs, free, k, levels):
    raw = free.reshape(levels, D)
    cuts = raw[0] + np.concatenate([np.zeros((1, D)), np.cumsum(wide(raw[1:]), 0)])
    edges = np.concatenate([np.full((1, D), -np.inf), cuts, np.full((1, D), np.inf)])
    upper, lower = (np.take_along_axis(edges, i.reshape(-1, D).astype(int), 0).reshape(i.shape) for i in (k + 1, k))
    return np.log(stats.logistic.cdf(upper - outputs) - stats.logistic.cdf(lower - outputs))


#: log p of whole numbers, by SciPy.
MASSES = {
    "poisson": lambda o, f, k, n: stats.poisson(wide(o)).logpmf(k),
    "negative binomial": lambda o, f, k, n: stats.nbinom(wide(f), wide(f) / (wide(f) + wide(o))).logpmf(k),
    "categorical": categorical_mass,
    "ordinal": ordinal_mass,
}


def has_scale(case):
    return case.startswith(("gaussian", "discretized"))


def location_and_scale(case, likelihood, outputs, free):
    mean, raw = np.split(outputs, 2, -1) if case.endswith("predicted") else (outputs, free)
    if case == "gaussian fixed":
        return mean, np.full_like(mean, 0.4)
    return mean, np.exp(15 * np.tanh(raw / 15)) + likelihood.minimum_scale


def reference(case, likelihood, outputs, free, x):
    """log p of every pixel, by SciPy."""
    outputs, free, x = (np.asarray(v, np.float64) for v in (outputs, free, x))
    if case == "bernoulli":
        return stats.bernoulli(1 / (1 + np.exp(-outputs))).logpmf(x)
    if case.endswith("mixture"):
        half, level = 0.5 / likelihood.levels, np.rint(x * likelihood.levels)[..., None, :] / likelihood.levels
        logits, mean, raw = np.moveaxis(outputs.reshape(*outputs.shape[:-1], 3, 3, -1), -3, 0)
        scale = np.exp(15 * np.tanh(raw / 15)) + likelihood.minimum_scale
        above = stats.logistic.cdf((level + half - mean) / scale)
        below = stats.logistic.cdf((level - half - mean) / scale)
        each = np.where(level == 1, 1, above) - np.where(level == 0, 0, below)
        return np.log((scipy.special.softmax(logits, -2) * each).sum(-2))
    mean, scale = location_and_scale(case, likelihood, outputs, free) if has_scale(case) else (None, None)
    if case.startswith("gaussian"):
        return stats.norm(mean, scale).logpdf(x)
    if case.startswith("student"):
        return student_t(case, likelihood, outputs, free).logpdf(x)
    if case in MASSES:
        return MASSES[case](outputs, free, np.rint(x * likelihood.levels), likelihood.levels)
    law = stats.logistic(mean, scale)
    half, level = 0.5 / likelihood.levels, np.rint(x * likelihood.levels) / likelihood.levels
    upper, lower = np.where(level == 1, 1, law.cdf(level + half)), np.where(level == 0, 0, law.cdf(level - half))
    return np.log(upper - lower)


def every_value(case, likelihood, outputs, free):
    """All values (N, D) of the pixels and their weights: the probabilities, or Gauss-Hermite's for a Gaussian."""
    if case.startswith("gaussian"):
        nodes, weights = np.polynomial.hermite_e.hermegauss(8)
        mean, scale = location_and_scale(case, likelihood, np.asarray(outputs), np.asarray(free))
        return mean + scale * nodes[:, None], np.repeat(weights[:, None], D, 1) / weights.sum()
    if case.startswith("student"):  # by the midpoints of equal masses of its tail-friendly quantiles
        law = student_t(case, likelihood, np.asarray(outputs), np.asarray(free))
        nodes, weights = np.polynomial.legendre.leggauss(400)
        angle = np.pi / 2 * nodes[:, None]  # x = tan(angle): the tails of a t law fit an interval
        values = law.mean() + np.tan(angle)
        return values, weights[:, None] * np.pi / 2 / np.cos(angle) ** 2 * law.pdf(values)
    levels = 1 if likelihood.binary else likelihood.levels
    if case in ("poisson", "negative binomial"):
        levels = 60 * likelihood.levels  # far into the tail
    values = np.repeat(np.arange(levels + 1.0)[:, None] / getattr(likelihood, "levels", 1), D, 1)
    return values, np.exp(reference(case, likelihood, outputs, free, values))


@pytest.mark.parametrize("case", CASES)
def test_log_prob_against_scipy(case):
    likelihood, outputs, free, x = parts(case)
    wanted = reference(case, likelihood, outputs, free, x[None])

    @jax.jit
    def scored(outputs):
        entries = likelihood.log_probs(outputs, free, x[None]) if case in ENTRYWISE else None
        return likelihood.log_prob(outputs, free, x), entries

    whole, entries = scored(outputs)
    np.testing.assert_allclose(whole, wanted.sum(-1), rtol=2e-5)
    if entries is not None:
        assert entries.shape == (2, 3, D)
        np.testing.assert_allclose(entries, wanted, rtol=2e-4, atol=1e-5)


@functools.cache
def compiled_mean(case):
    """Of a likelihood, for outputs (1, 1, O): one program for all tests."""
    return jax.jit(CASES[case].mean)


@functools.cache
def drawn(case):
    """40,000 draws (40_000, D) of the first row, for all tests of their law."""
    likelihood, outputs, free, _ = parts(case)
    many = np.broadcast_to(np.asarray(outputs)[:1, :1], (40_000, 1, outputs.shape[-1]))
    return np.asarray(jax.jit(likelihood.sample)(jax.random.key(0), many, free))[:, 0]


@pytest.mark.parametrize("case", CASES)
def test_samples_have_the_mean(case):
    _, outputs, free, _ = parts(case)
    draws = drawn(case).astype(np.float64)
    mean = compiled_mean(case)(np.asarray(outputs)[:1, :1], free)[0, 0]
    stderr = draws.std(0) / 200
    assert (np.abs(draws.mean(0) - mean) < 5 * stderr + 1e-6).all()


@pytest.mark.parametrize("case", CASES)
def test_output_precision_is_the_expected_curvature(case, x64):
    """The expectation is a sum over every value that a pixel can take."""
    likelihood, outputs, free, _ = parts(case, dtype=jnp.float64)
    one = outputs[0, 0]
    values, weights = every_value(case, likelihood, one, free)
    np.testing.assert_allclose(weights.sum(0), 1, rtol=1e-10)

    def curvature(x):
        return -jnp.diagonal(jax.hessian(lambda o: likelihood.log_prob(o[None, None], free, x[None])[0, 0])(one))

    @jax.jit
    def both(values):
        return jax.lax.map(curvature, values), likelihood.output_precision(outputs[:1, :1], free)[0, 0]

    found, precision = (np.asarray(v) for v in both(jnp.asarray(values)))
    expected = np.sum(np.tile(weights, found.shape[1] // D) * found, 0)
    precise = 1e-6 if case.startswith("student") else 1e-8
    np.testing.assert_allclose(precision, expected, rtol=precise)


@pytest.mark.parametrize("case", ENTRYWISE)
def test_samples_have_the_law(case):
    """Frequencies of levels, or of parts of a density's mass, its tails among them, within five standard errors."""
    likelihood, outputs, free, _ = parts(case)
    draws = drawn(case)
    one, own = np.asarray(outputs[0, 0], np.float64), np.asarray(free, np.float64)
    if likelihood.discrete:
        values = np.arange(4.0)[:, None] / getattr(likelihood, "levels", 1) * np.ones(D)
        values = values[: 2 if likelihood.binary else likelihood.levels + 1]
        wanted = np.exp(reference(case, likelihood, one, own, values))
        found = (np.abs(draws[None] - values[:, None]) < 1e-3).mean(1)
    else:
        law = student_t(case, likelihood, one, own) if case.startswith("student") else None
        law = law or stats.norm(*location_and_scale(case, likelihood, one, own))
        wanted = np.array([0.003, 1 / 6, 1 / 3, 0.5, 2 / 3, 5 / 6, 0.997])[:, None] * np.ones(D)
        found = (draws[None] < law.ppf(wanted)[:, None]).mean(1)
    assert (np.abs(found - wanted) < 5 * np.sqrt(wanted * (1 - wanted) / 40_000) + 1e-4).all()


@pytest.mark.parametrize("degrees", [2.0, 27.0, 300.0, 3e4, 3e6])
def test_a_student_t_of_many_degrees_keeps_its_digits(degrees):
    """Values that are Gaussian let them grow; a difference of logarithms of gamma functions is 0.9 nats off at 30,000
    degrees and 200 values."""
    size = 200
    x = np.random.default_rng(1).normal(size=(1, size)).astype(np.float32)
    free = jnp.concatenate([jnp.full(size, degrees), jnp.full(size, -0.5)])
    law = stats.t(3 + np.logaddexp(0, degrees), scale=np.exp(15 * np.tanh(-0.5 / 15)) + 0.01)
    found, slope = jax.jit(jax.value_and_grad(lambda f: StudentT().log_prob(jnp.zeros((1, 1, size)), f, x)[0, 0]))(free)
    assert float(found) == pytest.approx(law.logpdf(x.astype(float)).sum(), rel=3e-6)
    step = 1e-2 * (1 + degrees)
    ends = [stats.t.logpdf(x[0].astype(float), law.args[0] + d, scale=law.kwds["scale"]) for d in (-step, step)]
    expected = (ends[1] - ends[0]) / (2 * step) / (1 + np.exp(-degrees))
    np.testing.assert_allclose(slope[:size] * degrees, expected * degrees, rtol=2e-2, atol=2e-3)


def test_gradient_at_logit_zero():
    slope = jax.jit(jax.grad(log_bernoulli))
    for x in (0.0, 1.0):
        for logit in (0.0, -0.0, 1e-30):
            found = slope(jnp.full(1, logit, jnp.float32), jnp.full(1, x, jnp.float32))
            assert found[0] == x - 0.5
    extreme = jnp.array([-1e4, 1e4], jnp.float32)
    assert np.isfinite(log_bernoulli(extreme, jnp.ones(2))).all()


@pytest.mark.parametrize("size", [1, 7, 16, 35, 64, 75, 97, 100, 784])
def test_bernoulli_terms_that_share_a_logarithm_are_the_plain_sum(size):
    """In float32, confident and undecided logits mixed, against the sum in float64 term by term; with the gradient."""
    generator = np.random.default_rng(size)
    logits = generator.normal(size=(5, 3, size)) * np.exp(generator.uniform(-6, 4, (5, 3, size)))
    x = generator.integers(0, 2, (5, 3, size)).astype(np.float64)
    terms = x * logits - np.logaddexp(0, logits)
    given = jnp.asarray(logits, jnp.float32), jnp.asarray(x, jnp.float32)

    @jax.jit
    def both(logits, x):
        return log_bernoulli(logits, x), jax.grad(lambda logits: jnp.sum(log_bernoulli(logits, x)))(logits)

    found, slope = (np.asarray(v, np.float64) for v in both(*given))
    # What float32 leaves of each sum: half a unit in the last place for each term, and for each logit.
    allowed = 6e-8 * (np.abs(terms).sum(-1) + np.abs(logits).sum(-1) + size)
    assert (np.abs(found - terms.sum(-1)) < allowed).all()
    np.testing.assert_allclose(slope, x - 1 / (1 + np.exp(-logits)), atol=3e-7)


def test_bernoulli_of_grey_values_and_extreme_logits():
    """Probabilities for x, and logits up to 1e4 whose terms are 0 or as large; float64 term by term."""
    generator = np.random.default_rng(0)
    logits = generator.choice([-1e4, -90, -87, -20, -1e-3, 0.0, 1e-30, 15, 88, 1e4], (6, 784))
    x = generator.choice([0.0, 1.0, 0.25, 0.5, 254 / 255], logits.shape)
    both = jax.jit(lambda *given: (log_bernoulli(*given), jax.vjp(log_bernoulli, *given)[0]))
    sure = (logits > 0).astype(float)  # of these logits certain, so that nothing large is left in the sum
    for values in (x, sure):
        given = jnp.asarray(logits, jnp.float32), jnp.asarray(values, jnp.float32)
        wanted = (values * logits - np.logaddexp(0, logits)).sum(-1)
        allowed = 6e-8 * (np.abs(logits).sum(-1) + logits.shape[-1])
        for found in both(*given):
            assert (np.abs(np.asarray(found) - wanted) < allowed).all()


def test_values_share_logarithms_in_whole_registers():
    """784 in slices of 112, the widest of which there are most; 200 and 75 have none, 97 no divisor, and those of 35
    leave narrow slices."""
    sizes = 784, 200, 75, 97, 16, 512, 35, 10
    assert [groups(size, False) for size in sizes] == [7, 8, 3, 1, 1, 8, 1, 10]
    assert [groups(size, True) for size in sizes] == [16, 8, 3, 1, 16, 16, 1, 10]  # beside a gradient


@pytest.mark.parametrize("case", CASES)
def test_initial_outputs_start_at_the_datas_means(case):
    likelihood = CASES[case]
    mean, spread = np.array([0.1, 0.5, 0.9, 0.3]), np.full(D, 0.2)
    outputs = jnp.asarray(likelihood.initial_outputs(mean, spread)[None, None], jnp.float32)
    free = jnp.asarray(likelihood.initial_free(mean, spread), jnp.float32)
    assert outputs.shape[-1] == likelihood.outputs(D)
    assert free.shape == (likelihood.free(D),)
    # A logistic variable cut off at 0 and 1 has its own mean near them.
    slack = 0.06 if case.startswith("discretized") else 1e-6
    np.testing.assert_allclose(compiled_mean(case)(outputs, free)[0, 0], mean, rtol=1e-5, atol=slack)


@pytest.mark.parametrize("scale", ["learned", "predicted"])
def test_scales_start_at_the_datas_spread(scale):
    """Far from 1 as well, where the bound on the log-scale bends."""
    spread = np.array([2e-5, 3e-3, 1.0, 700.0, 2e5])
    mean = np.zeros(len(spread))
    for likelihood in (GaussianLikelihood(scale=scale, minimum_scale=1e-6), StudentT(scale=scale, minimum_scale=1e-6)):
        outputs = jnp.asarray(likelihood.initial_outputs(mean, spread)[None, None], jnp.float32)
        free = jnp.asarray(likelihood.initial_free(mean, spread), jnp.float32)
        read = likelihood.moments if isinstance(likelihood, GaussianLikelihood) else likelihood.parameters
        np.testing.assert_allclose(np.ravel(read(outputs, free)[1]), spread, rtol=2e-5)


def test_negative_binomial_starts_at_the_datas_moments():
    """As scipy has the law of that mean and shape."""
    likelihood, mean, shape = NegativeBinomial(levels=1), np.array([3.0, 400.0, 2e4]), np.array([0.2, 5.0, 900.0])
    spread = np.sqrt(mean + np.square(mean) / shape)
    outputs = jnp.asarray(likelihood.initial_outputs(mean, spread)[None, None], jnp.float32)
    free = jnp.asarray(likelihood.initial_free(mean, spread), jnp.float32)
    counts = np.array([[[0.0, 350.0, 2.2e4]]])
    found = likelihood.log_probs(outputs, free, jnp.asarray(counts, jnp.float32))
    np.testing.assert_allclose(found, stats.nbinom(shape, shape / (shape + mean)).logpmf(counts), atol=2e-3)


@pytest.mark.parametrize("case", [c for c in CASES if c.startswith("discretized")])
def test_levels_sum_to_one_and_far_ones_stay_finite(case):
    likelihood = CASES[case]
    generator = np.random.default_rng(0)
    outputs = jnp.asarray(generator.normal(size=(1, 1, likelihood.outputs(1))), jnp.float32)
    free = jnp.asarray(generator.normal(size=likelihood.free(1)), jnp.float32)
    levels = jnp.arange(likelihood.levels + 1, dtype=jnp.float32)[:, None] / likelihood.levels
    many = jnp.broadcast_to(outputs, (1, len(levels), outputs.shape[-1]))
    narrow = jnp.full_like(many, -8.0).at[..., 0].set(0.2)

    @jax.jit
    def program(many, narrow, free):
        value, back = jax.vjp(lambda o: likelihood.log_prob(o, free - 8, levels), narrow)
        return likelihood.log_prob(many, free, levels), value, back(jnp.ones_like(value))[0]

    logs, value, slope = map(np.asarray, program(many, narrow, free))
    assert abs(np.exp(logs).sum() - 1) < 1e-4
    assert np.isfinite(slope).all()
    assert np.isfinite(value).all()


@pytest.mark.parametrize("levels", [1, 3, 16, 255, 300])
def test_the_mean_of_levels_is_their_sum(levels, x64):
    """Against sum_k x_k p(x_k), at scales about a level, the mean inside, at the ends and beyond."""
    likelihood = DiscretizedLogistic(levels=levels, scale="predicted", minimum_scale=0.1 / levels)
    mean, free = np.array([-0.2, 0.0, 0.3, 0.5 / levels, 0.97, 1.1]), jnp.zeros(0)
    values = np.arange(levels + 1)[:, None] / levels
    compiled = jax.jit(likelihood.mean)
    for each in (0.11, 0.5, 1.3):  # in levels
        scale = np.full(mean.size, each / levels)
        raw = 15 * np.arctanh(np.log(scale - 0.1 / levels) / 15)
        outputs = jnp.asarray(np.concatenate([mean, raw]))[None, None]
        law = stats.logistic(mean, scale)
        half = 0.5 / levels
        upper = np.where(values == 1, 1, law.cdf(values + half))
        lower = np.where(values == 0, 0, law.cdf(values - half))
        wanted = (values * (upper - lower)).sum(0)
        found = np.asarray(compiled(outputs, free))[0, 0]
        bound = min(0.5, 1 / (48 * each)) / levels if levels > 256 else 1e-10
        assert (np.abs(found - wanted) <= bound).all()


@pytest.mark.parametrize("levels", [10, 255, 1000])
def test_the_first_cuts_make_all_ranks_equally_likely(levels):
    """However narrow the ranks, whose distances to one another are exponentials of bounded numbers; and the place gives
    the data's mean."""
    likelihood, mean = Ordinal(levels=levels), np.array([0.5, 0.3, 0.04])
    outputs = jnp.asarray(likelihood.initial_outputs(mean, mean), jnp.float32)[None, None]
    free = jnp.asarray(likelihood.initial_free(mean, mean), jnp.float32)
    every = jnp.asarray(np.arange(levels + 1)[:, None].repeat(3, 1) / levels, jnp.float32)
    log_p = np.asarray(likelihood.log_probs(jnp.broadcast_to(outputs, (1, levels + 1, 3)), free, every[None]))[0]
    np.testing.assert_allclose(log_p[:, 0], -np.log(levels + 1), atol=2e-3)
    np.testing.assert_allclose(likelihood.mean(outputs, free)[0, 0], mean, atol=1e-3)
