"""Every family and parameter against the derivative of a quadrature, and draw by draw where a draw is a quantile; the
B functions pointwise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats
from support.nightly import NIGHTLY

from sbvi.gradients import log_gamma, von_mises
from sbvi.gradients.pathwise import FAMILIES
from sbvi.gradients.product_rule import B_FUNCTIONS, exponential_family

CASES = {
    "gamma": (
        {"concentration": 2.3, "rate": 1.4},
        lambda concentration, rate: stats.gamma(concentration, scale=1 / rate),
    ),
    "inverse_gamma": (
        {"concentration": 2.5, "scale": 1.3},
        lambda concentration, scale: stats.invgamma(concentration, scale=scale),
    ),
    "beta": ({"a": 1.7, "b": 2.4}, lambda a, b: stats.beta(a, b)),
    "student_t": ({"df": 1.2, "loc": 0.4, "scale": 1.2}, lambda df, loc, scale: stats.t(df, loc, scale)),
    "von_mises": ({"loc": 0.3, "concentration": 1.8}, lambda loc, concentration: stats.vonmises(concentration, loc)),
    "log_normal": ({"loc": 0.2, "scale": 0.6}, lambda loc, scale: stats.lognorm(scale, scale=np.exp(loc))),
    "laplace": ({"loc": 0.3, "scale": 0.8}, lambda loc, scale: stats.laplace(loc, scale)),
    "logistic": ({"loc": 0.3, "scale": 0.8}, lambda loc, scale: stats.logistic(loc, scale)),
    "gumbel": ({"loc": 0.3, "scale": 0.8}, lambda loc, scale: stats.gumbel_r(loc, scale)),
    "generalised_extreme_value": (
        {"loc": 0.3, "scale": 0.8, "tail": 0.25},
        lambda loc, scale, tail: stats.genextreme(-tail, loc, scale),
    ),
    "weibull": (
        {"scale": 1.3, "concentration": 1.9},
        lambda scale, concentration: stats.weibull_min(concentration, scale=scale),
    ),
    "exponential": ({"rate": 1.4}, lambda rate: stats.expon(scale=1 / rate)),
    "levy": ({"loc": 0.2, "scale": 0.7}, lambda loc, scale: stats.levy(loc, scale)),
    "cauchy": ({"loc": 0.4, "scale": 0.8}, lambda loc, scale: stats.cauchy(loc, scale)),
}
#: JAX's derivative of a gamma draw is a series for each draw.
DRAWS, IMPLICIT_DRAWS = (600_000, 60_000) if NIGHTLY else (20_000, 12_000)
#: What the standard error may be of a derivative.
ERROR, SMALL_ERROR = (0.02, 0.1) if NIGHTLY else (0.1, 0.25)


def f(x):
    """Bounded, smooth, and neither odd nor even."""
    return np.tanh(x - 0.5) + 2 / (1 + x**2)


def slope(x):
    with np.errstate(over="ignore"):  # at the greatest of float32 the last term ends as 0
        return 1 - np.tanh(x - 0.5) ** 2 - 4 * x / (1 + x**2) ** 2


NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(500)


def expectation(distribution):
    """E[f] as an integral over quantiles: no tails to cut."""
    # Levels crowd towards both ends, where quantiles run away.
    s = (NODES + 1) / 2
    level = s**2 * (3 - 2 * s)
    return 0.5 * np.sum(NODE_WEIGHTS * 6 * s * (1 - s) * f(distribution.ppf(level)))


def with_derivatives(name, count, values):
    """Draws, and their derivatives by each parameter."""
    draws, along = jax.linearize(lambda v: FAMILIES[name].sample(jax.random.key(1), (count,), **v), values)
    still = jax.tree.map(jnp.zeros_like, values)
    return draws, {parameter: along(still | {parameter: jnp.ones_like(value)}) for parameter, value in values.items()}


@functools.cache
def drawn():
    """Of all families, in float64, by one program."""

    def program(given):
        counts = {name: IMPLICIT_DRAWS if FAMILIES[name].implicit else DRAWS for name in given}
        return {name: with_derivatives(name, counts[name], values) for name, values in given.items()}

    with jax.enable_x64(True):
        found = jax.jit(program)(
            {n: {k: jnp.float64(v) for k, v in values.items()} for n, (values, _) in CASES.items()}
        )
    return jax.tree.map(np.asarray, found)


PAIRS = [(name, parameter) for name in CASES for parameter in FAMILIES[name].parameters]


@pytest.mark.parametrize(("name", "parameter"), PAIRS)
def test_gradients_equal_the_quadratures_derivative(name, parameter):
    values, reference = CASES[name]
    step = 1e-3
    sides = []
    for shift in (-2, -1, 1, 2):
        moved = values | {parameter: values[parameter] + shift * step}
        if name == "von_mises":  # scipy's quantiles are slow and wrapped; the support is finite
            low, high = moved["loc"] - np.pi, moved["loc"] + np.pi
            density = reference(**moved).pdf
            sides.append(integrate.quad(lambda x, p=density: f(x) * p(x), low, high, epsabs=1e-12)[0])
        else:
            sides.append(expectation(reference(**moved)))
    truth = (sides[0] - 8 * sides[1] + 8 * sides[2] - sides[3]) / (12 * step)
    draws, by = drawn()[name]
    derivative = slope(draws) * by[parameter]
    stderr = derivative.std() / np.sqrt(len(draws))
    assert abs(derivative.mean() - truth) < 4 * stderr + 1e-5
    assert abs(truth) > 1e-3
    assert stderr < ERROR * abs(truth)


#: Families whose draws are no quantiles: of the normal or gamma variables that make one, each has its own part.
COMPOSED = ("beta", "student_t")


@pytest.mark.parametrize(("name", "parameter"), [pair for pair in PAIRS if pair[0] not in COMPOSED])
def test_a_draws_derivative_is_that_of_its_quantile(name, parameter):
    """dx = -(dF/dtheta) / p for every draw, by differences of scipy's distribution function; exact."""
    values, reference = CASES[name]
    draws, by = drawn()[name]
    x = draws[:300]
    step = 1e-3 * max(1.0, abs(values[parameter]))
    sides = []
    for shift in (-2, -1, 1, 2):
        moved = reference(**values | {parameter: values[parameter] + shift * step})
        sides.append((moved.cdf(x), -moved.sf(x)))
    by_parameter = [(a - 8 * b + 8 * c - d) / (12 * step) for a, b, c, d in zip(*sides, strict=True)]
    # The end of the distribution that keeps its digits.
    near = np.where(reference(**values).cdf(x) < 0.5, *by_parameter)
    expected = -near / reference(**values).pdf(x)
    np.testing.assert_allclose(by[parameter][:300], expected, rtol=1e-5, atol=1e-6)


