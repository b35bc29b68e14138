"""Every family and parameter against the derivative of a quadrature; the B functions pointwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

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
DRAWS = 600_000
IMPLICIT_DRAWS = 60_000  # JAX's derivative of a gamma draw is a series for each draw


def f(x):
    """Bounded, smooth, and neither odd nor even."""
    return jnp.tanh(x - 0.5) + 2 / (1 + x**2)


def expectation(distribution, points):
    """E[f] as an integral over quantiles: no tails to cut."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    # Levels crowd towards both ends, where quantiles run away.
    s = (nodes + 1) / 2
    level = s**2 * (3 - 2 * s)
    return 0.5 * np.sum(weights * 6 * s * (1 - s) * np.asarray(f(distribution.ppf(level))))


PAIRS = [(name, parameter) for name in CASES for parameter in FAMILIES[name].parameters]


@pytest.mark.parametrize(("name", "parameter"), PAIRS)
def test_gradients_equal_the_quadratures_derivative(name, parameter, x64):
    values, reference = CASES[name]
    step = 1e-3
    sides = []
    for shift in (-2, -1, 1, 2):
        moved = values | {parameter: values[parameter] + shift * step}
        if name == "von_mises":  # scipy's quantiles are slow and wrapped; the support is finite
            low, high = moved["loc"] - np.pi, moved["loc"] + np.pi
            density = reference(**moved).pdf
            sides.append(integrate.quad(lambda x, p=density: float(f(x)) * p(x), low, high, epsabs=1e-12)[0])
        else:
            sides.append(expectation(reference(**moved), 500))
    truth = (sides[0] - 8 * sides[1] + 8 * sides[2] - sides[3]) / (12 * step)

    def path(value):
        parameters = {k: jnp.float64(v) for k, v in values.items()} | {parameter: value}
        return f(
            FAMILIES[name].sample(
                jax.random.key(1), (IMPLICIT_DRAWS if FAMILIES[name].implicit else DRAWS,), **parameters
            )
        )

    count = IMPLICIT_DRAWS if FAMILIES[name].implicit else DRAWS
    _, derivative = jax.jit(lambda v: jax.jvp(path, (v,), (jnp.float64(1),)))(jnp.float64(values[parameter]))
    derivative = np.asarray(derivative)
    stderr = derivative.std() / np.sqrt(count)
    assert abs(derivative.mean() - truth) < 4 * stderr + 1e-5
    assert abs(truth) > 1e-3
    assert stderr < 0.02 * abs(truth)


@pytest.mark.parametrize("name", CASES)
def test_draws_follow_the_distribution(name):
    values, reference = CASES[name]
    parameters = {k: jnp.float32(v) for k, v in values.items()}
    draws = np.asarray(FAMILIES[name].sample(jax.random.key(2), (20_000,), **parameters))
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

    def path(df, loc, root):
        draws = FAMILIES["multivariate_student_t"].sample(
            jax.random.key(3), (IMPLICIT_DRAWS, 2), df=df, loc=loc, root=root
        )
        return f(draws @ jnp.asarray(w))

    def truth(df, loc, root):
        return expectation(stats.t(df, w @ loc, np.linalg.norm(w @ root)), 500)

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
        jaxed = [jnp.asarray(v, jnp.float64) for v in point]
        tangent = [jnp.asarray(v, jnp.float64) for v in direction]
        derivative = np.asarray(jax.jit(lambda p, t: jax.jvp(path, p, t)[1])(jaxed, tangent))
        stderr = derivative.std() / np.sqrt(IMPLICIT_DRAWS)
        assert abs(derivative.mean() - expected) < 4 * stderr + 1e-6, name


