"""Quadrature against exact likelihoods, where the posterior is far, narrow, oblique or in two places."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from support.linear_gaussian import LinearGaussian
from support.models import dlgm, summary

from sbvi.data import Dataset, Split
from sbvi.data.sources.synthetic import Synthetic
from sbvi.distributions.likelihoods.gaussian import GaussianLikelihood
from sbvi.distributions.priors import PRIORS
from sbvi.evaluation import Evaluation, Evaluator
from sbvi.evaluation import quadrature as whole
from sbvi.evaluation.batched import batched
from sbvi.inference.quadrature import EFFORTS, TOLERANCE, Effort, quadrature, serves

OBLIQUE = np.array([[1.0, 0.98], [0.7, 0.72], [-1.2, -1.15]])


@partial(jax.jit, static_argnums=(0, 3))
def run(model, params, x, effort):
    return quadrature(model, params, x, effort)


def found(model, params, x, effort=0):
    settings = EFFORTS[sum(model.latent_sizes().values())][effort]
    return jax.device_get(run(model, params, jnp.asarray(x), settings))


@pytest.mark.parametrize(
    ("W", "sigma", "effort"),
    [(OBLIQUE, 0.7, 0), (OBLIQUE, 0.02, 1), (OBLIQUE[:, :1], 0.02, 0)],
    ids=["wide", "narrow", "one"],
)
def test_exact_likelihoods(x64, W, sigma, effort):
    """Of data of the model and of data at the end of its prior; the recognition model has no part."""
    oracle = LinearGaussian(W, sigma=sigma)
    x = np.concatenate([oracle.data(4), oracle.b + np.array([[3.2] * W.shape[1]]) @ W.T])
    result = found(oracle.model, oracle.params, x, effort)
    exact = oracle.log_likelihood(x)
    assert (result.error < TOLERANCE).all()
    np.testing.assert_allclose(result.log_likelihood, exact, atol=1e-4)
    weights = np.exp(result.log_mass)
    np.testing.assert_allclose(weights.sum(0), 1, atol=1e-9)
    mean = np.linalg.solve(oracle.precision, oracle.W.T @ (x - oracle.b).T / sigma**2).T
    np.testing.assert_allclose((weights[..., None] * result.points).sum(0), mean, atol=1e-5)
    if not effort:
        far = found(oracle.model, oracle.params, np.tile(oracle.b + np.array([[9.0] * W.shape[1]]) @ W.T, (5, 1)))
        assert (far.error > TOLERANCE).all()  # outside the first grid: told


@pytest.mark.parametrize("sigma", [0.4, 0.7])
@pytest.mark.parametrize("effort", [0, 1])
def test_the_sum_over_cells_tells_its_error(x64, sigma, effort):
    """Where a lattice that is too thin leaves the result to it: no less than nine tenths of what it is off, which in
    the flanks of a peak is more than what cutting changed by the share of the mass there; and not much more."""
    oracle = LinearGaussian(np.array([[1.0, 0.2], [0.3, -0.9], [0.4, 0.5]]), sigma=sigma)
    x = oracle.data(6)
    result = jax.device_get(run(oracle.model, oracle.params, jnp.asarray(x), EFFORTS[2][effort]._replace(points=4)))
    off = np.abs(result.log_likelihood - oracle.log_likelihood(x))
    assert (off > 1e-3).all()
    assert (result.error > 0.9 * off).all()
    assert (result.error < 2 * off).all()


def two_places():
    """v = W z + b + 0.5 e under a prior of two narrow components, far apart: the posterior of some v has both."""
    likelihood = GaussianLikelihood(scale="fixed", fixed_scale=0.5)
    choices = {"latents": (1, 1), "hidden": (), "recognition_hidden": (), "noise_matrix": "identity"}
    model = dlgm((3,), likelihood, **choices, prior=PRIORS["mixture"](components=2))
    params = model.init(0, summary(np.zeros(3), np.ones(3)))
    params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), params)
    place = {"layer_1": np.array([[-3.0], [4.0]]), "layer_2": np.array([[6.0], [-6.0]])}
    own = {
        node: {"weights": jnp.asarray([0.3, -0.4]), "mean": jnp.asarray(mean), "log_scale": jnp.full((2, 1), -2.0)}
        for node, mean in place.items()
    }
    return model, params._replace(prior=own), place


def test_a_prior_of_its_own_and_a_posterior_in_several_places(x64):
    """Two layers of one latent, whose prior has four places in all, each 0.14 wide and up to 14 from the others."""
    model, params, place = two_places()
    scale, shares = np.exp(15 * np.tanh(-2 / 15)), np.exp([0.3, -0.4]) / np.exp([0.3, -0.4]).sum()

    def outputs(z):
        latents = {"layer_1": jnp.asarray([[[z[0]]]]), "layer_2": jnp.asarray([[[z[1]]]])}
        return np.asarray(model.decode(params, latents))[0, 0]

    start = outputs((0.0, 0.0))
    W = np.stack([outputs((1.0, 0.0)) - start, outputs((0.0, 1.0)) - start], 1)  # the model is linear
    x = np.stack([start, start + W @ [0.5, 0.0], start + W @ [-3, 6]])
    covariance = W @ W.T * scale**2 + 0.25 * np.eye(3)
    terms = [
        np.log(shares[i] * shares[j])
        + stats.multivariate_normal(start + W @ [place["layer_1"][i, 0], place["layer_2"][j, 0]], covariance).logpdf(x)
        for i in (0, 1)
        for j in (0, 1)
    ]
    # Of the second row the posterior has two places of one mass, which no single lattice serves.
    result = found(model, params, x, 1)
    assert (result.error < TOLERANCE).all()
    np.testing.assert_allclose(result.log_likelihood, np.logaddexp.reduce(terms), atol=TOLERANCE)
    weights = np.exp(result.log_mass)
    np.testing.assert_allclose(weights.sum(0), 1, atol=1e-9)
    np.testing.assert_allclose((weights[:, 1:2] * result.points[:, 1]).sum(0), [0.5, 0], atol=0.02)


def test_examples_that_need_more_effort_get_it(monkeypatch, caplog):
    """With a first effort that serves nobody, and then with none that does."""
    with jax.enable_x64(True):
        oracle = LinearGaussian(OBLIQUE, sigma=0.3)
        x = np.asarray(oracle.data(25), np.float32)
    oracle.params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), oracle.params)
    split = Split(x)
    data = Synthetic(dimensions=3, observation="gaussian", train_size=10, validation_size=10, test_size=10).load()
    own = Dataset("x", split, split, split, data.preprocessing)
    useless, usual = Effort(6, 2, 1, 4, 2, 1.5), EFFORTS[2]
    monkeypatch.setitem(whole.EFFORTS, 2, (useless, *usual))
    work = whole.Quadrature(oracle.model, own)
    result = work(oracle.params, jax.random.key(0), batched(own, "test", 10))
    np.testing.assert_allclose(result["log_likelihood"], oracle.log_likelihood(x), atol=2e-3)
    assert (result["error"] <= TOLERANCE).all()
    assert not caplog.records
    monkeypatch.setitem(whole.EFFORTS, 2, (useless,))
    whole.Quadrature(oracle.model, own)(oracle.params, jax.random.key(0), batched(own, "test", 10))
    assert "The quadrature of 25 of 25 examples has not converged" in caplog.text
    # What samples show to be too low is told, however sure the grid is.
    monkeypatch.setitem(whole.EFFORTS, 2, usual[:1])
    floor = result["log_likelihood"] - 0.5
    floor[3] += 0.8
    below = whole.Quadrature(oracle.model, own)(oracle.params, jax.random.key(0), batched(own, "test", 10), floor)
    assert below["error"][3] == pytest.approx(0.3, abs=0.01)
    assert (np.delete(below["error"], 3) <= TOLERANCE).all()
    assert "The quadrature of 1 of 25 examples has not converged" in caplog.text


@pytest.mark.parametrize("count", [1, whole.FEW, whole.FEW + 1, whole.BATCH + 3])
def test_rows_that_are_tried_again_stay_in_order(count):
    """However many of them a program takes at once."""
    work = object.__new__(whole.Quadrature)
    work._again, widths = {}, []

    def scores(params, x, effort):
        widths.append(len(x))
        return {"sum": jnp.sum(x, 1) * params}

    work._scores = scores
    x = np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32)
    np.testing.assert_allclose(work._rows(np.float32(2), x, None)["sum"], 2 * x.sum(1), rtol=1e-5)
    assert widths == [whole.FEW if count <= whole.FEW else whole.BATCH]


def test_what_samples_show():
    """Estimates of log p = 0 by twenty weights of so heavy a tail that one is nearly all of the estimate: of 300 at
    once none is told that log p is higher, but for a case in a hundred. Of many samples, four standard errors."""
    generator = np.random.default_rng(0)
    wrong = 0
    for _ in range(100):
        log_w = generator.normal(-8, 4, (20, 300))  # of mean exp(-8 + 4^2 / 2) = 1
        first, second = np.logaddexp.reduce(log_w), np.logaddexp.reduce(2 * log_w)
        estimate, effective = first - np.log(20), np.exp(2 * first - second)
        assert (estimate - 4 / np.sqrt(effective)).max() > -4  # within reach
        wrong += (whole.floor_of(estimate, effective) > 0).any()
    assert wrong <= 2
    np.testing.assert_allclose(whole.floor_of(np.full(3, -7.0), np.array([64, 1e4, 1e8])), [-7.5, -7.05, -7.05])
    np.testing.assert_allclose(whole.floor_of(np.full(2, -7.0), np.array([1.0, 20.0])), -7 - np.log(200))


def test_the_evaluator_reports_it(caplog):
    """In place of the samples' estimate, which stays beside it; and no warning of weights that it does not rest on."""
    model = dlgm((4,), latents=(2,), hidden=(3,), recognition_hidden=(3,))
    dataset = Synthetic(dimensions=4, train_size=10, validation_size=10, test_size=12).load()
    params = model.init(0, summary(np.full(4, 0.4), np.ones(4)))
    evaluator = Evaluator(model, dataset, Evaluation(batch_size=5))
    scalars, arrays = evaluator.summary(params, "test", 2000)
    assert evaluator.how == "quadrature"
    assert scalars["test/quadrature_error"] == arrays["quadrature_error"].max() < TOLERANCE
    # The first recognition model is so narrow that samples are off by nats.
    assert scalars["test/nll_by_samples"] > scalars["test/nll"] + 0.3
    assert scalars["test/nll"] == pytest.approx(arrays["nll"].mean())
    axis = np.linspace(-6, 6, 121)
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 1, 2).astype(np.float32)
    p = np.asarray(jax.jit(model.decode)(params, {"layer_1": jnp.asarray(points)}), np.float64)[:, 0]
    x = dataset.seen("test")
    log_joint = np.log(np.where(x[None] == 1, p[:, None], 1 - p[:, None])).sum(-1)
    log_joint += stats.norm.logpdf(points[:, 0].astype(np.float64)).sum(-1)[:, None]
    np.testing.assert_allclose(-arrays["nll"], np.logaddexp.reduce(log_joint) + 2 * np.log(0.1), atol=5e-3)
    assert "k-hat" not in caplog.text
    only = evaluator.likelihood(params, "test", 2000, by_samples=True)
    np.testing.assert_array_equal(only["nll"], arrays["nll_by_samples"])
    assert not serves(dlgm((4,), latents=(2, 1), hidden=(3,), recognition_hidden=(3,)))