@functools.cache
def in_single_precision():
    """20,000 draws of each family in float32, by one program."""

    def program(given):
        return {n: FAMILIES[n].sample(jax.random.key(2), (20_000,), **values) for n, values in given.items()}

    found = jax.jit(program)({n: {k: jnp.float32(v) for k, v in values.items()} for n, (values, _) in CASES.items()})
    return jax.tree.map(np.asarray, found)


@pytest.mark.parametrize("name", CASES)
def test_draws_follow_the_distribution(name):
    values, reference = CASES[name]
    draws = in_single_precision()[name]
    assert draws.dtype == np.float32
    if name == "von_mises":
        u = reference(**values).cdf(draws)
        assert stats.kstest(np.mod(u, 1), "uniform").pvalue > 1e-4
    else:
        assert stats.kstest(draws, reference(**values).cdf).pvalue > 1e-4


def test_multivariate_student_t(x64):
    """Gradients with respect to df, loc and root: f of a projection is a univariate Student-t."""
    df, loc = 4.0, np.array([0.3, -0.2])
    root = np.array([[0.9, 0.0], [0.4, 0.7]])
    w = np.array([0.6, 1.1])

    @jax.jit
    def path(point, direction):
        def projected(df, loc, root):
            shape = (IMPLICIT_DRAWS, 2)
            sample = FAMILIES["multivariate_student_t"].sample
            return sample(jax.random.key(3), shape, df=df, loc=loc, root=root) @ jnp.asarray(w)

        return jax.jvp(projected, point, direction)

    def truth(df, loc, root):
        return expectation(stats.t(df, w @ loc, np.linalg.norm(w @ root)))

    step = 1e-4
    cases = {
        "df": ((1.0, np.zeros(2), np.zeros((2, 2)))),
        "loc": ((0.0, np.array([1.0, 0.0]), np.zeros((2, 2)))),
        "root": ((0.0, np.zeros(2), np.array([[0.0, 0.0], [1.0, 0.0]]))),
    }
    for name, direction in cases.items():
        point = (df, loc, root)
        sides = [truth(*(p + s * step * d for p, d in zip(point, direction, strict=True))) for s in (-1, 1)]
        expected = (sides[1] - sides[0]) / (2 * step)
        x, by = map(np.asarray, path(*([jnp.asarray(v, jnp.float64) for v in each] for each in (point, direction))))
        derivative = slope(x) * by
        stderr = derivative.std() / np.sqrt(IMPLICIT_DRAWS)
        assert abs(derivative.mean() - expected) < 4 * stderr + 1e-6, name


