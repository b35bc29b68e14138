"""Every posterior family against dense linear algebra in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.distributions.gaussian import covariance, entropy, log_prob, sample
from sbvi.distributions.low_rank import LowRankGaussian
from sbvi.distributions.rank_one import RankOneGaussian
from sbvi.posteriors import GAUSSIAN as POSTERIORS

ROWS, SIZE = 3, 64
FAMILIES = sorted(POSTERIORS)


def dense_covariance(name, outputs, size):
    """C (B, K, K) from the raw outputs, by the definitions alone."""
    limit = 15.0
    mean, log_value, rest = jnp.split(outputs, [size, 2 * size], axis=-1)
    log_value = limit * jnp.tanh(log_value / limit)
    diagonal = jax.vmap(jnp.diag)
    if name == "diagonal":
        return mean, diagonal(jnp.exp(2 * log_value))
    if name in ("rank_one", "joint_rank_one"):
        return mean, jnp.linalg.inv(diagonal(jnp.exp(log_value)) + rest[:, :, None] * rest[:, None, :])
    if name == "low_rank":
        u = rest.reshape(len(rest), size, -1)
        return mean, jnp.linalg.inv(diagonal(jnp.exp(log_value)) + u @ jnp.swapaxes(u, 1, 2))
    factor = diagonal(jnp.exp(log_value)).at[:, *np.tril_indices(size, -1)].set(rest)
    return mean, factor @ jnp.swapaxes(factor, 1, 2)


def raw_outputs(family, size, spread=0.3, seed=0, dtype=np.float64):
    generator = np.random.default_rng(seed)
    return jnp.asarray(generator.normal(size=(ROWS, family.outputs(size))) * spread, dtype)


def quantities(name, outputs, size, points):
    """Every quantity by our formulas and by dense algebra."""
    q = POSTERIORS[name]().distribution(outputs, size)
    mean, dense = dense_covariance(name, outputs, size)
    _, log_det = jnp.linalg.slogdet(dense)
    offset = points - mean[None]
    solved = jnp.einsum("bij,sbj->sbi", jnp.linalg.inv(dense), offset)
    trace = jnp.trace(dense, axis1=1, axis2=2)
    constant = size * np.log(2 * np.pi)
    ours = {
        "covariance": covariance(q),
        "variance": q.variance(),
        "log_det": q.log_det(),
        "log_prob": log_prob(q, points),
        "entropy": entropy(q),
        "kl": q.kl(),
    }
    theirs = {
        "covariance": dense,
        "variance": jnp.diagonal(dense, axis1=1, axis2=2),
        "log_det": log_det,
        "log_prob": -0.5 * (jnp.sum(offset * solved, -1) + (log_det + constant)[None]),
        "entropy": 0.5 * (log_det + constant + size),
        "kl": 0.5 * (trace - log_det + jnp.sum(mean**2, -1) - size),
    }
    return ours, theirs


SHAPES = {"covariance": (ROWS, SIZE, SIZE), "variance": (ROWS, SIZE), "log_prob": (2, ROWS)}
SHAPES |= dict.fromkeys(("log_det", "entropy", "kl"), (ROWS,))


@functools.cache
def values_and_gradients(name, side):
    """Of one of the two sides, with the gradient of each quantity's weighted sum. Compiled apart: in one program with
    two cores, XLA's pool of threads can wait for itself."""

    def both(outputs, points, weights):
        found, pull = jax.vjp(lambda o: quantities(name, o, SIZE, points)[side], outputs)
        nothing = jax.tree.map(jnp.zeros_like, found)
        return found, {key: pull(nothing | {key: weights[key]})[0] for key in found}

    return jax.jit(both)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_values_and_gradients_equal_dense_algebra(name, spread, x64):
    # A random Cholesky factor is ill-conditioned: the dense inverse would be what is wrong.
    spread = spread / 4 if name == "full" else spread
    outputs = raw_outputs(POSTERIORS[name](), SIZE, spread)
    points = jnp.asarray(np.random.default_rng(1).normal(size=(2, ROWS, SIZE)))
    weights = {key: jnp.asarray(np.random.default_rng(2).normal(size=shape)) for key, shape in SHAPES.items()}
    (ours, ours_pulled), (theirs, theirs_pulled) = (
        values_and_gradients(name, side)(outputs, points, weights) for side in (0, 1)
    )
    assert ours.keys() == theirs.keys() == SHAPES.keys()
    for key in ours:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-8, atol=1e-8, err_msg=key)
        pair = ours_pulled[key], theirs_pulled[key]
        np.testing.assert_allclose(*pair, rtol=1e-8, atol=1e-7 * np.abs(pair[1]).max(), err_msg=key)


