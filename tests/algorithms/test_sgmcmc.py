"""Doubly stochastic gradients against enumeration, and what a step does with them."""

import copy
import itertools
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from support import enumerable
from support.linear_gaussian import LinearGaussian
from support.models import batch

from sbvi.algorithms import ALGORITHMS, Optimizer, sgmcmc
from sbvi.algorithms.nais import Gradients, generative_gradient, gradients
from sbvi.algorithms.posterior_samples import SamplesPosterior
from sbvi.algorithms.schedules import Schedule
from sbvi.algorithms.sgmcmc import Chains
from sbvi.core import UserError
from sbvi.distributions.priors import PRIORS
from sbvi.inference.sgmcmc import KERNELS
from sbvi.models import MODELS
from sbvi.models.rollout import Noise
from sbvi.models.values import DataSummary, generative_part
from sbvi.objectives import ImportanceWeighted

SETTINGS = ALGORITHMS["sgmcmc"]
X = 5  # the row of all 16 that is looked at


@pytest.fixture(scope="module")
def machine():
    """The enumerable machine in float64, its tables, log p(x) as a function of the parameters, and its gradient."""
    jax.config.update("jax_enable_x64", True)
    model, params = enumerable.machine(4, 0.5)
    tables = enumerable.Enumerated(params)
    latents = {node: jnp.asarray(values)[:, None] for node, values in tables.latents.items()}
    x = jnp.asarray(tables.x[X])[None]

    def log_marginal(part):
        whole = part._replace(recognition=params.recognition)
        return jax.nn.logsumexp(model.log_joint(whole, latents, x)[:, 0])

    value, grads = jax.jit(jax.value_and_grad(log_marginal))(generative_part(params))
    np.testing.assert_allclose(value, tables.log_px[X], rtol=1e-12)
    yield model, params, tables, x, grads
    jax.config.update("jax_enable_x64", False)


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def test_fishers_identity(machine, x64):
    """The posterior mean of grad log p(x, h), over every h, is the gradient of the enumerated log p(x)."""
    model, params, tables, x, expected = machine
    weights = jnp.asarray(np.exp(tables.log_p[X].ravel() - tables.log_px[X]))
    latents = {node: jnp.asarray(values)[:, None] for node, values in tables.latents.items()}

    def mean_joint(part):
        whole = part._replace(recognition=params.recognition)
        return jnp.sum(weights * model.log_joint(whole, latents, x)[:, 0])

    np.testing.assert_allclose(
        flat(jax.jit(jax.grad(mean_joint))(generative_part(params))), flat(expected), rtol=1e-10, atol=1e-12
    )


class Given:
    """A recognition model that has drawn what it is given."""

    def __init__(self, q, latents):
        self.q, self.latents = q, latents

    def draw(self, key, num_samples, temperature=None):
        return self.latents

    def log_prob(self, latents, **options):
        return self.q.log_prob(latents, **options)


def test_the_bias_of_importance_sampling_falls_as_one_over_k(x64):
    """The estimate's mean over every K-tuple of the four states of the latents, which is over every count of each: it
    leaves the gradient by -(1 / K) sum_h q(h) w(h)^2 (g(h) - sum_h' q w g) and terms of higher order in 1 / K."""
    model, params = enumerable.machine(4, 0.5, layers=(2,))
    x, values = jnp.asarray(enumerable.states(4)[[X]]), enumerable.states(2)
    latents = {"layer_1": jnp.asarray(values)[:, None]}

    def log_joint(part):
        return model.log_joint(part._replace(recognition=params.recognition), latents, x)[:, 0]

    def estimated(counts):
        """From how often each state was drawn, (T, 4): the generative gradients, (T, P)."""
        samples = int(counts[0].sum())
        rows = jnp.asarray([np.repeat(np.arange(4), count) for count in counts])

        def one(row):
            given = copy.copy(model)
            given.posterior = lambda own, seen: Given(model.posterior(own, seen), {"layer_1": latents["layer_1"][row]})
            found = gradients(given, params, jax.random.key(0), x, samples, "inclusive", Noise()).generative
            return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(found)])

        return jax.vmap(one)(rows)

    sizes = (8, 16, 32)
    tuples = {k: np.array([c for c in itertools.product(range(k + 1), repeat=4) if sum(c) == k]) for k in sizes}
    joint, slopes, *estimates = jax.device_get(
        jax.jit(lambda: (log_joint(generative_part(params)), jax.jacobian(log_joint)(generative_part(params)),
                         *[estimated(counts) for counts in tuples.values()]))()
    )  # fmt: skip
    slopes = np.concatenate([leaf.reshape(4, -1) for leaf in jax.tree.leaves(slopes)], 1)
    q = np.exp(enumerable.log_bernoulli(enumerable.affine(params.recognition["layer_1"], np.asarray(x)), values))
    weights = np.exp(joint) / q / np.exp(joint).sum()  # of mean one under q
    exact = (q * weights) @ slopes
    limit = -(q * weights**2) @ (slopes - exact)
    off = {}
    for (k, counts), estimate in zip(tuples.items(), estimates, strict=True):
        probability = scipy.stats.multinomial(k, q).pmf(counts)
        assert probability.sum() == pytest.approx(1, rel=1e-10)
        bias = probability @ estimate - exact
        assert np.linalg.norm(bias) > 0.1 * np.linalg.norm(exact) / k
        off[k] = np.linalg.norm(k * bias - limit) / np.linalg.norm(limit)
    assert off[32] < 0.1
    assert off[8] / off[16] == pytest.approx(2, rel=0.2)
    assert off[16] / off[32] == pytest.approx(2, rel=0.2)