path_derivative, log_prob = jax.jit(von_mises.path_derivative), jax.jit(von_mises.log_prob)


@pytest.mark.parametrize("kappa", [0.05, 1.0, 20.0, 300.0])
def test_von_mises_path_derivative(kappa, x64):
    """dx/dkappa at a fixed quantile, by finite differences of scipy's distribution function."""
    x = np.linspace(-2.5, 2.5, 11) / max(1.0, np.sqrt(kappa))
    step = 1e-4 * max(1, kappa)
    dF = (stats.vonmises(kappa + step).cdf(x) - stats.vonmises(kappa - step).cdf(x)) / (2 * step)
    expected = -dF / stats.vonmises(kappa).pdf(x)
    found = path_derivative(jnp.asarray(x), jnp.full(x.shape, kappa))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6 / np.sqrt(kappa))
    np.testing.assert_allclose(log_prob(jnp.asarray(x), jnp.float64(kappa)), stats.vonmises(kappa).logpdf(x), rtol=1e-8)


DENSITIES = {
    "gaussian": ({"mean": 0.3, "variance": 1.4}, lambda x, mean, variance: stats.norm.pdf(x, mean, np.sqrt(variance))),
    "log_normal": (
        {"loc": 0.3, "variance": 0.5},
        lambda x, loc, variance: stats.lognorm.pdf(x, np.sqrt(variance), scale=np.exp(loc)),
    ),
    "inverse_gamma": (
        {"concentration": 2.2, "scale": 1.7},
        lambda x, concentration, scale: stats.invgamma.pdf(x, concentration, scale=scale),
    ),
    "gamma": (
        {"concentration": 2.2, "rate": 1.7},
        lambda x, concentration, rate: stats.gamma.pdf(x, concentration, scale=1 / rate),
    ),
    "laplace": ({"loc": 0.3, "scale": 0.9}, lambda x, loc, scale: stats.laplace.pdf(x, loc, scale)),
}
POINTS = np.array([0.11, 0.45, 0.9, 1.6, 2.7])


@functools.cache
def b_values():
    """Of all B functions at POINTS, in float64, by one program."""

    def program(given):
        return [b.function(jnp.asarray(POINTS), **given[family]) for (family, _), b in B_FUNCTIONS.items()]

    with jax.enable_x64(True):
        given = {n: {k: jnp.float64(v) for k, v in values.items()} for n, (values, _) in DENSITIES.items()}
        return dict(zip(B_FUNCTIONS, map(np.asarray, jax.jit(program)(given)), strict=True))


