"""Annealed importance sampling against a model whose likelihood is exact."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from blackjax.mcmc import hmc
from support.learned_priors import Learned
from support.linear_gaussian import LinearGaussian, unbounded
from support.models import dlgm, summary
from support.two_latents import LAYERED, ONE, TWO, X, built, evidence_and_bound, sized

from sbvi.distributions.likelihoods.gaussian import GaussianLikelihood
from sbvi.distributions.priors import PRIORS
from sbvi.inference.annealed import Annealed, annealed, temperatures
from sbvi.posteriors import POSTERIORS
from sbvi.tasks import TASKS

W = np.random.default_rng(0).normal(size=(6, 2))


def dreams(oracle, count, seed=2):
    """Data of the model with the latents it was drawn with."""
    generator = np.random.default_rng(seed)
    xi = generator.normal(size=(count, oracle.K))
    x = xi @ oracle.W.T + oracle.b + oracle.sigma * generator.normal(size=(count, oracle.D))
    return jnp.asarray(x), {"layer_1": jnp.asarray(xi)}


@pytest.mark.parametrize("base", ["prior", "posterior"])
def test_weights_are_unbiased_and_tight(base, x64):
    oracle = LinearGaussian(W, sigma=0.5)
    oracle.set_recognition(np.full(oracle.K, -0.5))  # too wide, and without correlation
    x, _ = dreams(oracle, 4)
    found = jax.jit(lambda key: annealed(oracle.model, oracle.params, key, x, 400, 60, 5, base))(jax.random.key(0))
    truth = oracle.log_likelihood(x)
    # The mean of weights relative to the truth is one.
    stderr = np.sqrt(1 / np.asarray(found.effective))
    assert (np.abs(np.exp(np.asarray(found.log_likelihood) - truth) - 1) < 5 * stderr).all()
    assert (np.abs(np.asarray(found.log_likelihood) - truth) < 0.2).all()
    assert (np.asarray(found.accepted) > 0.4).all()


def test_forward_and_backward_bracket_the_truth(x64):
    oracle = LinearGaussian(W, sigma=0.2)
    x, xi = dreams(oracle, 60)

    @jax.jit
    def both(key):
        few = (oracle.model, oracle.params, key, x, 1, 25, 4, "prior")
        return annealed(*few).log_likelihood, annealed(*few, xi).log_likelihood

    lower, upper = (np.asarray(v) for v in both(jax.random.key(1)))
    truth = oracle.log_likelihood(x)
    for values, sign in ((truth - lower, 1), (upper - truth, 1)):
        mean, stderr = sign * values.mean(), values.std() / np.sqrt(len(values))
        assert mean > -3 * stderr
        assert mean > 0.01  # so few temperatures leave a gap to see
    assert (upper - lower).mean() > 0


def test_steps_are_as_long_as_a_search_of_its_own_found_them(x64, monkeypatch):
    """With moves to where each latent is the step's length, taken or not by a coin, a weight tells the third step's: it
    follows the search's coins and not this run's own, by which weights would not be unbiased."""
    oracle = LinearGaussian(W, sigma=0.5)

    def build_kernel():
        def kernel(key, point, density, step_size, *_):
            moved = SimpleNamespace(position={n: jnp.full_like(p, step_size) for n, p in point.items()})
            return moved, SimpleNamespace(is_accepted=jax.random.bernoulli(key))

        return kernel

    monkeypatch.setattr(hmc, "build_kernel", build_kernel)
    monkeypatch.setattr(hmc, "init", lambda point, density: point)
    x, start = jnp.zeros((96, 6)), {"layer_1": jnp.zeros((96, 2))}
    found = jax.jit(lambda key: annealed(oracle.model, oracle.params, key, x, 1, 3, exact=start))(jax.random.key(0))
    taken = np.round(3 * np.asarray(found.accepted)).astype(int)
    for coins in (0, 3):  # all of this run's were the same
        assert len(np.unique(np.round(np.asarray(found.log_likelihood)[taken == coins], 9))) == 2
    assert len(np.unique(np.round(found.log_likelihood, 9))) == 2  # the search's first coin
    np.testing.assert_allclose(found.effective, 1)  # of one chain, whatever its weight


def test_steps_of_backward_chains_do_not_depend_on_where_these_begin(x64, monkeypatch):
    """With moves to where each latent is the step's length, taken where they begin at 7 alone: no search from the prior
    begins there, so that sizes fall from 0.1 by one factor a temperature, and backward chains have them in turn."""
    oracle = LinearGaussian(W, sigma=0.5)

    def build_kernel():
        def kernel(key, point, density, step_size, *_):
            moved = {n: jnp.full_like(p, step_size) for n, p in point.items()}
            return SimpleNamespace(position=moved), SimpleNamespace(is_accepted=point["layer_1"][0] == 7)

        return kernel

    monkeypatch.setattr(hmc, "build_kernel", build_kernel)
    monkeypatch.setattr(hmc, "init", lambda point, density: point)
    x, b = jnp.full((1, 6), 0.3), np.asarray(temperatures(4, jnp.float64))[::-1]
    found = annealed(oracle.model, oracle.params, jax.random.key(0), x, 1, 4, exact={"layer_1": jnp.full((1, 2), 7.0)})
    sizes = 0.1 * np.exp(-0.065 * np.arange(4))  # of b_1 to b_4
    known = np.asarray(x)[0] - oracle.b
    residual = [known - W @ np.full(2, at) for at in (7.0, sizes[2], sizes[1], sizes[0])]
    densities = [scipy.stats.norm.logpdf(r, scale=0.5).sum() for r in residual]
    np.testing.assert_allclose(found.log_likelihood, [-np.sum(np.diff(b) * densities)], rtol=1e-9)
    np.testing.assert_allclose(found.accepted, [0.25])


def test_more_temperatures_close_the_gap(x64):
    oracle = LinearGaussian(W, sigma=0.3)
    x, xi = dreams(oracle, 40)
    gaps = []
    for steps in (10, 160):
        parts = (oracle.model, oracle.params, jax.random.key(2), x, 1, steps, 5, "prior")
        lower, upper = jax.jit(lambda p=parts: (annealed(*p).log_likelihood, annealed(*p, xi).log_likelihood))()
        gaps.append(float((upper - lower).mean()))
    assert gaps[1] < 0.3 * gaps[0]


def from_the_prior_is(truth, model, params, x, xi):
    """Annealing from the prior, forward and backward from xi (40, 2), bounds log p(x) from both sides."""

    @jax.jit
    def both(key):
        few = (model, params, key, jnp.asarray(x), 1, 60, 5, "prior")
        return annealed(*few), annealed(*few, {"layer_1": jnp.asarray(xi)}).log_likelihood

    lower, upper = both(jax.random.key(1))
    for log_weights in (np.asarray(lower.log_likelihood) - truth, truth - np.asarray(upper)):
        weights = np.exp(log_weights)  # of mean one, one way and the other
        assert abs(weights.mean() - 1) < 5 * weights.std() / np.sqrt(40)
        assert -1.5 < log_weights.mean() < 0


def test_chains_start_at_the_prior_that_was_chosen(x64):
    """Two Gaussians far apart, under which v = W xi + b + sigma e is two Gaussians; forward and backward."""
    oracle = LinearGaussian(W, sigma=0.5)
    choices = {"latents": (2,), "hidden": (), "recognition_hidden": (), "noise_matrix": "identity"}
    likelihood = GaussianLikelihood(scale="fixed", fixed_scale=0.5)
    model = dlgm((6,), likelihood, **choices, prior=PRIORS["mixture"](components=2))
    means, scales, shares = np.array([[1.5, 0.0], [-1.0, 1.0]]), np.array([0.5, 0.8]), np.array([0.3, 0.7])
    own = {
        "weights": jnp.log(jnp.asarray(shares)),
        "mean": jnp.asarray(means),
        "log_scale": jnp.broadcast_to(jnp.asarray(unbounded(np.log(scales)))[:, None], (2, 2)),
    }
    params = oracle.params._replace(prior={"layer_1": own})
    rng = np.random.default_rng(4)
    which = rng.choice(2, size=40, p=shares)
    xi = means[which] + scales[which, None] * rng.normal(size=(40, 2))
    x = xi @ W.T + oracle.b + 0.5 * rng.normal(size=(40, 6))
    spread = [scale**2 * W @ W.T + 0.25 * np.eye(6) for scale in scales]
    law = scipy.stats.multivariate_normal
    each = [law(W @ m + oracle.b, C).logpdf(x) for m, C in zip(means, spread, strict=True)]
    truth = np.logaddexp(*(np.log(shares)[:, None] + each))

    from_the_prior_is(truth, model, params, x, xi)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flow", "vamp"])
def test_chains_start_at_a_prior_that_is_bent(name, x64):
    """A flow, and what q says of two learned inputs, under v = W xi + b + sigma e; forward and backward."""
    oracle = LinearGaussian(W, sigma=0.5)
    oracle.set_recognition([-0.9, -0.3])
    choices = {"latents": (2,), "hidden": (), "recognition_hidden": (), "noise_matrix": "identity"}
    prior = PRIORS["vamp"](components=2) if name == "vamp" else PRIORS["flow"](couplings=3, hidden=4)
    model = dlgm((6,), GaussianLikelihood(scale="fixed", fixed_scale=0.5), **choices, prior=prior)
    first = model.init(0, summary(np.zeros(6), np.ones(6))).prior
    rng = np.random.default_rng(4)
    if name == "vamp":  # the exact posterior means, nearly, of what the model makes of these latents
        own = jnp.asarray(np.array([[1.5, 0.0], [-1.0, 1.0]]) @ W.T + oracle.b)
    else:
        own = jax.tree.map(lambda a: jnp.asarray(np.asarray(a, np.float64) + 0.4 * rng.normal(size=a.shape)), first)
    params = oracle.params._replace(prior=own)
    learned = Learned(name, params)
    xi = learned.draw(rng, 40)
    x = xi @ W.T + oracle.b + 0.5 * rng.normal(size=(40, 6))
    points, log_mass = learned.points()
    assert np.exp(log_mass).sum() == pytest.approx(1, abs=1e-9)
    squares = ((x[:, None] - (points @ W.T + oracle.b)[None]) ** 2).sum(-1)
    truth = np.logaddexp.reduce(log_mass - squares / (2 * 0.25), 1) - 3 * np.log(2 * np.pi * 0.25)
    far = np.abs(truth - oracle.log_likelihood(x))  # under N(0, I)
    assert far.mean() > 0.3

    from_the_prior_is(truth, model, params, x, xi)


@pytest.mark.slow
@pytest.mark.parametrize("posterior", POSTERIORS)
def test_chains_from_every_posterior_give_quadrature_s_evidence(posterior, x64):
    """Of a recognition model that was never trained, whose own weights are far from even."""
    model, params = built(posterior, latents=TWO if posterior in LAYERED else ONE)
    params = params._replace(generative=jax.tree.map(lambda a: 3 * a, params.generative))
    evidence, bound = evidence_and_bound(model, params)
    assert (evidence - bound > 0.1).all()

    @jax.jit
    def found(key):
        return annealed(model, params, key, jnp.asarray(X), 400, 40, 4, "posterior")

    result = found(jax.random.key(0))
    stderr = np.sqrt(1 / np.asarray(result.effective))
    away = np.asarray(result.log_likelihood) - evidence
    assert (np.abs(np.exp(away) - 1) < 5 * stderr).all()
    assert (np.abs(away) < 0.15).all()
    assert (np.asarray(result.effective) > 200).all()
    assert (np.asarray(result.accepted) > 0.4).all()


#: Gaussians of one layer are one kind of conditional, and flows another: of each the cheapest always runs.
SLOW = {"rank_one", "low_rank", "full", "inverse_autoregressive", "coupling"}
BASES = [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in POSTERIORS]


@pytest.mark.parametrize("posterior", BASES)
def test_every_posterior_can_be_the_base(posterior):
    """By shapes alone, with two nodes of unlike sizes."""
    model = dlgm((5,), posterior=sized(POSTERIORS, posterior), latents=(3, 2), hidden=(4,), recognition_hidden=(4,))
    params = jax.eval_shape(lambda: model.init(0, summary(np.full(5, 0.5), np.ones(5))))
    x = jnp.zeros((6, 5))
    words = params, jax.random.key(0)
    found = jax.eval_shape(lambda params, key: annealed(model, params, key, x, 4, 3, 2, "posterior"), *words)
    assert [part.shape for part in found] == [(6,)] * 3


def test_the_task_s_batches_have_keys_and_latents_of_their_own(monkeypatch):
    """What annealing is given: 120 dreams in batches of 50, forward and then backward from each one's own latents."""
    model = dlgm((5,), latents=(2,), hidden=(), recognition_hidden=())
    params = model.init(0, summary(np.full(5, 0.5), np.ones(5)))

    def one(model, params, key, x, chains, steps, leapfrogs, base, exact):
        first = jnp.zeros(len(x)) if exact is None else exact["layer_1"][:, 0]
        return Annealed(first, jnp.full(len(x), jax.random.uniform(key)), jnp.full(len(x), chains))

    monkeypatch.setattr("sbvi.tasks.annealed.annealed", one)
    settings = SimpleNamespace(model=SimpleNamespace(moves_latents=True))
    run, found = SimpleNamespace(model=model, params=params, experiment=settings), {}
    for seed in (0, 1):
        task = TASKS["annealed"](split="dreams", examples=120, chains=3, seed=seed)
        found[seed] = task.run(run)
    assert found[0].scalars["dreams/accepted"] != found[1].scalars["dreams/accepted"]
    exact, _ = model.sample_joint(params, jax.random.fold_in(jax.random.key(1), 0), 120)
    np.testing.assert_array_equal(found[1].arrays["nll_lower"], -exact["layer_1"][:, 0])
    ways = [task._all(run, jax.random.key(1), np.zeros((120, 5)), latents) for latents in (None, exact)]
    assert [set(way.effective) for way in ways] == [{3}, {1}]  # one chain backward from each
    assert [len(set(way.accepted)) for way in ways] == [3, 3]


def test_temperatures_rise_from_zero_to_one():
    found = np.asarray(temperatures(50))
    assert found[0] == 0
    assert found[-1] == 1
    assert (np.diff(found) > 0).all()
