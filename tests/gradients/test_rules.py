"""Every rule for Gaussian posteriors against exact derivatives.

f(xi) = a^T xi + xi^T A xi / 2 over all nodes has E[f] = a^T mu + (mu^T A mu + Tr(A C)) / 2, whose
derivatives JAX takes of the closed form.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.core import UserError
from sbvi.distributions.gaussian import covariance
from sbvi.gradients import RULES, Composite
from sbvi.posteriors import GAUSSIAN as POSTERIORS

SIZES = {"layer_1": 2, "layer_2": 2}
BATCH = 2
KEYS, SAMPLES = 64, 8_000

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
    values_there, truth = jax.jit(lambda o: (exact(family, o), jax.grad(lambda o: jnp.sum(exact(family, o)))(o)))(
        outputs
    )
    truth = np.concatenate([np.asarray(g).ravel() for g in truth.values()])
    stderr = grads.std(0, ddof=1) / np.sqrt(len(grads))
    assert (np.abs(grads.mean(0) - truth) <= 4 * stderr + 1e-9).all()
    value_error = values.std(0, ddof=1) / np.sqrt(len(values))
    assert (np.abs(values.mean(0) - values_there) < 5 * value_error).all()
    return stderr / np.abs(truth)


@pytest.mark.parametrize("family", POSTERIORS)
@pytest.mark.parametrize("name", RULES)
def test_rules_are_unbiased(name, family, x64):
    seeds, family = SEEDS[family], POSTERIORS[family]()
    outputs = raw(family, seeds)
    samples = SAMPLES * 2 if name == "score_function" else SAMPLES
    error = check(family, outputs, estimates(RULES[name](), family, outputs, samples))
    assert error.max() < 0.02  # enough draws for the test to mean something


def test_the_score_function_is_unbiased_with_two_samples(x64):
    """Each sample is the other one's baseline."""
    family = POSTERIORS["diagonal"]()
    outputs = raw(family)
    check(family, outputs, estimates(RULES["score_function"](), family, outputs, 2, 20_000))


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
    mu, sigma, c, n = 0.7, 1.3, 0.9, 4_000_000
    xi = mu + sigma * np.random.default_rng(0).normal(size=n)
    f, slope = c * xi**2 / 2, c * xi
    expected = {
        "f'": (slope, c**2 * sigma**2),
        "(xi-mu)/sigma f'": ((xi - mu) / sigma * slope, 2 * c**2 * sigma**2 + mu**2 * c**2),
        "score": ((xi - mu) / sigma**2 * (f - f.mean()), 2 * c**2 * mu**2 + 2.5 * c**2 * sigma**2),
    }
    for name, (values, variance) in expected.items():
        fourth = ((values - values.mean()) ** 4).mean()
        stderr = np.sqrt((fourth - values.var() ** 2) / n)
        assert abs(values.var() - variance) < 4 * stderr, name
    curvature = jax.vmap(jax.grad(jax.grad(lambda v: c * v**2 / 2)))(jnp.asarray(xi[:1000], jnp.float32))
    assert float(curvature.var()) < 1e-9


def test_parameters_inside_f_are_differentiated_as_usual(x64):
    family = POSTERIORS["diagonal"]()
    outputs = raw(family)
    for name in RULES:

        def value(scale, rule=RULES[name]()):
            f = integrand()
            scaled = Composite(f.inner, lambda o: scale * f.outer(o), lambda o: scale * f.precision(o))
            return jnp.sum(rule(jax.random.key(0), posterior(family, outputs), scaled, 3)[1])

        slope, there = jax.jit(lambda v=value: (jax.grad(v)(2.0), v(1.0)))()
        np.testing.assert_allclose(slope, there, rtol=1e-10)


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
