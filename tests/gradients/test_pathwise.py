"""Every family and parameter against the derivative of a quadrature; the B functions pointwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from sbvi.gradients import von_mises
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
