"""The tail's shape against exact Pareto draws, against the papers' text in NumPy, and where weights are extreme."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian

from sbvi.inference import importance, psis
from sbvi.inference.importance import importance_sampling

SIZES = [125, 500, 5000]


def written_out(log_weights):
    """PSIS's k of S log weights (S,), from the text of Zhang and Stephens (2009) and Vehtari et al. (2024)."""
    count = len(log_weights)
    ordered = np.sort(np.asarray(log_weights, np.float64))
    length = int(np.ceil(min(0.2 * count, 3 * np.sqrt(count))))
    weights = np.exp(ordered - ordered[-1])
    y = weights[-length:] - weights[-length - 1]
    m = 30 + int(np.sqrt(length))
    quartile = y[int(length / 4 + 0.5) - 1]
    thetas = [1 / y[-1] + (1 - np.sqrt(m / (j - 0.5))) / (3 * quartile) for j in range(1, m + 1)]
    profile = []
    for theta in thetas:
        k = -np.mean(np.log1p(-theta * y))
        profile.append(length * (np.log(theta / k) + k - 1))
    shares = [1 / sum(np.exp(other - one) for other in profile) for one in profile]
    theta = sum(share * each for share, each in zip(shares, thetas, strict=True))
    return (length * np.mean(np.log1p(-theta * y)) + 5) / (length + 10)


@jax.jit
def khat(start, values):
    return psis.khat(psis.merged(start, values))


def found(log_weights):
    """The module's k of log weights (S, B)."""
    length = psis.tail_length(len(log_weights))
    start = np.full((log_weights.shape[1], length + 1), -np.inf, log_weights.dtype)
    return np.asarray(khat(start, log_weights))


@pytest.mark.parametrize("size", SIZES)
def test_against_the_text(size, x64):
    generator = np.random.default_rng(size)
    scales = np.array([0.2, 1.0, 3.0, 8.0])
    for draws in (
        generator.normal(size=(size, 4)),
        generator.gumbel(size=(size, 4)),
        -generator.gamma(1, size=(size, 4)),
    ):
        log_weights = draws * scales
        wanted = [written_out(column) for column in log_weights.T]
        np.testing.assert_allclose(found(jnp.asarray(log_weights)), wanted, rtol=1e-8)


generalised_pareto = jax.jit(psis.generalised_pareto)


@pytest.mark.parametrize("k", [-0.5, 0.1, 0.4, 0.7, 1.2])
def test_exact_generalised_pareto_draws_have_their_shape(k):
    """Without the prior, in float32, the mean over 200 sets of 212 draws; its error is that of a fit."""
    u = np.random.default_rng(0).uniform(size=(200, 212))
    y = (u**-k - 1) / k
    each = np.asarray(generalised_pareto(jnp.asarray(np.log(-np.sort(-y, 1)), jnp.float32)))
    assert abs(each.mean() - k) < 0.04
    assert each.std() < 1.5 * (1 + abs(k)) / np.sqrt(212)  # the asymptotic standard deviation is (1 + k) / sqrt(n)


@pytest.mark.parametrize("k", [0.3, 0.7, 1.0])
def test_the_tail_of_pareto_weights(k):
    """w = u^-k has a tail of shape k whatever the threshold; the prior draws it towards 1/2 by its known share."""
    u = np.random.default_rng(1).uniform(size=(5000, 300))
    each = found(jnp.asarray(-k * np.log(u), jnp.float32))
    length = psis.tail_length(5000)
    assert length == 213
    assert abs(each.mean() - (length * k + 5) / (length + 10)) < 0.03


def test_float32_and_weights_hundreds_of_nats_apart(x64):
    """float32 agrees with float64; where weights underflow the logarithms do not, and k grows with the spread."""
    draws = np.random.default_rng(2).normal(size=(500, 6)) * np.array([1e-3, 0.3, 3.0, 30.0, 300.0, 3000.0]) - 90
    single, double = (found(jnp.asarray(draws, dtype)) for dtype in (jnp.float32, jnp.float64))
    np.testing.assert_allclose(single[1:], double[1:], rtol=1e-2, atol=3e-3)
    assert np.isfinite(single).all()
    assert (np.diff(double) > 0).all()
    assert double[2] > psis.LIMIT > double[1]


def test_degenerate_weights_stay_finite():
    """Equal weights and a few values many times over are no heavy tail, and a column of zeros is finite."""
    generator = np.random.default_rng(3)
    equal = np.full(500, -70.0)
    ties = generator.choice([-3.0, -2.0, -1.0], 500)
    most_ties = np.where(np.arange(500) < 5, 0.0, -9.0)
    zeros = np.where(np.arange(500) < 400, -np.inf, generator.normal(size=500))
    almost_all_zeros = np.where(np.arange(500) < 480, -np.inf, generator.normal(size=500))
    atoms = np.repeat([0.0, -0.5, -2.0, -3.0], [3, 10, 30, 457])
    columns = np.stack([equal, ties, atoms, most_ties, zeros, almost_all_zeros], 1)
    each = found(jnp.asarray(columns, jnp.float32))
    assert np.isfinite(each).all()
    assert (each[:4] < 0.5).all()


