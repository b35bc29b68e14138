"""Every rule for Gaussian posteriors against exact derivatives.

f(xi) = a^T xi + xi^T A xi / 2 over all nodes has E[f] = a^T mu + (mu^T A mu + Tr(A C)) / 2, whose
derivatives JAX takes of the closed form. What a rule gives for this f is a polynomial in its noise, of degree 4 at
most: its mean over a grid of Gauss and Hermite is its expectation.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.nightly import NIGHTLY

from sbvi.core import UserError
from sbvi.distributions.gaussian import covariance
from sbvi.gradients import RULES, Composite
from sbvi.gradients import rule as drawing
from sbvi.posteriors import GAUSSIAN as POSTERIORS

SIZES = {"layer_1": 2, "layer_2": 2}
BATCH = 2
#: Of the estimates by draws, which repeat the exact ones with the rules' own noise.
KEYS, SAMPLES, DRAWN = (64, 8_000, list(POSTERIORS)) if NIGHTLY else (32, 250, ["rank_one"])

#: seeds of the two posteriors of the batch, at which every derivative stands well clear of zero, so that one
#: bound on the relative error holds for all
SEEDS = {
    "diagonal": (43, 70),
    "rank_one": (374, 120),
    "low_rank": (48, 147),
    "full": (120, 319),
    "joint_rank_one": (389, 195),
}


def quadratic():
    generator = np.random.default_rng(0)
    total = sum(SIZES.values())
    A = generator.normal(size=(total, total))
    A = jnp.asarray(A + A.T + 4 * np.eye(total))
    a = jnp.asarray(generator.normal(size=total))
    J = jnp.linalg.cholesky(A @ A.T)  # any root: the Gauss-Newton form below is exact for it
    return A, a, J


def nodes(family):
    """Stochastic nodes and their sizes: one over all layers for a joint family."""
    return {"joint": sum(SIZES.values())} if family.joint else SIZES


def raw(family, seeds=(1, 2)):
    generators = [np.random.default_rng(seed) for seed in seeds]
    return {
        n: jnp.stack([jnp.asarray(g.normal(size=family.outputs(k)) * 0.4) for g in generators])
        for n, k in nodes(family).items()
    }


def posterior(family, outputs):
    return {n: family.distribution(value, nodes(family)[n]) for n, value in outputs.items()}


def integrand():
    """-(J xi)^2 / 2 - a^T xi as a Gaussian likelihood of linear outputs: Gauss-Newton is exact for it."""
    _, a, J = quadratic()

    def inner(points):
        xi = jnp.concatenate(list(points.values()), -1)
        return jnp.concatenate([xi @ J, (xi @ a)[..., None]], -1)

    def outer(outputs):
        return -0.5 * jnp.sum(outputs[..., :-1] ** 2, -1) - outputs[..., -1]

    def precision(outputs):
        return jnp.ones_like(outputs).at[..., -1].set(0)

    return Composite(inner, outer, precision)


def exact(family, outputs):
    _, a, J = quadratic()
    q = posterior(family, outputs)
    mean = jnp.concatenate([node.mean for node in q.values()], -1)
    C = jnp.stack([jax.scipy.linalg.block_diag(*(covariance(n)[b] for n in q.values())) for b in range(BATCH)])
    A = J @ J.T
    return -0.5 * (jnp.einsum("bi,ij,bj->b", mean, A, mean) + jnp.einsum("ij,bji->b", A, C)) - mean @ a


def estimates(rule, family, outputs, num_samples=SAMPLES, keys=KEYS):
    """Gradients (keys, parameters) and values (keys, B), each from `num_samples` draws."""
    f = integrand()

    @jax.jit
    def all_of_them(keys):
        def one(key):
            def value(o):
                _, values = rule(key, posterior(family, o), f, num_samples)
                return jnp.sum(jnp.mean(values, 0)), jnp.mean(values, 0)

            grads, values = jax.grad(value, has_aux=True)(outputs)
            return jnp.concatenate([g.ravel() for g in grads.values()]), values

        return jax.lax.map(one, keys, batch_size=max(1, 400 // num_samples))

    return all_of_them(jax.random.split(jax.random.key(0), keys))


def check(family, outputs, found):
    """Means within 4 standard errors of the truth; returns those errors relative to the derivatives."""
    grads, values = (np.asarray(v) for v in found)
    values_there, wanted = truth(family, outputs)
    stderr = grads.std(0, ddof=1) / np.sqrt(len(grads))
    assert (np.abs(grads.mean(0) - wanted) <= 4 * stderr + 1e-9).all()
    value_error = values.std(0, ddof=1) / np.sqrt(len(values))
    assert (np.abs(values.mean(0) - values_there) < 5 * value_error).all()
    return stderr / np.abs(wanted)


def grid(size):
    """Noise (P, size) and weights (P,): exact for polynomials of degree 5 in each coordinate."""
    noise = np.array(list(itertools.product((-np.sqrt(3), 0.0, np.sqrt(3)), repeat=size)))
    weights = np.array(list(itertools.product((1 / 6, 2 / 3, 1 / 6), repeat=size)))
    return noise, weights.prod(1)


def truth(family, outputs):
    """E[f], (B,), and its derivative by all outputs."""
    values, grads = jax.jit(lambda o: both(family, o))(outputs)
    return values, flat(grads)


def both(family, outputs):
    return exact(family, outputs), jax.grad(lambda o: jnp.sum(exact(family, o)))(outputs)


def flat(grads):
    return np.concatenate([np.asarray(g).ravel() for g in grads.values()])


@functools.cache
def expectations(name):
    """Of every rule for one family, by name, and the truth: means (B,) and their derivatives, by one program.

    Over every point of a grid and, where a rule takes random signs, every choice of them.
    """
    seeds, family = SEEDS[name], POSTERIORS[name]()
    noise, weights = grid(sum(SIZES.values()))
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=max(nodes(family).values()))))
    weights = np.repeat(weights, len(signs)) / len(signs)
    noise, signs = np.repeat(noise, len(signs), 0), np.tile(signs, (len(noise), 1))

    def given(values):
        return lambda key, shape, dtype: jnp.broadcast_to(jnp.asarray(values, dtype)[:, None, : shape[-1]], shape)

    def expectation(rule, outputs):
        def value(o):
            _, values = rule(jax.random.key(0), posterior(family, o), integrand(), len(weights))
            return jnp.sum(weights @ values), weights @ values

        grads, values = jax.grad(value, has_aux=True)(outputs)
        return values, grads

    # Over points that are not drawn there is no baseline; it has a test of its own.
    rules = {n: entry(baseline=False) if n == "score_function" else entry() for n, entry in RULES.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "normal", given(noise))
        patch.setattr(jax.random, "rademacher", given(signs))
        program = jax.jit(lambda o: {n: expectation(rule, o) for n, rule in rules.items()} | {"truth": both(family, o)})
        return program(raw(family, seeds))


@pytest.mark.parametrize("family", POSTERIORS)
@pytest.mark.parametrize("name", RULES)
def test_rules_are_exact_in_expectation(name, family, x64):
    found = expectations(family)
    (values, grads), (wanted_values, wanted) = found[name], found["truth"]
    assert np.abs(flat(wanted)).min() > 1e-2
    np.testing.assert_allclose(flat(grads), flat(wanted), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(values, wanted_values, rtol=1e-10)


@pytest.mark.parametrize("family", DRAWN)
@pytest.mark.parametrize("name", RULES)
def test_rules_are_unbiased(name, family, x64):
    """With their own noise."""
    seeds, family = SEEDS[family], POSTERIORS[family]()
    outputs = raw(family, seeds)
    samples = SAMPLES * 2 if name == "score_function" else SAMPLES
    error = check(family, outputs, estimates(RULES[name](), family, outputs, samples))
    assert error.max() < (0.02 if NIGHTLY else 0.2)  # enough draws for the test to mean something


def test_the_score_function_is_exact_with_two_samples(x64, monkeypatch):
    """Each sample is the other one's baseline: over every pair of a grid's points."""
    family = POSTERIORS["diagonal"]()
    outputs, rule = raw(family), RULES["score_function"]()
    noise, weights = grid(sum(SIZES.values()))
    first, second = np.divmod(np.arange(len(noise) ** 2), len(noise))
    pairs, chances = jnp.asarray(np.stack([noise[first], noise[second]], 1)), weights[first] * weights[second]
    monkeypatch.setattr(drawing, "normal", lambda key, shape, dtype: jnp.broadcast_to(key[:, None], shape))

    @jax.jit
    def estimate(o):
        def value(o):
            values = jax.vmap(lambda pair: rule(pair, posterior(family, o), integrand(), 2)[1])(pairs)
            means = chances @ jnp.mean(values, 1)
            return jnp.sum(means), means

        return jax.grad(value, has_aux=True)(o)

    found, values = estimate(outputs)
    wanted_values, wanted = truth(family, outputs)
    np.testing.assert_allclose(flat(found), wanted, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(values, wanted_values, rtol=1e-10)


def test_price_varies_less_than_the_path_for_covariances(x64):
    """For a quadratic f the Hessian is constant: Price's covariance gradient has no variance at all."""
    family = POSTERIORS["diagonal"]()
    outputs = raw(family)
    price, path = (np.asarray(estimates(RULES[n](), family, outputs, 2, 500)[0]) for n in ("price", "reparameterised"))
    layer = SIZES["layer_1"] * 2 * BATCH
    scales = np.array([i for i in range(layer) if (i % (2 * SIZES["layer_1"])) >= SIZES["layer_1"]])
    assert price[:, scales].std(0).max() < 1e-9
    assert path[:, scales].std(0).min() > 0.1


