"""Chains against exact conditionals: of a linear-Gaussian model, of a curved one by a grid, and of a machine small
enough to enumerate; and what tells whether chains have met."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.enumerable import Enumerated, machine
from support.learned_priors import Learned
from support.linear_gaussian import LinearGaussian
from support.models import dlgm, summary

from sbvi.core import UserError
from sbvi.distributions.priors import PRIORS
from sbvi.inference import observed_chain
from sbvi.inference.convergence import convergence
from sbvi.inference.imputation import DIRECTIONS, Imputation, directions, impute
from sbvi.models import MODELS
from sbvi.models.values import DataFacts

CHAINS, ITERATIONS, WARMUP = 300, 260, 60
PRIOR_MEAN = np.array([0.8, -0.5])


def conditional(oracle, x, missing):
    """Mean and variance of v_m given v_o, for one row."""
    C = oracle.W @ oracle.W.T + oracle.sigma**2 * np.eye(oracle.D)
    o, m = ~missing, missing
    gain = C[np.ix_(m, o)] @ np.linalg.inv(C[np.ix_(o, o)])
    return oracle.b[m] + gain @ (x[o] - oracle.b[o]), np.diag(C[np.ix_(m, m)] - gain @ C[np.ix_(o, m)])


def chain(model, params, x, missing, method="metropolis", **options):
    """Draws of the missing values after the warm-up, (T, CHAINS, M), and the chain."""
    x = np.asarray(x)
    rows = jnp.tile(jnp.asarray(np.where(missing, 0, x))[None], (CHAINS, 1))
    mask = jnp.tile(jnp.asarray(missing)[None], (CHAINS, 1))

    @jax.jit
    def run(params, key):
        return impute(model, params, key, rows, mask, ITERATIONS, WARMUP, method, **options)

    found = run(params, jax.random.key(0))
    draws = np.asarray(found.draws)
    np.testing.assert_array_equal(
        draws[..., ~missing], np.broadcast_to(x[~missing], (ITERATIONS, CHAINS, int((~missing).sum())))
    )
    return draws[WARMUP:, :, missing], found


def agree(values, exact, spread=4.5):
    """Means over chains (CHAINS, ...) with what is exact, within their standard error."""
    stderr = values.std(0) / np.sqrt(CHAINS)
    assert (np.abs(values.mean(0) - exact) < spread * stderr + 1e-9).all(), (values.mean(0), exact, stderr)
    return stderr


@pytest.fixture
def case(x64):
    oracle = LinearGaussian(np.random.default_rng(3).normal(size=(5, 2)), posterior="diagonal")
    # A posterior that is wrong: too wide, and blind to correlation.
    oracle.set_recognition(np.full(2, -0.5))
    x = np.asarray(oracle.data(1))[0]
    return oracle, x, np.array([True, False, True, False, False])


@pytest.mark.parametrize("leapfrogs", [0, 3])
def test_metropolis_draws_from_the_exact_conditional(case, leapfrogs):
    """By global moves alone, and with local ones."""
    oracle, x, missing = case
    draws, found = chain(oracle.model, oracle.params, x, missing, leapfrogs=leapfrogs)
    mean, variance = conditional(oracle, x, missing)
    assert agree(draws.mean(0), mean).max() < 0.03
    np.testing.assert_allclose(draws.var((0, 1)), variance, rtol=0.06)
    assert 0.1 < np.asarray(found.accepted)[WARMUP:].mean() < 0.95
    assert (found.local is None) == (leapfrogs == 0)
    if leapfrogs:
        assert 0.7 < np.asarray(found.local)[WARMUP:].mean() < 0.92


def test_chains_start_from_draws_chosen_by_their_weights(case):
    """Before any move: near the exact conditional, where q's own draws have six times its variance."""
    oracle, x, missing = case
    rows, mask = (jnp.tile(jnp.asarray(row)[None], (2000, 1)) for row in (np.where(missing, 0, x), missing))
    begin = jax.jit(lambda key: observed_chain.start(oracle.model, oracle.params, key, rows, mask))
    found = np.asarray(begin(jax.random.key(0)).v)
    np.testing.assert_array_equal(found[:, ~missing], np.tile(x[~missing], (2000, 1)))
    mean, variance = conditional(oracle, x, missing)
    assert (np.abs(found[:, missing].mean(0) - mean) < 4 * np.sqrt(variance / 2000)).all()
    np.testing.assert_allclose(found[:, missing].var(0), variance, rtol=0.15)


def test_the_papers_chain_has_another_law_unless_q_is_exact(case):
    oracle, x, missing = case
    _, variance = conditional(oracle, x, missing)
    draws, _ = chain(oracle.model, oracle.params, x, missing, "pseudo_gibbs")
    assert np.abs(draws.var((0, 1)) / variance - 1).max() > 0.1
    exact = LinearGaussian(oracle.W, posterior="full")
    exact.set_recognition(exact.exact_constants())
    draws, _ = chain(exact.model, exact.params, x, missing, "pseudo_gibbs")
    np.testing.assert_allclose(draws.var((0, 1)), variance, rtol=0.06)


def on_a_grid(model, params, x, missing, points, log_mass):
    """E[v_m | v_o] and E[v_m v_m' | v_o] of two latents, by sums over points (G, 2) of these prior masses."""
    p = np.asarray(jax.jit(model.decode)(params, {"layer_1": jnp.asarray(points[:, None])}))[:, 0]
    log_w = log_mass + np.log(np.where(x == 1, p, 1 - p))[:, ~missing].sum(-1)
    w = np.exp(log_w - log_w.max())
    w /= w.sum()
    means = p[:, missing]
    return w @ means, np.einsum("g,gi,gj->ij", w, means, means)


