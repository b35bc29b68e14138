"""Every way of training a model with discrete latents, in one contract: the mean of its gradient is the exact one.

The exact gradient of a bound over S samples is that of its enumeration over all S-tuples of latents.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from support.enumerable import Enumerated, machine, states

from sbvi.algorithms import ALGORITHMS, Optimizer
from sbvi.algorithms.gradient_ascent import Paired
from sbvi.core import UserError
from sbvi.data import Batch
from sbvi.models import MODELS
from sbvi.models.helmholtz.units import Bernoulli
from sbvi.models.rollout import Noise
from sbvi.objectives import OBJECTIVES, View
from sbvi.objectives.discrete import init_companion, leave_one_out, predict, renyi_value, score_loss
from sbvi.objectives.pieces import LayeredKLWeight

DRAWS = 4000
X = np.array([[1.0, 0, 1, 1], [0, 0, 1, 0]])


def tables(model, params, weight=1.0):
    """log p, log q and the terms of the bound over all 32 latents, (32, B), differentiable."""
    exact = Enumerated(params)
    latents = {n: jnp.asarray(np.broadcast_to(v[:, None], (32, len(X), v.shape[1]))) for n, v in exact.latents.items()}
    x = jnp.asarray(X)

    def found(p):
        log_q = sum(model.posterior(p, x).log_prob(latents).values())
        log_p = model.log_joint(p, latents, x)
        prior = sum(model.node_prior().log_prob(p.prior, latents).values())
        return log_p, log_q, (log_p - prior) + weight * (prior - log_q)

    return found


@functools.cache
def exact_gradients(alpha, samples):
    """Of minus E[L_alpha] over all tuples of `samples` draws of 32 latents, for each of WEIGHTS."""
    model, params = machine(seed=1)
    tuples = np.array(list(itertools.product(range(32), repeat=samples)))

    def loss(p, weight):
        _, log_q, terms = tables(model, params, weight)(p)
        chance = jnp.exp(sum(log_q[tuples[:, s]] for s in range(samples)))
        return -jnp.mean(jnp.sum(chance * renyi_value(jnp.moveaxis(terms[tuples], 1, 0), alpha), 0))

    gradient = jax.jit(jax.grad(loss))
    return [gradient(params, weight) for weight in WEIGHTS]


def flat(tree):
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])


def whole(tree):
    """The same of arrays at hand."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def estimated(gradient, params):
    """`gradient(params, key, ...)` for many keys, (DRAWS, number of parameters), as one program."""

    @jax.jit
    def found(*words):
        keys = jax.random.split(jax.random.key(9), DRAWS)
        return jax.lax.map(lambda key: flat(gradient(params, key, *words)), keys, batch_size=500)

    return found


def within_errors(found, exact):
    """The mean lies within 4 standard errors of `exact`, value by value."""
    away = np.asarray(found) - whole(exact)
    mean, error = away.mean(0), away.std(0) / np.sqrt(DRAWS)
    assert (np.abs(mean) <= 4 * error + 1e-9).all(), (mean, error)


WEIGHTS = (1.0, 0.6)
BOUNDS = [("free_energy", 1.0, {}), ("importance_weighted", 0.0, {}), ("renyi", 0.5, {"alpha": 0.5})]


#: Every bound has two other estimators that always run, and these have two other bounds.
SLOW = {("importance_weighted", "nvil"), ("renyi", "score_function")}
PAIRS = [
    pytest.param(*bound, estimator, id=f"{bound[0]}-{estimator}", marks=marks)
    for bound in BOUNDS
    for estimator in ("score_function", "nvil", "vimco")
    for marks in [pytest.mark.slow if (bound[0], estimator) in SLOW else ()]
]


