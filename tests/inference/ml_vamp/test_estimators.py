"""Every estimator against arbitrary precision, adaptive quadrature or dense linear algebra, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from sbvi.distributions.truncated import truncated
from sbvi.inference.ml_vamp.channels import LogisticOutput, Prior, ProbitOutput, logistic_moments
from sbvi.inference.ml_vamp.linear import LinearFactor, MeasuredFactor, linear_factor
from sbvi.inference.ml_vamp.messages import Message
from sbvi.inference.ml_vamp.threshold import ThresholdUnit
from sbvi.inference.ml_vamp.units import UNITS

pytestmark = pytest.mark.usefixtures("x64")

# (r_in, v_in, r_out, v_out): middles, narrow and wide messages, messages that disagree, tails.
CASES = [
    (0.3, 1.2, 0.7, 0.4),
    (-1.5, 0.3, -0.2, 2.0),
    (2.0, 0.01, 1.5, 0.2),
    (-0.4, 1e8, 0.6, 0.3),
    (0.8, 0.7, 0.0, 1e8),
    (-3.0, 0.05, 1.2, 0.02),
    (-33.0, 1.0, 0.1, 0.5),
    (40.0, 1.0, -0.5, 2.0),
    (3.0, 2.0, 0.05, 0.01),
    (0.4, 400.0, 0.3, 400.0),
]
DISCRETE = {"threshold": (0, 1, 0.0), "sign": (-1, 1, 0.0), "probit": (0, 1, 1.0)}
FUNCTIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "tanh": np.tanh,
    "sigmoid": special.expit,
    "softplus": lambda z: np.logaddexp(0, z),
    "silu": lambda z: z * special.expit(z),
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
}


#: One program for each kind of factor and mode: what a factor holds is an argument.
LINEAR = jax.jit(LinearFactor.estimate, static_argnums=3)
MEASURED = jax.jit(MeasuredFactor.estimate, static_argnums=3)
VARIANCES = jax.jit(LinearFactor.variances)
OUTPUTS = {kind: jax.jit(kind.estimate, static_argnums=3) for kind in (LogisticOutput, ProbitOutput)}
UNIT_ESTIMATES = {name: jax.jit(unit.estimate, static_argnums=2) for name, unit in UNITS.items()}


def message(mean, variance):
    return Message(jnp.full((1, 1), mean, jnp.float64), jnp.full((1, 1), variance, jnp.float64))


def by_quadrature(log_density, value, centres):
    """log mass, mean and variance of z, mean and variance of value(z), by dense Gauss-Legendre panels between cuts that
    crowd at each centre and at 0, where units have their kinks."""
    spread = np.concatenate([[0.0], np.geomspace(1e-4, 60, 400)])
    cuts = np.unique(np.concatenate([c + s * w * spread for c, w in centres for s in (-1, 1)]))
    x, w = np.polynomial.legendre.leggauss(12)
    half, middle = np.diff(cuts) / 2, (cuts[1:] + cuts[:-1]) / 2
    z, weights = (middle[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel()
    logs = log_density(z)
    top = logs.max()
    mass = np.exp(logs - top) * weights
    total = mass.sum()
    found = [top + np.log(total)]
    for values in (z, value(z)):
        mean = (mass * values).sum() / total
        found += [mean, (mass * (values - mean) ** 2).sum() / total]
    return found


def mode_of(log_density, centres):
    """The greatest of a dense scan, then of ever finer ones between its neighbours: no slopes, so that densities may
    jump to 0."""
    grid = np.unique(np.concatenate([c + w * np.linspace(-60, 60, 8001) for c, w in centres]))
    for _ in range(6):
        at = int(np.argmax(log_density(grid)))
        low, best, high = grid[max(at - 1, 0)], grid[at], grid[min(at + 1, len(grid) - 1)]
        grid = np.concatenate([np.linspace(low, best, 101), np.linspace(best, high, 101)[1:]])
    return best


def peaks(log_density, r_in, v_in):
    """Where a reference looks closely: at the messages, at 0, and at the greatest of a dense scan."""
    base = [(r_in, np.sqrt(v_in)), (0.0, 1.0)]
    at = mode_of(log_density, base)
    return [*base, (at, 1.0), (at, 0.1), (at, np.sqrt(v_in))]


def entries(belief):
    return [float(np.ravel(part)[0]) for part in (belief.evidence, *belief[:4])]


def together(name, mode, shift=0.0, cases=CASES):
    """Every case as an entry of one row: (evidence of the row, four arrays over cases)."""
    r_in, v_in, r_out, v_out = (jnp.asarray(column)[None] for column in np.array(cases).T)
    belief = UNIT_ESTIMATES[name](
        Message(r_in + shift * jnp.sqrt(jnp.minimum(v_in, 1.0)), v_in), Message(r_out, v_out), mode
    )
    return float(belief.evidence[0]), [np.asarray(part)[0] for part in belief[:4]]


def compare(name, expected):
    """expected: one (log mass, mean and variance in, mean and variance out) a case."""
    evidence, found = together(name, "mmse")
    expected = np.array(expected).T
    np.testing.assert_allclose(np.array(found), expected[1:], rtol=1e-8, atol=1e-8)
    assert evidence == pytest.approx(expected[0].sum(), rel=1e-9)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_moments_of_a_unit(name):
    function = FUNCTIONS[name]
    expected = []
    for r_in, v_in, r_out, v_out in CASES:

        def log_density(z, case=(r_in, v_in, r_out, v_out)):
            fit = stats.norm.logpdf(function(z), case[2], np.sqrt(case[3]))
            return stats.norm.logpdf(z, case[0], np.sqrt(case[1])) + fit

        expected.append(by_quadrature(log_density, function, peaks(log_density, r_in, v_in)))
    compare(name, expected)


#: The message from below lies where units are flat, and the one from above contradicts it: most of the mass is 15 to 40
#: deviations away, where the unit turns, or just as far where the message from below has it.
CONTRADICTING = [
    (-30.0, 1.0, 0.9, 1e-3),
    (35.0, 2.0, -0.5, 1e-3),
    (-41.5, 7.7, 1.0, 9e-4),
    (-16.7, 0.63, 1.4, 6e-4),
    (30.0, 1.0, 0.7, 0.02),
]


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "silu", "gelu"])
def test_a_flat_unit_whose_messages_contradict_each_other(name):
    function, expected = FUNCTIONS[name], []
    for case in CONTRADICTING:

        def log_density(z, case=case):
            fit = stats.norm.logpdf(function(z), case[2], np.sqrt(case[3]))
            return stats.norm.logpdf(z, case[0], np.sqrt(case[1])) + fit

        around = peaks(log_density, *case[:2])
        expected.append(by_quadrature(log_density, function, [*around, (around[2][0], 0.01)]))
    evidence, found = together(name, "mmse", cases=CONTRADICTING)
    expected = np.array(expected).T
    np.testing.assert_allclose(np.array(found), expected[1:], rtol=1e-6, atol=1e-8)
    assert evidence == pytest.approx(expected[0].sum(), rel=1e-9)


#: The message above is sharp and says a value that silu and gelu have twice, once, hardly, or never.
FALLING = [
    (-0.46, 1.32, -0.1119, 4.8e-7),
    (0.2, 0.7, -0.0073, 1.7e-6),
    (-0.083, 0.047, -0.0023, 1.4e-8),
    (0.63, 27.0, -0.05, 2.6e-8),
    (0.4, 2.0, 0.3, 1e-6),
    (-0.5, 1.0, -0.169, 1e-7),
    (-2.5, 4.0, -0.35, 1e-6),
]


def falling(function, case):
    """The log density of a case; where the function turns, and where on either side of that it has r_out."""
    r_in, v_in, r_out, v_out = case

    def log_density(z):
        return stats.norm.logpdf(z, r_in, np.sqrt(v_in)) + stats.norm.logpdf(function(z), r_out, np.sqrt(v_out))

    turn = optimize.minimize_scalar(function, bounds=(-2, 0), method="bounded", options={"xatol": 1e-12}).x
    sides = [(a, b) for a, b in ((-40.0, turn), (turn, 40.0)) if (function(a) > r_out) != (function(b) > r_out)]
    return log_density, [turn, *(optimize.brentq(lambda z: function(z) - r_out, *ends) for ends in sides)]


@pytest.mark.parametrize("name", ["silu", "gelu"])
def test_a_unit_that_falls_before_it_rises(name):
    expected, best = [], []
    for case in FALLING:
        log_density, places = falling(FUNCTIONS[name], case)
        expected.append(by_quadrature(log_density, FUNCTIONS[name], [(at, w) for at in places for w in (1.0, 0.1)]))
        scans = [np.concatenate([at + w * np.linspace(-1, 1, 20001) for w in (3.0, 0.1, 1e-3)]) for at in places]
        best.append(log_density(np.concatenate(scans)).max())
    evidence, found = together(name, "mmse", cases=FALLING)
    expected = np.array(expected).T
    np.testing.assert_allclose(np.array(found), expected[1:], rtol=1e-6, atol=1e-9)
    assert evidence == pytest.approx(expected[0].sum(), rel=1e-7)
    modes = together(name, "map", cases=FALLING)[1][0]
    for mode, case, highest in zip(modes, FALLING, best, strict=True):
        assert falling(FUNCTIONS[name], case)[0](mode) >= highest - 1e-6


@pytest.mark.parametrize("name", sorted(DISCRETE))
def test_moments_of_a_threshold(name):
    low, high, noise = DISCRETE[name]
    expected = []
    for r_in, v_in, r_out, v_out in CASES:
        parts = []
        for side, value in ((-1, low), (1, high)):

            def log_side(z, side=side, value=value, case=(r_in, v_in, r_out, v_out)):
                free = np.where(side * z > 0, 0.0, -np.inf)
                chance = stats.norm.logcdf(side * z / np.sqrt(noise)) if noise else free
                fit = stats.norm.logpdf(value, case[2], np.sqrt(case[3]))
                return stats.norm.logpdf(z, case[0], np.sqrt(case[1])) + chance + fit

            parts.append(by_quadrature(log_side, lambda z: z, peaks(log_side, r_in, v_in))[:3])
        log_mass = np.logaddexp(parts[0][0], parts[1][0])
        weights = np.exp([p[0] - log_mass for p in parts])
        means, values = np.array([p[1] for p in parts]), np.array([low, high])
        mean, mean_out = weights @ means, weights @ values
        variance = weights @ np.array([p[2] for p in parts]) + weights @ (means - mean) ** 2
        expected.append([log_mass, mean, variance, mean_out, weights @ (values - mean_out) ** 2])
    compare(name, expected)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh", "softplus", "sigmoid"])
def test_modes_of_a_unit_and_their_derivatives(name):
    function, cases = FUNCTIONS[name], CASES[:-1]
    _, (found, variance, out, _) = together(name, "map", cases=cases)
    np.testing.assert_allclose(out, function(found), rtol=1e-12, atol=1e-15)
    step = 1e-4
    ends = [together(name, "map", s * step, cases)[1][0] for s in (-1, 1)]
    for at, (r_in, v_in, r_out, v_out) in enumerate(cases):

        def log_density(z, case=(r_in, v_in, r_out, v_out)):
            return -((z - case[0]) ** 2) / (2 * case[1]) - (function(z) - case[2]) ** 2 / (2 * case[3])

        best = mode_of(log_density, [(r_in, np.sqrt(v_in)), (0.0, 1.0)])
        assert log_density(found[at]) >= log_density(best) - 1e-9
        slope = (ends[1][at] - ends[0][at]) / (2 * step * np.sqrt(min(v_in, 1.0)))
        np.testing.assert_allclose(variance[at], v_in * slope, rtol=2e-4, atol=1e-6 * v_in)


TRUNCATED_NORMAL = jax.jit(truncated)
# a, log Phi(a), a + h, 1 - h (h + a) and h, to 300 digits by mpmath and then rounded.
TRUNCATED = [
    (-1000000.0, -500000000014.73444, 9.99999999998e-07, 9.99999999994e-13, 1000000.000001),
    (-500.0, -125007.13355063158, 0.0019999840003199904, 3.999904003199867e-06, 500.0019999840003),
    (-40.0, -804.6084420137538, 0.024968847207263722, 0.0006226683785913888, 40.02496884720726),
    (-31.0, -484.85396362717927, 0.03219127677772473, 0.0010341415899533916, 31.032191276777723),
    (-6.001, -20.74292792058659, 0.15845862038409536, 0.02398068470101288, 6.159458620384096),
    (-5.999, -20.73061095537518, 0.15850659565864011, 0.023994591776526426, 6.1575065956586394),
    (-2.0, -3.783184333682032, 0.37321553282284087, 0.11427910041408125, 2.373215532822841),
    (-0.1, -0.7761545927302733, 0.7626174715309362, 0.3421528449626682, 0.8626174715309362),
    (0.0, -0.6931471805599453, 0.7978845608028654, 0.3633802276324187, 0.7978845608028654),
    (1.3, -0.10181180266765504, 1.4897350354192596, 0.7173450702894147, 0.18973503541925962),
    (7.0, -1.279812543886654e-12, 7.000000000009135, 0.9999999999360569, 9.134720408376284e-12),
    (30.0, -4.906713927148187e-198, 30.0, 1.0, 1.4736461348785476e-196),
]


@pytest.mark.parametrize("row", TRUNCATED, ids=lambda row: str(row[0]))
def test_truncated_normal(row):
    found = TRUNCATED_NORMAL(jnp.asarray(row[0], jnp.float64))
    np.testing.assert_allclose([float(f) for f in found], row[1:], rtol=1e-10, atol=1e-300)


BITS = [(0.4, 1.3), (-33.0, 1.0), (35.0, 1.0), (-2.0, 1e4), (500.0, 1e8), (1.0, 1e-4)]
BITS += [
    (0.7, 1.0),
    (-9.0, 1.0),
    (20.0, 990.0),
    (-900.0, 999.0),
    (6.0, 9.9),
    (-5.0, 10.0),
    (-60.0, 9.9),
    (2.0, 60.0),
    (-12.0, 63.9),
    (-300.0, 63.9),
]  # ends of each rule's range


@pytest.mark.parametrize("case", BITS)
@pytest.mark.parametrize("y", [0.0, 1.0])
@pytest.mark.parametrize("link", ["logistic", "probit", "sign"])
def test_binary_outputs(link, y, case):
    r, v = case
    side, ones = 2 * y - 1, jnp.ones((1, 1), jnp.float64)
    noise = {"probit": 0.7, "sign": 0.0}.get(link)
    output = LogisticOutput(ones) if noise is None else ProbitOutput(ones, noise)

    def log_chance(z):
        if noise is None:
            return -np.logaddexp(0, -side * z)
        return stats.norm.logcdf(side * z / np.sqrt(noise)) if noise else np.where(side * z >= 0, 0.0, -np.inf)

    def log_density(z):
        return stats.norm.logpdf(z, r, np.sqrt(v)) + log_chance(z)

    expected = by_quadrature(log_density, lambda z: z, peaks(log_density, r, v))[:3]
    estimate = OUTPUTS[type(output)]
    found = entries(estimate(output, message(r, v), message(y, 1.0), "mmse"))[:3]
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
    at = estimate(output, message(r, v), message(y, 1.0), "map")
    best = mode_of(log_density, [(r, np.sqrt(v)), (0.0, 1.0)])
    assert log_density(float(at.mean_in[0, 0])) >= log_density(best) - 1e-7 * max(1, abs(log_density(best)))


def test_bits_that_are_missing_say_nothing():
    rows = jnp.array([[1.0, 0.0, 1.0]])
    into = Message(jnp.array([[0.2, -0.7, 1.0]]), jnp.array([[0.9]]))
    y = Message(jnp.array([[1.0, 0.0, 0.0]]), jnp.ones((1, 1)))
    seen = jnp.array([[0, 2]])
    for output in (ProbitOutput(rows, 0.3), LogisticOutput(rows)):
        estimate = OUTPUTS[type(output)]
        whole = estimate(output, into, y, "mmse")
        part = type(output)(rows[:, seen[0]], *([0.3] if isinstance(output, ProbitOutput) else []))
        less_into, less_y = (Message(m.mean[:, seen[0]], m.variance) for m in (into, y))
        less = estimate(part, less_into, less_y, "mmse")
        np.testing.assert_allclose(whole.mean_in[:, seen[0]], less.mean_in, rtol=1e-12)
        np.testing.assert_allclose(whole.variance_in, less.variance_in, rtol=1e-12)
        np.testing.assert_allclose(whole.evidence, less.evidence, rtol=1e-12)
        assert whole.mean_in[0, 1] == into.mean[0, 1]


def dense(weight, bias, noise, r_in, v_in, r_out, v_out):
    """Posterior of (z_in, z_out) and log evidence by the joint covariance."""
    prior = v_in * np.eye(len(r_in))
    mean = weight @ r_in + bias
    out = weight @ prior @ weight.T + noise * np.eye(len(bias))
    joint = np.block([[prior, prior @ weight.T], [weight @ prior, out]])
    seen = out + v_out * np.eye(len(bias))
    gain = np.linalg.solve(seen, joint[len(r_in) :]).T
    posterior = np.concatenate([r_in, mean]) + gain @ (r_out - mean)
    covariance = joint - gain @ joint[len(r_in) :]
    return posterior, covariance, stats.multivariate_normal(mean, seen).logpdf(r_out)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 3), (6, 1)])
@pytest.mark.parametrize("noise", [0.0, 0.4])
@pytest.mark.parametrize("variances", [(0.7, 1.3), (1e3, 0.01), (0.02, 1e3)])
def test_linear_layer(shape, noise, variances):
    generator = np.random.default_rng(3)
    weight, bias = generator.normal(size=shape), generator.normal(size=shape[0])
    r_in, r_out = generator.normal(size=shape[1]), generator.normal(size=shape[0])
    v_in, v_out = variances
    mean, covariance, evidence = dense(weight, bias, noise, r_in, v_in, r_out, v_out)
    factor = linear_factor(weight, bias, noise)
    into, back = Message(r_in[None], np.full((1, 1), v_in)), Message(r_out[None], np.full((1, 1), v_out))
    belief = LINEAR(factor, into, back, "mmse")
    n = shape[1]
    spread = np.diag(covariance)
    np.testing.assert_allclose(belief.mean_in[0], mean[:n], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(belief.mean_out[0], mean[n:], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(belief.variance_in[0, 0], spread[:n].mean(), rtol=1e-8)
    np.testing.assert_allclose(belief.variance_out[0, 0], spread[n:].mean(), rtol=1e-8)
    np.testing.assert_allclose(belief.evidence[0], evidence, rtol=1e-8)
    turn = generator.normal(size=(4, n))
    expected = np.diag(turn @ covariance[:n, :n] @ turn.T)
    found = VARIANCES(factor, into, back, jnp.asarray(turn))
    np.testing.assert_allclose(found[0], expected, rtol=1e-7)


def test_a_linear_layer_whose_rows_are_missing_is_the_smaller_layer():
    generator = np.random.default_rng(5)
    weight, bias = generator.normal(size=(7, 4)), generator.normal(size=7)
    rows = np.array([1, 0, 1, 1, 0, 0, 1], bool)[: len(bias)]
    rows[2] = False  # fewer than inputs, so that some singular values are 0
    y = np.where(rows, generator.normal(size=7), 0.0)[None]
    into = Message(generator.normal(size=(1, 4)), np.full((1, 1), 0.6))
    for noise in (0.0, 0.5):
        whole, less = linear_factor(weight, bias, noise, rows), linear_factor(weight[rows], bias[rows], noise)
        for mode in ("mmse", "map"):
            a = MEASURED(MeasuredFactor(whole), into, Message(y, np.full((1, 1), 0.3)), mode)
            b = MEASURED(MeasuredFactor(less), into, Message(y[:, rows], np.full((1, 1), 0.3)), mode)
            np.testing.assert_allclose(a.mean_in, b.mean_in, rtol=1e-10)
            np.testing.assert_allclose(a.mean_out[:, rows], b.mean_out, rtol=1e-10)
            np.testing.assert_allclose(a.variance_in, b.variance_in, rtol=1e-10)
            np.testing.assert_allclose(a.variance_out, b.variance_out, rtol=1e-10)
            np.testing.assert_allclose(a.evidence, b.evidence, rtol=1e-10)


def test_prior():
    belief = Prior().estimate(message(9.0, 9.0), message(1.7, 0.6), "mmse")
    assert belief.mean_out[0, 0] == pytest.approx(1.7 / 1.6)
    assert belief.variance_out[0, 0] == pytest.approx(0.6 / 1.6)
    assert belief.evidence[0] == pytest.approx(stats.norm.logpdf(1.7, 0, np.sqrt(1.6)))


def test_threshold_away_from_zero_and_with_noise():
    unit = ThresholdUnit(edge=0.7, low=-2.0, high=3.0, noise=0.4)
    r_in, v_in, r_out, v_out = -0.3, 1.1, 0.5, 2.0
    above = stats.norm.cdf((r_in - 0.7) / np.sqrt(v_in + 0.4))
    weights = np.array([1 - above, above]) * stats.norm.pdf([-2.0, 3.0], r_out, np.sqrt(v_out))
    belief = jax.jit(unit.estimate, static_argnums=2)(message(r_in, v_in), message(r_out, v_out), "mmse")
    assert belief.evidence[0] == pytest.approx(np.log(weights.sum()), rel=1e-10)
    assert belief.mean_out[0, 0] == pytest.approx((weights * [-2, 3]).sum() / weights.sum(), rel=1e-10)

    def chance(z):
        up = stats.norm.cdf((z - 0.7) / np.sqrt(0.4))
        fits = stats.norm.pdf([-2.0, 3.0], r_out, np.sqrt(v_out))
        return stats.norm.pdf(z, r_in, np.sqrt(v_in)) * (up * fits[1] + (1 - up) * fits[0])

    mean = integrate.quad(lambda z: z * chance(z), -9, 9, epsabs=1e-13)[0] / weights.sum()
    assert belief.mean_in[0, 0] == pytest.approx(mean, rel=1e-8)


@pytest.mark.parametrize(("deviations", "v"), [(-9.0, 1e6), (-8.9, 1.3e7), (9.0, 1e6), (-3.0, 1e4)])
def test_a_wide_message_far_on_the_other_side(deviations, v, x64):
    """Of the normal beyond 0 only a tail counts, of scale v / |r|: against the trapezoidal rule on a fine grid."""
    r = deviations * np.sqrt(v)
    found = logistic_moments(jnp.full((1, 1), r), jnp.full((1, 1), v))
    z = np.linspace(-60.0, 60.0, 40_001)
    tail = np.geomspace(60.0, 60.0 + abs(r) + 12 * np.sqrt(v), 400_001)
    z = np.concatenate([z, tail[1:]])
    weight = np.exp(-np.logaddexp(0, -z) - 0.5 * (z - r) ** 2 / v + 0.5 * np.minimum(deviations, 0.0) ** 2)
    mass = np.trapezoid(weight, z)
    mean = np.trapezoid(z * weight, z) / mass
    variance = np.trapezoid((z - mean) ** 2 * weight, z) / mass
    log_mass = np.log(mass / np.sqrt(2 * np.pi * v)) - 0.5 * np.minimum(deviations, 0.0) ** 2
    np.testing.assert_allclose(np.ravel(found), [log_mass, mean, variance], rtol=1e-7, atol=1e-9)