def test_both_gradients_are_of_the_same_samples(machine, x64):
    """The generative gradient alone, and the recognition model's by the definition of the inclusive KL's."""
    model, params, tables, _, _ = machine
    x, key, count = jnp.asarray(tables.x[3:8]), jax.random.key(2), 4

    @jax.jit
    def ours(params, key):
        both = gradients(model, params, key, x, count, "inclusive", Noise())
        return both, generative_gradient(model, params, key, x, count, Noise())

    both, alone = ours(params, key)
    np.testing.assert_allclose(flat(both.generative), flat(alone), rtol=1e-10)

    @jax.jit
    def climbed(recognition):
        rollout = model.rollout(params, key, x, count)
        weights = jax.nn.softmax(rollout.log_weights(), axis=0)
        log_q = model.posterior(params._replace(recognition=recognition), x).log_prob(rollout.latents)
        return jnp.mean(jnp.sum(weights * sum(log_q.values()), 0)), rollout.log_weights()

    (_, log_weights), expected = jax.value_and_grad(climbed, has_aux=True)(params.recognition)
    np.testing.assert_allclose(flat(both.recognition), flat(expected), rtol=1e-10)

    @jax.jit
    def with_dreams(params, key):
        return gradients(model, params, key, x, count, "inclusive", Noise(), 0.3)

    @jax.jit
    def dreamt(recognition):
        latents, seen = model.sample_joint(params, jax.random.fold_in(key, 2), len(x), x.dtype)
        q = model.posterior(params._replace(recognition=recognition), seen.value)
        return jnp.mean(sum(q.log_prob({node: h[None] for node, h in latents.items()}).values()))

    mixed, slept = with_dreams(params, key), jax.grad(dreamt)(params.recognition)
    np.testing.assert_allclose(flat(mixed.generative), flat(both.generative), rtol=1e-10)
    np.testing.assert_allclose(flat(mixed.recognition), 0.7 * flat(expected) + 0.3 * flat(slept), rtol=1e-10)
    np.testing.assert_allclose(both.report["bound"], jnp.mean(jax.nn.logsumexp(log_weights, axis=0)) - np.log(count))


def test_the_pathwise_proposal_climbs_through_the_samples(x64):
    oracle = LinearGaussian(np.random.default_rng(1).normal(size=(6, 3)))
    oracle.set_recognition(np.full(3, -0.4))
    x, key = oracle.data(8), jax.random.key(3)

    @jax.jit
    def climbed(params, fixed):
        rollout = oracle.model.rollout(params, key, x, 4)
        weights = jax.nn.softmax(oracle.model.rollout(fixed, key, x, 4).log_weights(), axis=0)
        return jnp.mean(jnp.sum(weights * rollout.log_weights(), 0))

    found = jax.jit(lambda p: gradients(oracle.model, p, key, x, 4, "pathwise", Noise()))(oracle.params)
    expected = jax.grad(climbed)(oracle.params, oracle.params)
    np.testing.assert_allclose(flat(found.recognition), flat(expected.recognition), rtol=1e-9)
    np.testing.assert_allclose(flat(found.generative), flat(generative_part(expected)), rtol=1e-9)
    # Of samples through which nothing passes another: the score's alone.
    other = jax.jit(lambda p: gradients(oracle.model, p, key, x, 4, "inclusive", Noise()))(oracle.params)
    assert np.abs(flat(found.recognition) - flat(other.recognition)).max() > 1e-3
    np.testing.assert_allclose(flat(found.generative), flat(other.generative), rtol=1e-9)