@pytest.mark.parametrize(("name", "alpha", "choices", "estimator"), PAIRS)
def test_the_mean_gradient_of_every_estimator_is_exact(name, alpha, choices, estimator, x64):
    model, params = machine(seed=1)
    samples = 2
    objective = OBJECTIVES[name](num_samples=samples, estimator=estimator, **choices)
    batch = Batch(jnp.asarray(X), jnp.arange(2, dtype=jnp.int32), jnp.ones(2))
    companion = init_companion(estimator, jax.random.key(5), 4)
    companion = jax.tree.map(lambda a: a.astype(jnp.float64) - 0.7, companion)

    def gradient(p, key, weight):
        numbers = {"kl_weight": weight}
        return jax.grad(lambda p: objective(View(model, p, key, batch, companion=companion), numbers)[0])(p)

    found = estimated(gradient, params)
    for weight, exact in zip(WEIGHTS, exact_gradients(alpha, samples), strict=True):
        within_errors(found(jnp.asarray(weight)), exact)


def mixed_chances(model, params, x):
    """h_1 Gaussian, h_2 of two bits: nodes of Gauss-Hermite quadrature for h_1 (80), each with every h_2 (4): latents
    (320, B, K), and the log of their chances, (320, B), the draws' own path in them."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    below = model.up(params, 1).draw(jax.random.key(0), x, (len(x),))
    z = below.mean[None] + jnp.sqrt(below.variance)[None] * jnp.asarray(nodes)[:, None, None]
    latents = {
        "layer_1": jnp.repeat(z, 4, 0),
        "layer_2": jnp.broadcast_to(jnp.asarray(np.tile(states(2), (80, 1)))[:, None], (320, len(x), 2)),
    }
    upper = model.up(params, 2).log_prob(latents["layer_1"], latents["layer_2"])
    return latents, jnp.log(jnp.asarray(np.repeat(weights / weights.sum(), 4)))[:, None] + upper


def categorical_chances(model, params, x):
    """h_1 of two bits, h_2 a variable of three states: all 12 latents, and the log of their chances."""
    latents = {"layer_1": np.repeat(states(2), 3, 0), "layer_2": np.tile(np.eye(3), (4, 1))}
    latents = {n: jnp.broadcast_to(jnp.asarray(v)[:, None], (12, len(x), v.shape[1])) for n, v in latents.items()}
    return latents, sum(model.posterior(params, x).log_prob(latents).values())


#: Parameters where the slope of q(h_2 | h_1) by h_1 weighs as much as all the rest of a gradient, and others.
OTHER_UNITS = {
    "gaussian below bernoulli": (
        mixed_chances,
        {"seed": 5, "scale": 1.5, "layers": (1, 2), "units": ("gaussian", "bernoulli")},
    ),
    "categorical top": (
        categorical_chances,
        {"seed": 1, "layers": (2, 3), "units": ("bernoulli", "categorical"), "categories": 3},
    ),
}


@pytest.mark.parametrize(("name", "alpha", "choices"), BOUNDS, ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("units", OTHER_UNITS)
def test_the_mean_gradient_by_vimco_is_exact_with_other_units(units, name, alpha, choices, x64):
    """Of two samples, over all pairs of latents: a Gaussian layer's by quadrature, through the draws' own path."""
    chances, made = OTHER_UNITS[units]
    model, params = machine(**made)
    x = jnp.asarray(X)

    def loss(p, weight):
        latents, chance = chances(model, p, x)
        log_q = sum(model.posterior(p, x).log_prob(latents).values())
        prior = sum(model.node_prior().log_prob(p.prior, latents).values())
        terms = model.log_joint(p, latents, x) - prior + weight * (prior - log_q)
        both = jnp.exp(chance[:, None] + chance[None])
        each = jnp.broadcast_arrays(terms[:, None], terms[None])
        return -jnp.mean(jnp.sum(both * renyi_value(jnp.stack(each), alpha), (0, 1)))

    objective = OBJECTIVES[name](num_samples=2, estimator="vimco", **choices)
    batch = Batch(x, jnp.arange(2, dtype=jnp.int32), jnp.ones(2))

    def gradient(p, key, weight):
        return jax.grad(lambda p: objective(View(model, p, key, batch), {"kl_weight": weight})[0])(p)

    found, exact = estimated(gradient, params), jax.jit(jax.grad(loss))
    for weight in WEIGHTS:
        within_errors(found(jnp.asarray(weight)), exact(params, weight))


def test_layers_warm_up_one_after_the_other_without_bias(x64):
    """At epoch 1 the KL of layer_1 counts whole and that of layer_2 by 0.4; the exact gradient is over all latents."""
    model, params = machine(seed=1)
    warmup = {"warmup_epochs": 1.0, "layer_epochs": 0.6}
    objective = OBJECTIVES["free_energy"](num_samples=2, estimator="vimco", kl_weight=LayeredKLWeight(**warmup))
    numbers = objective.numbers(np.array([25]), 25.0)
    numbers = {name: jnp.asarray(values[0]) for name, values in numbers.items()}
    factors = {"layer_1": 1.0, "layer_2": 0.4}
    batch = Batch(jnp.asarray(X), jnp.arange(2, dtype=jnp.int32), jnp.ones(2))
    exact = Enumerated(params)
    latents = {n: jnp.asarray(np.broadcast_to(v[:, None], (32, len(X), v.shape[1]))) for n, v in exact.latents.items()}

    def loss(p):
        log_q = model.posterior(p, batch.x).log_prob(latents)
        prior = model.node_prior().log_prob(p.prior, latents)
        terms = model.log_joint(p, latents, batch.x) - sum(prior.values())
        terms = terms + sum(factors[node] * (prior[node] - log_q[node]) for node in factors)
        return -jnp.mean(jnp.sum(jnp.exp(sum(log_q.values())) * terms, 0))

    def gradient(p, key):
        return jax.grad(lambda p: objective(View(model, p, key, batch), numbers)[0])(p)

    within_errors(estimated(gradient, params)(), jax.jit(jax.grad(loss))(params))


def weighted(log_p, log_q, tuples, alpha):
    """Chances of all tuples (T, B), and normalised weights w^(1 - alpha) in each (T, S, B)."""
    chosen_p, chosen_q = log_p[tuples], log_q[tuples]
    return jnp.exp(chosen_q.sum(1)), jax.nn.softmax((1 - alpha) * (chosen_p - chosen_q), 1)


@pytest.mark.parametrize("name", ["bihm", "reweighted_wake_sleep", "wake_sleep"])
def test_the_mean_step_of_every_algorithm_is_its_definition(name, x64):
    """Descent with rate 1, so that a step is minus the gradient; self-normalised weights are enumerated over tuples."""
    model, params = machine(seed=2)
    samples = 2
    tuples = np.array(list(itertools.product(range(32), repeat=samples)))
    found = tables(model, params)
    log_p, log_q, _ = jax.jit(found)(params)
    everything = Enumerated(params)
    dreams = {"bihm": 0.0, "reweighted_wake_sleep": 0.3, "wake_sleep": 1.0}[name]

    def loss(p):
        joint, posterior, _ = found(p)
        chance, w = weighted(log_p, log_q, tuples, {"bihm": 0.5, "reweighted_wake_sleep": 0.0, "wake_sleep": 1.0}[name])
        q_weights = w - 1 / samples if name == "bihm" else (1 - dreams) * w
        own = w * joint[tuples] + q_weights * posterior[tuples]
        on_data = -jnp.mean(jnp.sum(chance * jnp.sum(own, 1), 0))
        rows = {
            n: jnp.broadcast_to(jnp.asarray(v)[:, None], (32, 16, v.shape[1])) for n, v in everything.latents.items()
        }
        all_q = sum(model.posterior(p, jnp.asarray(everything.x)).log_prob(rows).values())
        dreamt = -jnp.sum(jnp.asarray(np.exp(everything.log_p.reshape(16, 32).T)) * all_q)
        return on_data + dreams * dreamt

    spec = ALGORITHMS[name](num_samples=samples, **({"dreams": dreams} if name == "reweighted_wake_sleep" else {}))
    algorithm = type(spec)(**{**vars(spec), "optimizer": Optimizer(name="sgd", learning_rate=1.0)}).build(model, 100)
    batch = Batch(jnp.asarray(X), jnp.arange(2, dtype=jnp.int32), jnp.ones(2))
    state = algorithm.fresh(params)
    hyper = {"learning_rate": jnp.asarray(1.0)}

    def gradient(p, key):
        after = algorithm.step(state._replace(params=p), batch, key, hyper)[0].params
        return jax.tree.map(lambda a, b: a - b, p, after)

    within_errors(estimated(gradient, params)(), jax.jit(jax.grad(loss))(params))


def test_the_exact_bounds_gradient_is_the_weighted_sum_and_many_samples_reach_it(x64):
    """grad log p~ = sum_h w (grad log p + grad log q) with w = softmax((lp + lq) / 2) over all latents."""
    model, params = machine(seed=3)
    found = tables(model, params)

    def bound(p):
        log_p, log_q, _ = found(p)
        return jnp.mean(2 * jax.nn.logsumexp(0.5 * (log_p + log_q), 0))

    log_p, log_q, _ = jax.jit(found)(params)
    log_p, log_q = np.asarray(log_p), np.asarray(log_q)
    w = scipy.special.softmax(0.5 * (log_p + log_q), 0)

    def weighted_sum(p):
        joint, posterior, _ = found(p)
        return jnp.mean(jnp.sum(w * (joint + posterior), 0))

    exact, summed = jax.jit(lambda p: (jax.grad(bound)(p), jax.grad(weighted_sum)(p)))(params)
    for a, b in zip(jax.tree.leaves(exact), jax.tree.leaves(summed), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    algorithm = ALGORITHMS["bihm"](num_samples=40_000).build(model, 100)

    def loss(p):
        value, report = algorithm.loss(p, jax.random.key(0), jnp.asarray(X), Noise())
        return value, report["bound"]

    grads, reported = jax.jit(jax.grad(loss, has_aux=True))(params)
    scale = np.abs(whole(exact)).max()
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(exact), strict=True):
        assert np.abs(np.asarray(a) + np.asarray(b)).max() < 0.03 * scale
    tilde = 2 * scipy.special.logsumexp(0.5 * (log_p + log_q), 0)
    variance = np.exp(scipy.special.logsumexp(log_p, 0) - tilde) - 1  # of sqrt(p / q) over its mean squared
    assert (np.abs(reported - tilde) < 4 * 2 * np.sqrt(variance / 40_000)).all()


def test_leave_one_out_replaces_a_weight_by_the_mean_of_the_others(x64):
    values = np.random.default_rng(0).normal(size=(4, 3))
    for alpha in (0.0, 0.5, 1.0):
        found = jax.jit(leave_one_out, static_argnums=1)(jnp.asarray(values), alpha)
        for s in range(4):
            changed = values.copy()
            changed[s] = np.delete(values, s, 0).mean(0)
            np.testing.assert_allclose(found[s], renyi_value(jnp.asarray(changed), alpha), rtol=1e-12)


def test_free_bits_are_free(x64):
    """A layer within its free bits has no pull on q, in the samples' choice either."""
    model, params = machine(seed=4, scale=0.1)
    objective = OBJECTIVES["free_energy"](num_samples=2, estimator="vimco", free_bits=50.0)
    batch = Batch(jnp.asarray(X), jnp.arange(2, dtype=jnp.int32), jnp.ones(2))

    def gradient(p, key):
        numbers = {"kl_weight": jnp.asarray(1.0)}
        return jax.grad(lambda p: objective(View(model, p, key, batch), numbers)[0])(p)

    found = tables(model, params, 0.0)

    def fit(p):
        _, log_q, terms = found(p)
        return -jnp.mean(jnp.sum(jnp.exp(log_q) * terms, 0))

    within_errors(estimated(gradient, params)(), jax.jit(jax.grad(fit))(params))


