"""Expectation maximisation on a mixture of two Bernoulli products, small enough to write down."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.algorithms import ALGORITHMS
from sbvi.algorithms.schedules import Schedule
from sbvi.core import UserError
from sbvi.data import Batch
from sbvi.models.values import DataFacts, LogProb


class TwoCoins:
    """pi (2,), theta (2, D): p(x) = sum_k pi_k prod_d theta_kd^x_d (1 - theta_kd)^(1 - x_d)."""

    facts, discrete = DataFacts((3,), True, 1), True

    def init(self, seed, summary):
        return {"pi": jnp.array([0.4, 0.6]), "theta": jnp.array([[0.3, 0.6, 0.2], [0.7, 0.5, 0.4]])}

    def numbers(self, examples):
        return {}

    def _joint(self, params, x):
        x = x[:, None]
        log_x = x * jnp.log(params["theta"])[None] + (1 - x) * jnp.log1p(-params["theta"])[None]
        return log_x.sum(2) + jnp.log(params["pi"])[None]

    def log_prob(self, params, key, x):
        return LogProb(jax.nn.logsumexp(self._joint(params, x), 1), "exact")

    def _sums(self, weight, x, mask):
        weight = weight * mask[:, None]
        return {"count": weight.sum(0), "ones": weight.T @ x}

    def statistics(self, params, x, mask):
        return self._sums(jax.nn.softmax(self._joint(params, x), 1), x, mask)

    def hard_statistics(self, params, x, mask):
        return self._sums(jax.nn.one_hot(jnp.argmax(self._joint(params, x), 1), 2, dtype=x.dtype), x, mask)

    def maximise(self, params, statistics, pseudocount):
        count = statistics["count"] + pseudocount
        theta = (statistics["ones"] + pseudocount / 2) / (statistics["count"] + pseudocount)[:, None]
        return {"pi": count / count.sum(), "theta": theta}


MODEL, N = TwoCoins(), 50
DATA = (np.random.default_rng(0).random((N, 3)) < [0.2, 0.5, 0.7]).astype(np.float32)
DATA[::3] = 1 - DATA[::3]


def run(algorithm, batch_size, steps, order=lambda epoch: np.arange(N)):
    """The states after each step, batches read from epochs laid end to end."""
    stream = np.concatenate([order(epoch) for epoch in range(steps * batch_size // N + 1)])
    hypers = algorithm.hypers(np.arange(steps), N / batch_size, steps)
    state, states, infos = algorithm.init(0, None), [], []
    step = jax.jit(algorithm.step)
    for t in range(steps):
        index = stream[t * batch_size : (t + 1) * batch_size]
        x = jnp.asarray(DATA[index])
        batch = Batch(x, jnp.asarray(index, jnp.int32), jnp.ones(len(index)))
        state, info = step(state, batch, jax.random.key(0), {n: jnp.asarray(v[t]) for n, v in hypers.items()})
        states.append(state)
        infos.append(info.scalars)
    return states, infos


def built(**options):
    return ALGORITHMS["expectation_maximisation"](**options).build(MODEL, N)


@jax.jit
def whole_log_prob(params):
    return MODEL.log_prob(params, None, jnp.asarray(DATA)).value.sum()


def log_likelihood(params):
    return float(whole_log_prob(params))


@functools.cache
def compiled(what):
    return jax.jit(getattr(MODEL, what))


@functools.cache
def by_hand(iterations, pseudocount, kind="statistics"):
    """To be read alone."""
    params, mask = MODEL.init(0, None), jnp.ones(N)
    for _ in range(iterations):
        params = compiled("maximise")(params, compiled(kind)(params, jnp.asarray(DATA), mask), pseudocount)
    return params


@pytest.mark.parametrize("estimator", ["soft", "hard"])
@pytest.mark.parametrize("batch_size", [50, 25, 20, 7, 1])
def test_full_batch_is_the_textbook_whatever_the_batches(batch_size, estimator):
    """Three epochs, batches that end with them or straddle them, in a new order each: three iterations by hand."""
    steps = -(-3 * N // batch_size)
    order = lambda epoch: np.random.default_rng(epoch).permutation(N)  # noqa: E731
    states, _ = run(built(pseudocount=0.7, estimator=estimator), batch_size, steps, order)
    kind = "statistics" if estimator == "soft" else "hard_statistics"
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5), states[-1].params, by_hand(3, 0.7, kind))


def test_without_a_prior_the_likelihood_never_falls():
    states, infos = run(built(pseudocount=0.0), N, 40)
    values = [log_likelihood(MODEL.init(0, None))] + [log_likelihood(state.params) for state in states]
    assert (np.diff(values) > -1e-4).all()
    assert values[-1] > values[0] + 1
    # Each step reports the likelihood of the parameters that it started from.
    np.testing.assert_allclose([float(info["log_likelihood"]) * N for info in infos], values[:-1], rtol=1e-5)


def test_online_is_its_recursion():
    """The statistics are a running mean of the batches', scaled to the training set; the first counts whole."""
    schedule = Schedule(kind="exponential", final=0.1)
    states, _ = run(built(mode="online", step_size=0.5, schedule=schedule, pseudocount=0.3), 20, 6)
    params, mean = MODEL.init(0, None), None
    stream = np.concatenate([np.arange(N)] * 3)
    for t, state in enumerate(states):
        x = jnp.asarray(DATA[stream[t * 20 : (t + 1) * 20]])
        found = jax.tree.map(lambda s: N / 20 * np.asarray(s), compiled("statistics")(params, x, jnp.ones(20)))
        eta = 1.0 if t == 0 else 0.5 * 0.1 ** (t / 6)
        mean = found if mean is None else jax.tree.map(lambda m, f, e=eta: (1 - e) * m + e * f, mean, found)
        params = compiled("maximise")(params, jax.tree.map(lambda m: jnp.asarray(m, jnp.float32), mean), 0.3)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5), state.params, params)


def test_online_with_small_steps_comes_near_the_full_batch():
    schedule = Schedule(kind="exponential", final=0.02)
    order = lambda epoch: np.random.default_rng(epoch).permutation(N)  # noqa: E731
    states, _ = run(built(mode="online", step_size=0.5, schedule=schedule, pseudocount=0.1), 10, 600, order)
    assert log_likelihood(states[-1].params) == pytest.approx(log_likelihood(by_hand(120, 0.1)), abs=0.3)


def test_a_batch_beyond_an_epoch_is_refused():
    with pytest.raises(UserError, match=r"trainer.batch_size=60 must be at most 50"):
        built().hypers(np.arange(3), N / 60, 3)


def test_models_without_a_closed_form_are_refused():
    from sbvi.models import MODELS

    with pytest.raises(UserError, match="algorithm=expectation_maximisation needs what model=dlgm has not"):
        ALGORITHMS["expectation_maximisation"]().check(MODELS["dlgm"]())