@pytest.mark.parametrize("kappa", [0.05, 1.0, 20.0, 300.0])
def test_von_mises_path_derivative(kappa, x64):
    """dx/dkappa at a fixed quantile, by finite differences of scipy's distribution function."""
    x = np.linspace(-2.5, 2.5, 11) / max(1.0, np.sqrt(kappa))
    step = 1e-4 * max(1, kappa)
    dF = (stats.vonmises(kappa + step).cdf(x) - stats.vonmises(kappa - step).cdf(x)) / (2 * step)
    expected = -dF / stats.vonmises(kappa).pdf(x)
    found = von_mises.path_derivative(jnp.asarray(x), jnp.full(x.shape, kappa))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6 / np.sqrt(kappa))
    np.testing.assert_allclose(
        von_mises.log_prob(jnp.asarray(x), jnp.float64(kappa)), stats.vonmises(kappa).logpdf(x), rtol=1e-8
    )


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


@pytest.mark.parametrize(("family", "parameter"), B_FUNCTIONS)
def test_b_functions_satisfy_their_equation(family, parameter, x64):
    values, density = DENSITIES[family]
    h = 1e-5
    by_x = (density(POINTS + h, **values) - density(POINTS - h, **values)) / (2 * h)
    up, down = (values | {parameter: values[parameter] + s * h} for s in (1, -1))
    by_parameter = (density(POINTS, **up) - density(POINTS, **down)) / (2 * h)
    b = B_FUNCTIONS[family, parameter].function(jnp.asarray(POINTS), **{k: jnp.float64(v) for k, v in values.items()})
    np.testing.assert_allclose(b * by_x, by_parameter, rtol=1e-5, atol=1e-8)


def test_exponential_family_gives_the_gamma_functions(x64):
    concentration = 2.2
    b = exponential_family(
        statistics=lambda x: jnp.stack([x]),
        log_base=lambda x: (concentration - 1) * jnp.log(x),
        natural=lambda rate: jnp.stack([-rate]),
        log_normaliser=lambda rate: -concentration * jnp.log(rate),
    )
    expected = B_FUNCTIONS["gamma", "rate"].function(jnp.asarray(POINTS), jnp.float64(concentration), jnp.float64(1.7))
    np.testing.assert_allclose([b(jnp.float64(x), jnp.float64(1.7)) for x in POINTS], expected, rtol=1e-10)


def test_every_family_is_tested():
    assert set(CASES) | {"multivariate_student_t"} == set(FAMILIES)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [0.01, 0.1, 0.6, 2.0, 9.0])