class Seen(NamedTuple):
    """In place of the position what a kernel was given: a gradient, and a key, as a number that it draws."""

    position: Any
    drawn: Any


class Still:
    """A kernel that hands on the gradient and the key it was given, to be looked at."""

    inertia, looks_ahead = False, False

    def init(self, key, position, step_size):
        return Seen(position, jnp.zeros(()))

    def step(self, key, state, gradient, minibatch, step_size):
        return Seen(gradient(state.position, minibatch), jax.random.uniform(key))

    def monitors(self, state, step_size):
        return {}


def built(model_spec, model, examples, **choices):
    spec = SETTINGS(optimizer=Optimizer(name="sgd", learning_rate=0.1), **choices).completed(model_spec)
    return spec.build(model, examples)


def hyper(algorithm, step=0):
    values = algorithm.hypers(np.array([step]), 10.0, 100)
    return {name: jnp.asarray(value[0], jnp.float64) for name, value in values.items()}


def test_the_likelihood_counts_n_over_b_and_the_prior_once(machine, x64):
    """Both divided by the temperature, which leaves the step's product with the log posterior's gradient as it is."""
    model, params, tables, _, _ = machine
    x, examples, cold = jnp.asarray(tables.x[:5]), 70, 0.25
    choices = {"prior_scale": 0.5, "learning_rate": 0.02, "posterior_temperature": cold}
    algorithm = built(MODELS["helmholtz"](layers=(3, 2)), model, examples, **choices)
    schedule = Schedule(kind="staged", boundaries=(2.0,), factors=(0.3,))
    algorithm.settings = replace(algorithm.settings, schedule=schedule)
    sizes = algorithm.hypers(np.array([19, 20]), 10.0, 100)["step_size"]  # by a factor on learning_rate
    np.testing.assert_allclose(sizes, (0.02 * cold / examples * np.array([1, 0.3])) ** 0.5, rtol=1e-6)
    algorithm.kernel = Still()
    state = algorithm.with_params(None, params)
    after, info = jax.jit(algorithm.step)(state, batch(x), jax.random.key(1), hyper(algorithm))
    sample_key = jax.random.split(jax.random.fold_in(jax.random.key(1), 0))[0]
    assert after.kernel.drawn[0] != jax.random.uniform(sample_key)  # noise of a move apart from that of the samples
    both = jax.jit(lambda p: gradients(model, p, sample_key, x, 5, "inclusive", Noise()))(params)
    climbed = flat(params.recognition) + 0.1 * flat(both.recognition)
    np.testing.assert_allclose(flat(after.proposal.params), climbed, rtol=1e-6)
    prior = jax.jit(jax.grad(algorithm.prior.log_prob))(generative_part(params))
    expected = (flat(both.generative) * 5 * (examples / 5) + flat(prior)) / cold
    np.testing.assert_allclose(flat(after.kernel.position), expected, rtol=1e-6)  # the prior's scale is a float32
    assert set(info.scalars) >= {"loss", "bound"}
    assert "prior_precision" not in hyper(algorithm)


class Ahead(Still):
    """A kernel that asks for the gradient at twice its position."""

    looks_ahead = True

    def step(self, key, state, gradient, minibatch, step_size):
        return super().step(key, Seen(jax.tree.map(lambda p: 2 * p, state.position), None), gradient, minibatch, None)


def test_a_kernel_that_looks_ahead_has_gradients_of_the_same_samples_where_it_looks(machine, monkeypatch, x64):
    """And of several chains each has keys of its own; gradients are positions times what the samples' key draws."""
    model, params, tables, _, _ = machine

    def here(model, params, key, *_):
        part = jax.tree.map(lambda p: p * jax.random.uniform(key), generative_part(params))
        return Gradients(part, params.recognition, {"bound": jnp.zeros(())})

    monkeypatch.setattr(sgmcmc, "gradients", here)
    monkeypatch.setattr(sgmcmc, "generative_gradient", lambda *given: here(*given).generative)
    algorithm = built(MODELS["helmholtz"](layers=(3, 2)), model, 70, chains=2, prior_scale=0.5)
    algorithm.kernel, x = Ahead(), jnp.asarray(tables.x[:5])
    after, _ = jax.jit(algorithm.step)(
        algorithm.with_params(None, params), batch(x), jax.random.key(1), hyper(algorithm)
    )
    twice = jax.tree.map(lambda p: 2 * p, generative_part(params))
    samples = [jax.random.split(jax.random.fold_in(jax.random.key(1), chain))[0] for chain in (0, 1)]
    for chain, key in enumerate(samples):
        found = jax.tree.map(lambda leaf, c=chain: leaf[c], after.kernel.position)
        expected = 70 * flat(twice) * float(jax.random.uniform(key)) + flat(algorithm.prior.gradient(twice))
        np.testing.assert_allclose(flat(found), expected, rtol=1e-6)
    drawn = [*np.asarray(after.kernel.drawn), *map(jax.random.uniform, samples)]
    assert len({float(number) for number in drawn}) == 4