def test_penalties_are_of_the_sum_over_the_batch(x64):
    model, params = machine(seed=5)
    optimizer = Optimizer(name="sgd", learning_rate=1.0)
    batch = Batch(jnp.asarray(X), jnp.arange(2, dtype=jnp.int32), jnp.ones(2))

    def after(**penalties):
        algorithm = ALGORITHMS["bihm"](num_samples=2, optimizer=optimizer, **penalties).build(model, 100)
        hyper = {n: jnp.asarray(v[0]) for n, v in algorithm.hypers(np.zeros(1), 10, 10).items()}
        return jax.jit(algorithm.step)(algorithm.fresh(params), batch, jax.random.key(0), hyper)[0].params

    plain, pulled = after(), after(l1=0.3, l2=0.5)
    for a, b, p in zip(*map(jax.tree.leaves, (plain, pulled, params)), strict=True):
        wanted = (0.3 * np.sign(p) + 2 * 0.5 * np.asarray(p)) / len(X) if p.ndim > 1 else np.zeros(p.shape)
        np.testing.assert_allclose(np.asarray(a) - np.asarray(b), wanted, rtol=1e-6, atol=1e-9)


def test_the_baseline_learns_beside_the_model(x64):
    """nvil's network moves to what the bound is, and the parameters that are evaluated are the model's alone."""
    model, params = machine(seed=6)
    objective = OBJECTIVES["free_energy"](num_samples=2, estimator="nvil")
    spec = ALGORITHMS["gradient_ascent"](objective=objective, optimizer=Optimizer(learning_rate=0.05))
    algorithm = spec.build(model, 100)
    state = algorithm.fresh(params)
    assert isinstance(state.params, Paired)
    assert jax.tree.structure(algorithm.eval_params(state)) == jax.tree.structure(params)
    batch = Batch(jnp.asarray(X), jnp.arange(2, dtype=jnp.int32), jnp.ones(2))
    hyper = {"learning_rate": jnp.asarray(0.05), "kl_weight": jnp.asarray(1.0)}
    moved = jax.jit(algorithm.step)(state, batch, jax.random.key(0), hyper)[0]
    level = moved.params.companion["level"]
    assert float(level[0]) < 0  # the bound is negative