@pytest.mark.parametrize(("family", "parameter"), B_FUNCTIONS)
def test_b_functions_satisfy_their_equation(family, parameter):
    values, density = DENSITIES[family]
    h = 1e-5
    by_x = (density(POINTS + h, **values) - density(POINTS - h, **values)) / (2 * h)
    up, down = (values | {parameter: values[parameter] + s * h} for s in (1, -1))
    by_parameter = (density(POINTS, **up) - density(POINTS, **down)) / (2 * h)
    b = b_values()[family, parameter]
    np.testing.assert_allclose(b * by_x, by_parameter, rtol=1e-5, atol=1e-8)


def test_exponential_family_gives_the_gamma_functions(x64):
    concentration = DENSITIES["gamma"][0]["concentration"]
    b = exponential_family(
        statistics=lambda x: jnp.stack([x]),
        log_base=lambda x: (concentration - 1) * jnp.log(x),
        natural=lambda rate: jnp.stack([-rate]),
        log_normaliser=lambda rate: -concentration * jnp.log(rate),
    )
    found = jax.jit(jax.vmap(b, (0, None)))(jnp.asarray(POINTS), jnp.float64(1.7))
    np.testing.assert_allclose(found, b_values()["gamma", "rate"], rtol=1e-10)


def test_every_family_is_tested():
    assert set(CASES) | {"multivariate_student_t"} == set(FAMILIES)