def test_chains_from_one_point_have_momenta_of_their_seed(machine, x64):
    model, params, tables, _, _ = machine
    x = np.asarray(tables.x)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)  # as a model begins
    summary = DataSummary(x, None, x.mean(0), np.ones(x.shape[1]), len(x))
    algorithm = built(MODELS["helmholtz"](layers=(3, 2)), model, 60, chains=2)
    starts = {seed: algorithm.init(seed, summary) for seed in (0, 3)}
    momenta = {}
    for seed, start in starts.items():
        state = algorithm.with_params(start, params)
        for chain in (0, 1):
            own = jax.tree.map(lambda leaf: leaf[chain], state.kernel.position)  # noqa: B023  (called here)
            np.testing.assert_array_equal(flat(own), flat(generative_part(params)))
        assert (flat(state.kernel.momentum) == flat(start.kernel.momentum)).all()
        momenta[seed] = flat(state.kernel.momentum)
        for part in (state.kernel.momentum, start.proposal.params):
            first, second = (flat(jax.tree.map(lambda leaf, c=c: leaf[c], part)) for c in (0, 1))
            assert (first != second).mean() > 0.5
    assert (momenta[0] != momenta[3]).all()
    assert (momenta[0] == flat(algorithm.with_params(None, params).kernel.momentum)).all()


def test_repetitions_draw_by_keys_of_their_own_and_report_means(machine):
    model = machine[0]
    algorithm = built(MODELS["helmholtz"](layers=(3, 2)), model, 60, repetitions=3)

    def moved(chain, key, *_):
        drawn = jax.random.uniform(key)
        return chain, {"drawn": drawn, "square": drawn**2, "one": jnp.ones(())}

    algorithm._moved = moved
    chain = Chains(None, None, jnp.zeros(()), jnp.int32(-1), jnp.int32(0))
    _, scalars = jax.jit(lambda key: algorithm._repeated(chain, key, None, {}, None))(jax.random.key(0))
    assert float(scalars["one"]) == pytest.approx(1)
    assert float(scalars["square"] - scalars["drawn"] ** 2) > 1e-3


def test_moves_on_one_batch_and_a_chain_of_several(machine, x64):
    """Repetitions move on; a chain that is not finite stops alone, at its state, and says when."""
    model, params, tables, _, _ = machine
    x = jnp.asarray(tables.x[:6])
    algorithm = built(MODELS["helmholtz"](layers=(3, 2)), model, 60, chains=3, repetitions=2, learning_rate=0.1)
    state = algorithm.with_params(None, params)
    assert isinstance(algorithm, SamplesPosterior)
    spoilt = jax.tree.map(lambda leaf: leaf.at[1].set(jnp.nan), state.kernel.momentum)
    state = state._replace(kernel=state.kernel._replace(momentum=spoilt))
    step = jax.jit(algorithm.step)
    for number in range(3):
        before = state
        state, info = step(state, batch(x), jax.random.key(number), hyper(algorithm, number))
    assert list(np.asarray(state.stopped)) == [-1, 1, -1]
    assert [(chain.chain, chain.step) for chain in algorithm.stopped(state)] == [(1, 1)]
    assert float(info.scalars["chains"]) == 2
    assert np.isfinite(float(info.scalars["loss"]))
    positions = np.stack([flat(jax.tree.map(lambda leaf, c=c: leaf[c], state.kernel.position)) for c in range(3)])
    np.testing.assert_array_equal(positions[1], flat(generative_part(params)))
    assert np.isfinite(positions).all()
    assert np.abs(positions[0] - positions[2]).max() > 1e-4
    assert list(np.asarray(state.steps)) == [3, 0, 3]
    draws = algorithm.draws(state)
    assert [draw.chain for draw in draws] == [0, 2]
    np.testing.assert_array_equal(flat(generative_part(draws[1].params)), positions[2])
    assert set(draws[0].monitors) == {"bound", "log_prior", "temperature", "thermostat"}
    expected = float(algorithm.prior.log_prob(generative_part(draws[0].params)))
    assert draws[0].monitors["log_prior"] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(flat(algorithm.eval_params(state)), flat(draws[0].params))
    assert np.abs(flat(before.kernel.position) - flat(state.kernel.position)).max() > 0