@pytest.mark.parametrize("name", FAMILIES)
def test_root_gives_the_covariance(name, x64):
    """R R^T = C, samples are mean + R noise, and the points' white form has the Mahalanobis norm."""
    family = POSTERIORS[name]()
    q = family.distribution(raw_outputs(family, SIZE), SIZE)
    basis = np.broadcast_to(np.eye(SIZE)[:, None, :], (SIZE, ROWS, SIZE))
    noise = np.random.default_rng(0).normal(size=(4, ROWS, SIZE))
    found = jax.jit(
        lambda q, basis, noise: (q.scale(basis), covariance(q), sample(q, noise), q.unscale(q.scale(noise)))
    )
    scaled, dense, points, white = map(np.asarray, found(q, jnp.asarray(basis), jnp.asarray(noise)))
    root = np.transpose(scaled, (1, 2, 0))
    np.testing.assert_allclose(root @ np.swapaxes(root, 1, 2), dense, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(
        points, np.asarray(q.mean) + np.einsum("bij,sbj->sbi", root, noise), rtol=1e-8, atol=1e-8
    )
    np.testing.assert_allclose(np.sum(white**2, -1), np.sum(noise**2, -1), rtol=1e-8)


@functools.cache
def three_quantities(name):
    def found(outputs):
        q = POSTERIORS[name]().distribution(outputs, SIZE)
        return q.kl(), q.log_det(), covariance(q)

    return jax.jit(found)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("spread", [0.3, 1e-2, 1e-4])
def test_float32_agrees_with_float64(name, spread, x64):
    """Stated tolerance: 2e-4 relative, also near the prior, where the KL is almost nothing."""
    family = POSTERIORS[name]()
    double = raw_outputs(family, SIZE, spread)
    found = three_quantities(name)
    single, exact = found(double.astype(jnp.float32)), found(double)
    assert {value.dtype for value in single} == {jnp.dtype("float32")}
    for one, other, near in zip(single, exact, (0, 1e-6, 2e-6), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=near)


@pytest.mark.parametrize("name", FAMILIES)
def test_initial_outputs_give_the_scale(name):
    family = POSTERIORS[name]()
    outputs = jnp.asarray(family.initial_outputs(6, 0.2)[None], jnp.float32)
    assert outputs.shape == (1, family.outputs(6))
    variance = jax.jit(lambda outputs: family.distribution(outputs, 6).variance())(outputs)
    np.testing.assert_allclose(variance, 0.04, rtol=0.05)


def test_rank_one_at_zero_is_the_diagonal_one(x64):
    """u = 0, where the paper's eq. 21 is 0/0."""
    q = POSTERIORS["rank_one"]().distribution(jnp.zeros((1, 12)).at[:, :8].set(0.5), 4)
    noise = jnp.ones((1, 1, 4))
    np.testing.assert_allclose(q.scale(noise)[0], jnp.exp(-0.5 * q.log_precision), rtol=1e-12)
    gradient = jax.grad(lambda u: jnp.sum(q._replace(u=u).scale(noise)))(q.u)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("rank", [1, 2])
def test_a_narrow_direction_keeps_its_digits(rank):
    """Of a posterior that is narrow along one direction, in float32: a difference would leave none of them."""
    log_precision, u = np.array([[-0.4, 0.3, 0.7]]), np.array([[[3000.0, 0.2], [0.5, 0.9], [-0.8, 0.4]]])
    u = u[..., :rank]
    dense = np.linalg.inv(np.diag(np.exp(log_precision[0])) + u[0] @ u[0].T)
    parts = (jnp.asarray(value, jnp.float32) for value in (np.zeros((1, 3)), log_precision, u))

    @jax.jit
    def made(mean, log_precision, u):
        low = LowRankGaussian(mean, log_precision, u)
        alone = RankOneGaussian(mean, log_precision, u[..., 0]) if rank == 1 else low
        return covariance(alone), alone.variance(), low.variance()

    matrix, *variances = made(*parts)
    np.testing.assert_allclose(matrix[0], dense, rtol=1e-2)
    for variance in variances:
        np.testing.assert_allclose(variance[0], np.diag(dense), rtol=5e-3)