def machine(bits, upper, rare):
    """log q and log p(x, .) of all states of two layers of bits, q the lower given x and the upper given the lower.

    rare: whether q has only 2e-4 of each of five states, whose weights are 500 times those of others.
    """
    draws = np.random.default_rng(0)
    h, g = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1 for n in (bits, upper))

    def law(values, logits):
        return np.sum(values * logits - np.logaddexp(0, logits), -1)

    lower = law(h, 2 * draws.normal(size=bits))[:, None]
    log_q = (lower + law(g[None], 2 * (h @ draws.normal(size=(bits, upper)))[:, None])).ravel()
    log_p = log_q + 0.5 * draws.normal(size=log_q.shape) - 4.0
    if rare:
        few = draws.choice(len(log_q), 5, replace=False)
        log_q[few], log_p[few] = np.log(2e-4), np.log(2e-4 * 500) - 4.0
    return log_q - np.logaddexp.reduce(log_q), log_p


@pytest.mark.parametrize("sizes", [(5, 3), (8, 4)])
def test_states_that_are_met_again_have_no_heavy_tail(sizes):
    """Bits whose p(x) is known by enumeration, each estimate beside the standard error that the law of the weights has.
    Weights within 4.3 times their mean, whose estimates are right to it, give no alarm, though most fits would; where
    p has a third of its mass in rare states, an estimate that met one does. Equal states differ by rounding."""
    draws, samples = np.random.default_rng(0), 2000
    for rare in (False, True):
        log_q, log_p = machine(*sizes, rare)
        q, log_weights, exact = np.exp(log_q), log_p - log_q, np.logaddexp.reduce(log_p)
        wanted = np.sqrt((np.sum(q * np.exp(2 * (log_weights - exact))) - 1) / samples)
        met = log_weights[draws.choice(len(q), (samples, 60), p=q)].astype(np.float32)
        met = np.nextafter(met, np.where(draws.random(met.shape) < 0.5, -np.inf, np.inf).astype(np.float32))
        off = np.logaddexp.reduce(met.astype(np.float64), 0) - np.log(samples) - exact
        each = found(jnp.asarray(met))
        if rare:
            assert wanted > 0.15
            assert (each[met.max(0) > exact + 4] > psis.LIMIT).mean() > 0.95
        else:
            assert np.sqrt(np.mean(off**2)) == pytest.approx(wanted, rel=0.3)
            assert wanted < 0.011
            assert (each < psis.LIMIT).all()
            assert np.isclose(each, 5 / (psis.tail_length(samples) + 10), rtol=1e-6).mean() > 0.5  # set aside


def test_too_few_samples_have_no_tail():
    assert [psis.tail_length(count) for count in (1, 20, 120)] == [None] * 3
    assert [psis.tail_length(count) for count in (121, 500, 5000)] == [25, 68, 213]
    assert [psis.of_weights(jnp.zeros((count, 2), jnp.float32)) for count in (1, 120)] == [None] * 2


@pytest.mark.parametrize(("chunk", "held"), [(500, 500), (123, 500), (123, 499)])
def test_importance_sampling_reports_the_tail_of_all_its_weights(chunk, held, x64, monkeypatch):
    """Held or merged over chunks, the last one's surplus left out; a narrow q has the heavier tail."""
    monkeypatch.setattr(importance, "HELD", held)
    oracle = LinearGaussian(np.random.default_rng(3).normal(size=(6, 3)))
    x, key, values = oracle.data(5), jax.random.key(2), []
    size = -(-500 // -(-500 // chunk))

    @jax.jit
    def of_chunk(params, number):
        return oracle.model.rollout(params, jax.random.fold_in(key, number), x, size).log_weights()

    estimate = jax.jit(importance_sampling(oracle.model.rollout, 500, chunk))
    for constants in (-0.4, -2.5):
        oracle.set_recognition(np.full(3, constants))
        params = oracle.params
        each = estimate(params, key, x).khat
        weights = np.concatenate([of_chunk(params, number) for number in range(-(-500 // size))])[:500]
        np.testing.assert_allclose(each, [written_out(column) for column in weights.T], rtol=1e-8)
        values.append(np.median(each))
    assert values[1] > psis.LIMIT > values[0]
    assert jax.eval_shape(importance_sampling(oracle.model.rollout, 20, 20), params, key, x).khat is None


def test_a_poor_posterior_on_five_bits_stays_flagged():
    """Its few states are met again and again, those that hold the mass are not: nats too low, in almost every draw."""
    ours, theirs = np.array([0.94, -4.14, 9.72, -4.24, 0.77]), np.array([-1.42, 9.52, 1.32, -4.44, -1.76])
    states = (np.arange(32)[:, None] >> np.arange(5)) & 1
    log_p, log_q = (np.where(states, -np.logaddexp(0, -a), -np.logaddexp(0, a)).sum(1) for a in (ours, theirs))
    drawn = np.random.default_rng(1).choice(32, (500, 100), p=np.exp(log_q) / np.exp(log_q).sum())
    assert np.mean(np.asarray(found(jnp.asarray((log_p - log_q)[drawn], jnp.float32))) > 0.7) > 0.9


def test_equal_by_rounding_alone_is_no_repetition():
    """Continuous weights tens of thousands of nats from 0, of which float32 makes many the same."""
    draws = np.random.default_rng(2).exponential(size=(5000, 50))  # Pareto weights with k = 1
    near, far = (np.mean(np.asarray(found(jnp.asarray(draws - off, jnp.float32))) > 0.7) for off in (0.0, 1e5))
    assert near > 0.9
    assert far > 0.9