def test_the_baseline_follows_its_squared_error_alone(x64):
    """Not the samples' score, whose part has the mean 0 and would be noise."""
    rng = np.random.default_rng(0)
    log_weights, score, x = (jnp.asarray(rng.normal(size=size)) for size in ((3, 2), (3, 2), (2, 4)))
    companion = jax.tree.map(
        lambda a: jnp.asarray(rng.normal(size=a.shape)), init_companion("nvil", jax.random.key(0), 4)
    )
    batch = Batch(x, jnp.arange(2, dtype=jnp.int32), jnp.ones(2))

    def loss(companion):
        return score_loss(View(None, None, None, batch, companion=companion), log_weights, score, 0.0, "nvil")

    def error(companion):
        return jnp.mean((renyi_value(log_weights, 0.0) - predict(companion, x)) ** 2)

    found, expected = jax.jit(lambda c: (jax.grad(loss)(c), jax.grad(error)(c)))(companion)
    for name, slope in expected.items():
        np.testing.assert_allclose(found[name], slope, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", ["free_energy", "importance_weighted", "renyi"])
def test_estimators_that_do_not_serve_are_refused(name):
    discrete, smooth = MODELS["helmholtz"](layers=(3, 2)), MODELS["helmholtz"](layers=(3, 2), units="gaussian")
    objective = OBJECTIVES[name]
    with pytest.raises(UserError, match=r"estimator=standard .* allowed: score_function, nvil, vimco"):
        objective().check(discrete)
    with pytest.raises(UserError, match=r"allowed: standard, sticking_the_landing"):
        objective(estimator="nvil").check(smooth)
    with pytest.raises(UserError, match="at least 2, not 1"):
        objective(estimator="vimco", num_samples=1).check(discrete)
    objective(estimator="vimco", num_samples=2).check(discrete)
    objective().check(smooth)


def test_one_weight_teaches_no_recognition_model():
    """It is 1 whatever was drawn, and E_q[grad log q] = 0."""
    model = MODELS["helmholtz"](layers=(3, 2))
    for name, choices, allowed in (
        ("bihm", {}, "2 or more"),
        ("reweighted_wake_sleep", {"dreams": 0.0}, "2 or more, or algorithm.dreams above 0"),
        ("sgmcmc", {}, "2 or more, or algorithm.dreams above 0"),
    ):
        spec = ALGORITHMS[name](num_samples=1, **choices).completed(model)
        with pytest.raises(UserError, match=f"algorithm.num_samples=1 .* learns nothing; allowed: {allowed}"):
            spec.check(model)
        ALGORITHMS[name](num_samples=2, **choices).completed(model).check(model)
    for name in ("reweighted_wake_sleep", "sgmcmc"):
        ALGORITHMS[name](num_samples=1, dreams=0.5).completed(model).check(model)
    smooth = MODELS["dlgm"]().completed("bernoulli")
    ALGORITHMS["sgmcmc"](num_samples=1).completed(smooth).check(smooth)  # through the samples' paths


@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_a_relaxed_draw_is_the_draw_with_the_derivative_of_its_relaxation(temperature, x64):
    """E[d value / d logit] = E_u[sigma'((logit - logit(u)) / T) / T], by quadrature, for each unit's own logit."""
    logits = np.array([-1.3, 0.2, 2.0])
    unit, draws = Bernoulli(), 40_000

    def found(bias):
        return unit.relaxed([{"bias": bias}], jax.random.key(0), None, (draws,), temperature).value

    values, slope = jax.jit(lambda b: jax.jvp(found, (b,), (jnp.ones(3),)))(jnp.asarray(logits))
    plain = unit.draw([{"bias": jnp.asarray(logits)}], jax.random.key(0), None, (draws,)).value
    np.testing.assert_array_equal(np.asarray(values), np.asarray(plain))
    nodes, weights = np.polynomial.legendre.leggauss(2000)
    noise = 40 * nodes  # logistic, whose density is that of logit(u)
    s = 1 / (1 + np.exp(-(logits[:, None] - noise) / temperature))
    density = np.exp(-np.abs(noise)) / (1 + np.exp(-np.abs(noise))) ** 2
    exact = (40 * weights * density * s * (1 - s) / temperature).sum(1)
    error = np.asarray(slope).std(0) / np.sqrt(draws)
    assert (np.abs(np.asarray(slope).mean(0) - exact) < 4 * error).all()
    # Of the noise behind the value itself, and not of other noise of the same law: where the value is 1 alone.
    z = np.linspace(-40, 40, 200_001)
    s = 1 / (1 + np.exp(-(logits[:, None] - z) / temperature))
    density = np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))) ** 2
    both = np.trapezoid(density * s * (1 - s) / temperature * (z < logits[:, None]), z)
    own = np.asarray(slope) * np.asarray(values)
    assert (np.abs(own.mean(0) - both) < 4 * own.std(0) / np.sqrt(draws)).all()
    if temperature == 0.1:
        chance = 1 / (1 + np.exp(-logits))
        np.testing.assert_allclose(exact, chance * (1 - chance), rtol=0.02)