@pytest.mark.parametrize(
    "name", ["mixture", *(pytest.param(name, marks=pytest.mark.slow) for name in ("flow", "vamp"))]
)
def test_a_curved_model_of_binary_data(name, x64):
    """A recognition model that was never trained, and a prior that is not N(0, I)."""
    choices = {"latents": (2,), "hidden": (4,), "activation": "tanh", "recognition_hidden": ()}
    sizes = {"mixture": {"components": 1}, "flow": {"couplings": 3, "hidden": 4}, "vamp": {"components": 3}}
    model = dlgm((8,), **choices, prior=PRIORS[name](**sizes[name]))
    shapes = jax.eval_shape(lambda: model.init(0, summary(np.full(8, 0.5), np.ones(8))))
    generator = np.random.default_rng(5)
    params = jax.tree.map(lambda s: jnp.asarray(generator.normal(size=s.shape)), shapes)
    params = params._replace(recognition=jax.tree.map(lambda a: 0.2 * a, params.recognition))
    if name == "mixture":
        own = {"weights": jnp.zeros(1), "mean": jnp.asarray(PRIOR_MEAN)[None], "log_scale": jnp.zeros((1, 2))}
        params = params._replace(prior={"layer_1": own})
    elif name == "flow":
        params = params._replace(prior=jax.tree.map(lambda a: 0.4 * a, params.prior))
    else:  # components apart, and narrower than N(0, I)
        head = params.recognition["heads"][0]
        head["kernel"].set_value(head["kernel"].get_value() * jnp.asarray([[5.0, 5, 1, 1]]))
        head["bias"].set_value(jnp.asarray([0.3, -0.3, -0.5, -0.7]))
    points, log_mass = Learned(name, params, inside=True).points()
    x = np.array([1.0, 0, 1, 1, 0, 1, 0, 0])
    missing = np.array([True, True, False, False, False, True, False, False])
    draws, found = chain(model, params, x, missing)
    first, second = on_a_grid(model, params, x, missing, points, log_mass)
    agree(draws.mean(0), first)
    pairs = np.einsum("tci,tcj->cij", draws, draws) / len(draws)
    off = ~np.eye(3, dtype=bool)
    agree(pairs[:, off], second[off])
    means = np.asarray(found.means)[WARMUP:, :, missing]
    agree(means.mean(0), first)
    assert np.asarray(found.local)[WARMUP:].mean() > 0.6


def test_discrete_latents_by_enumeration(x64):
    """Global moves alone, since there is no gradient."""
    model, params = machine(2)
    tables = Enumerated(params)
    x, missing = np.array([1.0, 0, 1, 0]), np.array([False, True, False, True])
    draws, found = chain(model, params, x, missing)
    assert found.local is None
    alike = (tables.x[:, ~missing] == x[~missing]).all(1)
    weights = np.exp(tables.log_px[alike])
    agree(draws.mean(0), weights @ tables.x[alike][:, missing] / weights.sum())


def test_chains_are_compared_by_example():
    """Of two examples, one whose chains agree and one whose do not; values that are there have no part."""
    generator = np.random.default_rng(1)
    means = generator.normal(size=(50, 3, 2, 6))
    means[:, :, 1, :3] += 2 * np.arange(3)[:, None]
    means[:, :, 0, 3:] += 2 * np.arange(3)[:, None]
    missing = np.array([[True] * 3 + [False] * 3] * 2)
    flat = jnp.asarray(means.reshape(50, 6, 6), jnp.float32)
    along = np.asarray(directions(None, Imputation(flat[-1], flat, flat, jnp.ones(50)), jnp.asarray(missing), 3, 10))
    assert along.shape == (3, 40, 2, DIRECTIONS)  # without the warm-up
    found = convergence(along)
    assert found.rhat[0] < 1.1 < 1.3 < found.rhat[1]


def test_sizes_of_local_moves_are_found_in_the_warm_up_alone(monkeypatch):
    """Gains that go on would leave a chain whose law is not the stationary one."""
    model = dlgm((4,), latents=(2,), hidden=(), recognition_hidden=())

    def step(model, params, key, state, missing, leapfrogs, gain):
        return state, observed_chain.Moved(state.v, state.v, gain, None)

    monkeypatch.setattr(
        observed_chain, "start", lambda *given: observed_chain.State(*[given[3]] * len(observed_chain.State._fields))
    )
    monkeypatch.setattr(observed_chain, "step", step)
    x = jnp.zeros((2, 4))
    found = impute(model, None, jax.random.key(0), x, x == 0, 5, 3)
    np.testing.assert_allclose(found.accepted, [1, 2**-0.5, 3**-0.5, 0, 0], rtol=1e-6)


def test_a_refusal_names_every_model_that_fills_in():
    """By chains, by exact conditionals or in a way of its own."""
    nothing = jnp.zeros((1, 2)), jnp.zeros((1, 2), bool)
    with pytest.raises(UserError, match=r"^Imputation needs what model=parts has not \(Marginals; or ") as refused:
        impute(MODELS["parts"].builds, {}, jax.random.key(0), *nothing, 2, 0)
    serving = set(str(refused.value).removesuffix(".").partition("models that serve: ")[2].split(", "))
    assert serving >= {"circuit", "dlgm", "helmholtz", "mixture", "nade"}
    assert "parts" not in serving


def test_a_chain_of_latents_is_refused_where_conditionals_are_known():
    mixture = MODELS["mixture"](count=2, components="bernoulli").build(DataFacts((1,), True, 1))
    nothing = jnp.zeros((1, 1)), jnp.zeros((1, 1), bool)
    with pytest.raises(UserError, match="method=pseudo_gibbs is a chain of latents, and this model draws"):
        impute(mixture, {}, jax.random.key(0), *nothing, 2, 0, "pseudo_gibbs")