def test_path_of_the_logarithm_of_a_gamma_variable(shape, dtype, x64):
    """-(dF/da) / (p x), by differences of scipy's distribution function; down to x = 1e-300."""
    x = special.gammaincinv(shape, np.array([1e-3, 0.01, 0.2, 0.5, 0.9, 0.999]))
    step = 1e-4 * shape
    sides = [special.gammainc(shape + s * step, x) for s in (-2, -1, 1, 2)]
    by_shape = (sides[0] - 8 * sides[1] + 8 * sides[2] - sides[3]) / (12 * step)
    expected = -by_shape / (stats.gamma.pdf(x, shape) * x)
    found = log_gamma.path_derivative(jnp.asarray(np.log(x), dtype), jnp.full(x.shape, shape, dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == "float64" else 2e-3)


SMALL = {
    "gamma": ("concentration", {"concentration": 0.05, "rate": 1.3}, CASES["gamma"][1]),
    "inverse_gamma": ("concentration", {"concentration": 0.1, "scale": 1.3}, CASES["inverse_gamma"][1]),
    "beta": ("a", {"a": 0.05, "b": 0.1}, CASES["beta"][1]),
    "student_t": ("df", {"df": 0.2, "loc": 0.4, "scale": 1.2}, CASES["student_t"][1]),
}


@pytest.mark.parametrize("name", SMALL)
def test_gradients_at_small_shapes_in_float32(name, x64):
    """There a share of gamma variables underflows: no NaN, and the derivative of the quadrature."""
    parameter, values, reference = SMALL[name]
    step = 1e-3 * values[parameter]
    sides = [expectation(reference(**values | {parameter: values[parameter] + s * step}), 500) for s in (-1, 1)]
    truth = (sides[1] - sides[0]) / (2 * step)

    def path(value):
        parameters = {k: jnp.float32(v) for k, v in values.items()} | {parameter: value}
        return f(FAMILIES[name].sample(jax.random.key(1), (IMPLICIT_DRAWS,), **parameters))

    at = jnp.float32(values[parameter])
    derivative = np.asarray(jax.jit(lambda v: jax.jvp(path, (v,), (jnp.float32(1),)))(at)[1], np.float64)
    assert np.isfinite(derivative).all()
    stderr = derivative.std() / np.sqrt(IMPLICIT_DRAWS)
    assert abs(derivative.mean() - truth) < 4 * stderr + 1e-3 * abs(truth)
    assert stderr < 0.1 * abs(truth)


@pytest.mark.parametrize("df", [0.02, 0.2])
def test_multivariate_student_t_at_small_df_in_float32(df):
    """Finite in every parameter, and each coordinate is the univariate one's law."""
    root = jnp.asarray([[0.9, 0.0], [0.4, 0.7]], jnp.float32)
    sample = FAMILIES["multivariate_student_t"].sample
    found = jax.jit(
        jax.jacfwd(lambda p: jnp.mean(f(sample(jax.random.key(3), (20_000, 2), df=p[0], loc=p[1], root=p[2]))))
    )((jnp.float32(df), jnp.asarray([0.3, -0.2], jnp.float32), root))
    assert all(np.isfinite(part).all() for part in found)
    draws = sample(jax.random.key(4), (20_000, 2), df=jnp.float32(0.2), loc=jnp.zeros(2), root=root)
    assert stats.kstest(np.asarray(draws)[:, 0], stats.t(0.2, 0, 0.9).cdf).pvalue > 1e-4


@pytest.mark.parametrize("kappa", [1e-5, 1e4, 1e6, 1e10])
def test_von_mises_at_the_ends_of_its_range_in_float32(kappa):
    """Uniform, or Gaussian with as many values as draws, and x = z / sqrt(kappa) then gives dx/dkappa."""
    found = np.asarray(von_mises.sample(jax.random.key(0), jnp.full(50_000, kappa, jnp.float32)), np.float64)
    limit = stats.uniform(-np.pi, 2 * np.pi) if kappa < 1 else stats.norm(scale=1 / np.sqrt(kappa))
    assert stats.kstest(found, limit.cdf).pvalue > 1e-3
    assert len(np.unique(found)) > 45_000
    if kappa > 1:
        some = found[:200]
        slope = von_mises.path_derivative(jnp.asarray(some, jnp.float32), jnp.full(200, kappa, jnp.float32))
        np.testing.assert_allclose(slope, -some / (2 * kappa), rtol=2e-3)
        density = von_mises.log_prob(jnp.asarray(some, jnp.float32), jnp.full(200, kappa, jnp.float32))
        np.testing.assert_allclose(density, limit.logpdf(some), rtol=1e-3, atol=1e-3)


def test_one_less_the_mean_of_a_cosine(x64):
    kappa = np.array([0.1, 3.0, 49.0, 51.0, 300.0])
    expected = 1 - special.ive(1, kappa) / special.ive(0, kappa)
    np.testing.assert_allclose(von_mises._one_less_mean(jnp.asarray(kappa)), expected, rtol=1e-8)


@pytest.mark.parametrize("tail", [-0.4, -2e-4, 0.0, 5e-5, 2e-4, 0.01, 0.6])
def test_extreme_values_keep_their_digits_near_the_gumbel_law(tail):
    """Each draw's derivative in the tail, in float32, against the formula in float64."""

    def draw(value):
        one = jnp.float32(1)
        return FAMILIES["generalised_extreme_value"].sample(jax.random.key(5), (500,), jnp.float32(0), one, value)

    y = np.asarray(draw(jnp.float32(0)), np.float64)
    value, slope = jax.jvp(draw, (jnp.float32(tail),), (jnp.float32(1),))
    tail = float(np.float32(tail))
    if tail == 0:
        expected, by_tail = y, y**2 / 2
    else:
        expected = np.expm1(tail * y) / tail
        by_tail = (tail * y * np.exp(tail * y) - np.expm1(tail * y)) / tail**2
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slope, by_tail, rtol=2e-5, atol=1e-6)