class Mirrored:
    """p(x, z) is a density of z, half of it in each of two places that are mirror images about 0: log p(x) is 0."""

    def __init__(self, latents, width):
        self.latents, self.width = latents, width

    def latent_sizes(self):
        return {"layer_1": self.latents}

    def prior_params(self, params):
        return params

    def node_prior(self):
        return self

    def sample(self, params, key, count, dtype):
        side = jnp.sign(jax.random.normal(key, (count, 1), dtype))
        noise = jax.random.normal(jax.random.fold_in(key, 1), (count, self.latents), dtype)
        return {"layer_1": side + self.width * noise}

    def log_joint(self, params, latents, x):
        z = latents["layer_1"]
        of = [-0.5 * jnp.sum(((z - side) / self.width) ** 2, -1) for side in (-1.0, 1.0)]
        return jnp.logaddexp(*of) - jnp.log(2.0) - self.latents * jnp.log(self.width * jnp.sqrt(2 * jnp.pi))


@pytest.mark.parametrize("latents", [1, 2])
@pytest.mark.parametrize("width", [0.3, 0.15, 0.12, 0.1, 0.06, 0.03])
def test_the_error_of_what_is_its_own_mirror_image(latents, width):
    """As of two equal places about the mean: a lattice that lies evenly about it is made of halves that miss the same,
    so that no two of them differ, however far off they are."""
    result = found(Mirrored(latents, width), (), np.zeros((1, 1), np.float32))
    off = np.abs(result.log_likelihood)
    assert (result.error >= 0.85 * off - 2e-4).all()
    assert (result.error <= 2 * off + 0.002).all()