path_of_log_gamma = jax.jit(log_gamma.path_derivative)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [0.01, 0.1, 0.6, 2.0, 9.0])
def test_path_of_the_logarithm_of_a_gamma_variable(shape, dtype, x64):
    """-(dF/da) / (p x), by differences of scipy's distribution function; down to x = 1e-300."""
    x = special.gammaincinv(shape, np.array([1e-3, 0.01, 0.2, 0.5, 0.9, 0.999]))
    step = 1e-4 * shape
    sides = [special.gammainc(shape + s * step, x) for s in (-2, -1, 1, 2)]
    by_shape = (sides[0] - 8 * sides[1] + 8 * sides[2] - sides[3]) / (12 * step)
    expected = -by_shape / (stats.gamma.pdf(x, shape) * x)
    found = path_of_log_gamma(jnp.asarray(np.log(x), dtype), jnp.full(x.shape, shape, dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == "float64" else 2e-3)


SMALL = {
    "gamma": ("concentration", {"concentration": 0.05, "rate": 1.3}, CASES["gamma"][1]),
    "inverse_gamma": ("concentration", {"concentration": 0.1, "scale": 1.3}, CASES["inverse_gamma"][1]),
    "beta": ("a", {"a": 0.05, "b": 0.1}, CASES["beta"][1]),
    "student_t": ("df", {"df": 0.2, "loc": 0.4, "scale": 1.2}, CASES["student_t"][1]),
}


@functools.cache
def drawn_at_small_shapes():
    """Draws and their derivatives in float32, by one program."""

    def program(given):
        found = {}
        for name, values in given.items():
            parameter = SMALL[name][0]
            draws, by = with_derivatives(name, IMPLICIT_DRAWS, values)
            found[name] = draws, by[parameter]
        return found

    with jax.enable_x64(True):
        given = {n: {k: jnp.float32(v) for k, v in values.items()} for n, (_, values, _) in SMALL.items()}
        return jax.tree.map(np.asarray, jax.jit(program)(given))


@pytest.mark.parametrize("name", SMALL)
def test_gradients_at_small_shapes_in_float32(name):
    """There a share of gamma variables underflows: no NaN, and the derivative of the quadrature."""
    parameter, values, reference = SMALL[name]
    step = 1e-3 * values[parameter]
    sides = [expectation(reference(**values | {parameter: values[parameter] + s * step})) for s in (-1, 1)]
    truth = (sides[1] - sides[0]) / (2 * step)
    draws, by = drawn_at_small_shapes()[name]
    assert draws.dtype == by.dtype == np.float32
    derivative = np.asarray(slope(draws) * by, np.float64)  # in float32, as a model's would be
    assert np.isfinite(derivative).all()
    stderr = derivative.std() / np.sqrt(IMPLICIT_DRAWS)
    assert abs(derivative.mean() - truth) < 4 * stderr + 1e-3 * abs(truth)
    assert stderr < SMALL_ERROR * abs(truth)


@jax.jit
def means_slopes(df, loc, root):
    """The mean of f over 20,000 draws by df, loc and root, in float32, by JAX alone; and draws of loc 0."""
    sample = FAMILIES["multivariate_student_t"].sample

    def mean(df, loc, root):
        x = sample(jax.random.key(3), (20_000, 2), df=df, loc=loc, root=root)
        return jnp.mean(jnp.tanh(x - 0.5) + 2 / (1 + x**2))

    draws = sample(jax.random.key(4), (20_000, 2), df=df, loc=jnp.zeros_like(loc), root=root)
    return jax.jacfwd(mean, (0, 1, 2))(df, loc, root), draws


@pytest.mark.parametrize("df", [0.02, 0.2])
def test_multivariate_student_t_at_small_df_in_float32(df):
    """Finite in every parameter, and each coordinate is the univariate one's law."""
    root = jnp.asarray([[0.9, 0.0], [0.4, 0.7]], jnp.float32)
    found, draws = means_slopes(jnp.float32(df), jnp.asarray([0.3, -0.2], jnp.float32), root)
    assert all(np.isfinite(part).all() for part in found)
    if df == 0.2:
        assert stats.kstest(np.asarray(draws)[:, 0], stats.t(df, 0, 0.9).cdf).pvalue > 1e-4


draw_von_mises = jax.jit(von_mises.sample)


@pytest.mark.parametrize("kappa", [1e-5, 1e4, 1e6, 1e10])
def test_von_mises_at_the_ends_of_its_range_in_float32(kappa):
    """Uniform, or Gaussian with as many values as draws, and x = z / sqrt(kappa) then gives dx/dkappa."""
    found = np.asarray(draw_von_mises(jax.random.key(0), jnp.full(50_000, kappa, jnp.float32)), np.float64)
    limit = stats.uniform(-np.pi, 2 * np.pi) if kappa < 1 else stats.norm(scale=1 / np.sqrt(kappa))
    assert stats.kstest(found, limit.cdf).pvalue > 1e-3
    assert len(np.unique(found)) > 45_000
    if kappa > 1:
        some = found[:200]
        by_kappa = path_derivative(jnp.asarray(some, jnp.float32), jnp.full(200, kappa, jnp.float32))
        np.testing.assert_allclose(by_kappa, -some / (2 * kappa), rtol=2e-3)
        density = log_prob(jnp.asarray(some, jnp.float32), jnp.full(200, kappa, jnp.float32))
        np.testing.assert_allclose(density, limit.logpdf(some), rtol=1e-3, atol=1e-3)


def test_one_less_the_mean_of_a_cosine(x64):
    kappa = np.array([0.1, 3.0, 49.0, 51.0, 300.0])
    expected = 1 - special.ive(1, kappa) / special.ive(0, kappa)
    np.testing.assert_allclose(jax.jit(von_mises._one_less_mean)(jnp.asarray(kappa)), expected, rtol=1e-8)


@jax.jit
def extreme_values(tail):
    """500 draws, and their derivatives in the tail."""
    one = jnp.ones_like(tail)

    def draw(value):
        return FAMILIES["generalised_extreme_value"].sample(jax.random.key(5), (500,), jnp.zeros_like(one), one, value)

    return jax.jvp(draw, (tail,), (one,))


@pytest.mark.parametrize("tail", [-0.4, -2e-4, 0.0, 5e-5, 2e-4, 0.01, 0.6])
def test_extreme_values_keep_their_digits_near_the_gumbel_law(tail):
    """Each draw's derivative in the tail, in float32, against the formula in float64."""
    y = np.asarray(extreme_values(jnp.float32(0))[0], np.float64)
    value, by_tail = extreme_values(jnp.float32(tail))
    tail = float(np.float32(tail))
    if tail == 0:
        expected, expected_slope = y, y**2 / 2
    else:
        expected = np.expm1(tail * y) / tail
        expected_slope = (tail * y * np.exp(tail * y) - np.expm1(tail * y)) / tail**2
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_tail, expected_slope, rtol=2e-5, atol=1e-6)