@pytest.mark.parametrize(("name", "alpha", "choices"), BOUNDS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_relaxed_bound_is_the_discrete_one_and_its_generative_gradient_is_exact(name, alpha, choices, x64):
    model, params = machine(seed=1)
    batch = Batch(jnp.asarray(X), jnp.arange(2, dtype=jnp.int32), jnp.ones(2))
    relaxed, standard = (OBJECTIVES[name](num_samples=2, estimator=e, **choices) for e in ("relaxed", "standard"))

    def loss(objective, p, key):
        return objective(View(model, p, key, batch), {"kl_weight": jnp.asarray(WEIGHTS[1])})[0]

    values = jax.jit(lambda p, key: [loss(o, p, key) for o in (relaxed, standard)])(params, jax.random.key(3))
    assert float(values[0]) == pytest.approx(float(values[1]), rel=1e-12)
    exact = exact_gradients(alpha, 2)[1]
    found = estimated(lambda p, key: jax.grad(lambda p: loss(relaxed, p, key))(p), params)()
    nothing = jax.tree.map(lambda a: np.zeros(a.shape), params)
    recognition = whole(nothing._replace(recognition=jax.tree.map(lambda a: a + 1, nothing.recognition))) > 0
    away = (np.asarray(found) - whole(exact))[:, ~recognition]
    assert (np.abs(away.mean(0)) <= 4 * away.std(0) / np.sqrt(DRAWS) + 1e-9).all()
    one, other = np.asarray(found).mean(0)[recognition], whole(exact)[recognition]
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.7