def test_the_papers_four_variances():
    """PAPER 2.5: f = c xi^2 / 2 under N(mu, sigma^2)."""
    mu, sigma, c = 0.7, 1.3, 0.9
    noise, weights = np.polynomial.hermite_e.hermegauss(6)  # exact up to degree 11
    weights = weights / weights.sum()
    xi = mu + sigma * noise
    f, slope = c * xi**2 / 2, c * xi
    expected = {
        "f'": (slope, c**2 * sigma**2),
        "(xi-mu)/sigma f'": ((xi - mu) / sigma * slope, 2 * c**2 * sigma**2 + mu**2 * c**2),
        "score": ((xi - mu) / sigma**2 * (f - weights @ f), 2 * c**2 * mu**2 + 2.5 * c**2 * sigma**2),
    }
    for name, (values, variance) in expected.items():
        assert weights @ values**2 - (weights @ values) ** 2 == pytest.approx(variance, rel=1e-12), name
    curvature = jax.vmap(jax.grad(jax.grad(lambda v: c * v**2 / 2)))(jnp.asarray(xi, jnp.float32))
    assert float(curvature.var()) < 1e-9


def test_parameters_inside_f_are_differentiated_as_usual(x64):
    family = POSTERIORS["diagonal"]()
    outputs = raw(family)

    @jax.jit
    def all_of_them(scale):
        found = {}
        for name, entry in RULES.items():

            def value(scale, rule=entry()):
                f = integrand()
                scaled = Composite(f.inner, lambda o: scale * f.outer(o), lambda o: scale * f.precision(o))
                return jnp.sum(rule(jax.random.key(0), posterior(family, outputs), scaled, 3)[1])

            found[name] = (jax.grad(value)(scale), value(jnp.ones_like(scale)))
        return found

    for name, (slope, there) in all_of_them(jnp.float64(2.0)).items():
        np.testing.assert_allclose(slope, there, rtol=1e-10, err_msg=name)


def test_refusals_name_what_to_use():
    family = POSTERIORS["diagonal"]()
    large = {"layer_1": family.distribution(jnp.zeros((1, 66)), 33)}
    with pytest.raises(UserError, match=r"up to 32 latents, and the model has 33; use price_hutchinson"):
        RULES["price"]()(jax.random.key(0), large, lambda p: jnp.sum(p["layer_1"], -1), 1)
    kinked = integrand()._replace(smooth=False)
    q = posterior(family, jax.tree.map(lambda v: v.astype(jnp.float32), raw(family)))
    for name in ("price", "price_hutchinson", "price_gauss_newton"):
        with pytest.raises(UserError, match=r"has kinks; use model\.activation"):
            RULES[name]()(jax.random.key(0), q, kinked, 1)
    with pytest.raises(UserError, match="use price_hutchinson"):
        RULES["price_gauss_newton"]()(jax.random.key(0), q, lambda p: p, 1)