def test_every_kernel_moves_a_dlgm():
    model_spec = MODELS["dlgm"](latents=(2,), hidden=(3,), recognition_hidden=(3,)).completed("bernoulli")
    model = model_spec.build(enumerable.FACTS)
    x = batch(jnp.asarray(enumerable.states(4)[:6], jnp.float32))
    made = {name: SETTINGS(kernel=name, num_samples=2).completed(model_spec).build(model, 60) for name in KERNELS}
    states = {name: algorithm.init(1, enumerable.SUMMARY) for name, algorithm in made.items()}

    @jax.jit  # one program for all
    def steps(states, numbers):
        return {name: made[name].step(state, x, jax.random.key(1), numbers[name]) for name, state in states.items()}

    numbers = {n: {k: v[0] for k, v in a.hypers(np.array([3]), 10.0, 100).items()} for n, a in made.items()}
    for name, (state, info) in steps(states, numbers).items():
        before, after = (flat(s.kernel.position) for s in (states[name], state))
        assert np.isfinite(after).all(), name
        assert (before != after).mean() > 0.9, name
        assert info.scalars["loss"] == -info.scalars["bound"]
        assert ("temperature" in info.scalars) == (name in ("thermostat", "sgnht"))
        size = 0.005 / 60
        assert numbers[name]["step_size"] == pytest.approx(size if name in ("sgld", "psgld") else size**0.5)


def test_settings_that_have_no_use_are_refused(monkeypatch):
    helmholtz, dlgm = MODELS["helmholtz"](), MODELS["dlgm"]().completed("bernoulli")
    assert SETTINGS().completed(helmholtz).proposal == "inclusive"
    assert SETTINGS().completed(dlgm).proposal == "pathwise"
    assert SETTINGS(kernel="psgld").completed(helmholtz).friction is None
    with pytest.raises(UserError, match="allowed: inclusive"):
        SETTINGS(proposal="pathwise").check(helmholtz)
    with pytest.raises(ValueError, match="friction has no use with kernel=sgld; it is of kernel=thermostat, sgnht"):
        SETTINGS(kernel="sgld", friction=0.1)
    with pytest.raises(ValueError, match=r"friction\n.* less than 1"):
        SETTINGS(friction=1.5)
    with pytest.raises(ValueError, match="prior_degrees has no use"):
        SETTINGS(parameter_prior="gaussian", prior_degrees=3.0)
    with pytest.raises(UserError, match="algorithm=sgmcmc needs what model=nade has not"):
        SETTINGS().check(MODELS["nade"]())
    for name, prior in PRIORS.items():
        model = replace(dlgm, prior=prior())
        if name == "vamp":
            with pytest.raises(UserError, match="there is no posterior to draw from"):
                SETTINGS().completed(model).check(model)
        else:
            SETTINGS().completed(model).check(model)
    with pytest.raises(UserError, match=r"model\.latent_noise=0\.1 moves samples off .*allowed: model\.latent_noise=0"):
        SETTINGS().completed(dlgm).check(replace(dlgm, latent_noise=0.1))
    with pytest.raises(UserError, match=r"model\.hidden_dropout=0\.1 changes .*allowed: model\.hidden_dropout=0"):
        SETTINGS().completed(dlgm).check(replace(dlgm, hidden_dropout=0.1))
    cold = SETTINGS(kernel="psgld", posterior_temperature=0.5).completed(helmholtz)
    assert cold.build(helmholtz.build(enumerable.FACTS), 100).kernel.terms == 200  # gradients are divided by 0.5
    spec = replace(SETTINGS(burn_in=30).completed(helmholtz), chains=2)
    algorithm = spec.build(helmholtz.build(enumerable.FACTS), 100)
    assert algorithm.burn_in(50) == 30
    assert [algorithm.thinning(steps_per_epoch) for steps_per_epoch in (0.2, 2.6)] == [1, 3]
    monkeypatch.setattr(sgmcmc, "objective_scores", lambda objective, *_: objective)
    assert algorithm.scores(None, None, None) == ImportanceWeighted(num_samples=5)
