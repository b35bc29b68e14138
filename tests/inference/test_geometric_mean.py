"""p* of a Helmholtz machine against enumeration: its bound, its constant, its draws and its conditionals."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.enumerable import Enumerated, affine, log_bernoulli, logsumexp, machine, states
from support.nightly import NIGHTLY

from sbvi.algorithms import ALGORITHMS
from sbvi.core import UserError
from sbvi.inference import gibbs
from sbvi.inference.geometric_mean import partition, resampled
from sbvi.inference.importance import importance_sampling
from sbvi.inference.imputation import impute
from sbvi.models.rollout import Noise

PLACES = {4: np.array([8.0, 4.0, 2.0, 1.0]), 3: np.array([4.0, 2.0, 1.0]), 2: np.array([2.0, 1.0])}


def number(values):
    """Which row of `states` each is."""
    return np.asarray(values @ PLACES[values.shape[-1]], int)


def total_variation(found, wanted):
    counted = np.bincount(found.ravel(), minlength=len(wanted)) / found.size
    return 0.5 * np.abs(counted - wanted).sum()


@pytest.mark.parametrize("chunk", [3, 4, 12])
def test_the_bound_in_chunks_is_its_definition(chunk, x64):
    model, params = machine()
    x = jnp.asarray(Enumerated(params).x)
    found = jax.jit(importance_sampling(model.rollout, 10, chunk))(params, jax.random.key(0), x)
    sizes, left = [], 10
    size = -(-10 // -(-10 // chunk))
    while left > 0:
        sizes.append(min(size, left))
        left -= size

    @jax.jit
    def log_weights(number):
        return model.rollout(params, jax.random.fold_in(jax.random.key(0), number), x, size).log_weights()

    half = 0.5 * np.concatenate([log_weights(number)[:n] for number, n in enumerate(sizes)])
    np.testing.assert_allclose(found.geometric, 2 * (logsumexp(half, 0) - np.log(10)), rtol=1e-10)
    effective = np.exp(2 * logsumexp(half, 0) - logsumexp(2 * half, 0))
    np.testing.assert_allclose(found.geometric_effective, effective, rtol=1e-10)
    # And what is told of the weights themselves.
    whole = 2 * half
    np.testing.assert_allclose(found.log_likelihood, logsumexp(whole, 0) - np.log(10), rtol=1e-10)
    np.testing.assert_allclose(found.effective, np.exp(2 * logsumexp(whole, 0) - logsumexp(2 * whole, 0)), rtol=1e-10)
    np.testing.assert_allclose(found.elbo, whole.mean(0), rtol=1e-10)
    np.testing.assert_allclose(found.expected_log_likelihood - sum(found.kl.values()), found.elbo, rtol=1e-10)


DRAWS = 20_000 if NIGHTLY else 10_000


def test_many_samples_reach_the_enumerated_bound(x64):
    model, params = machine()
    exact = Enumerated(params)
    found = jax.jit(importance_sampling(model.rollout, DRAWS, 5000))(params, jax.random.key(0), jnp.asarray(exact.x))
    variance = np.exp(exact.log_px - exact.log_tilde) - 1  # of sqrt(p / q), over its mean squared
    assert (np.abs(found.geometric - exact.log_tilde) < 4 * 2 * np.sqrt(variance / DRAWS)).all()
    np.testing.assert_allclose(found.log_likelihood, exact.log_px, atol=0.2)


@pytest.mark.parametrize("inner", [1, 5])
def test_the_constant_is_estimated_without_bias(inner, x64):
    """Z^2 within 4 standard errors of the enumerated one; draws that the batch does not divide are met exactly."""
    model, params = machine()
    exact = Enumerated(params).log_z2
    assert exact < -0.1
    found = jax.jit(lambda p, k: partition(model, p, k, 20_001, 4000, inner, jnp.float64))(params, jax.random.key(1))
    z2, error = np.exp(float(found.log_z2)), float(found.stderr) * np.exp(float(found.log_z2))
    assert abs(z2 - np.exp(exact)) < 4 * error < 0.1


@pytest.mark.parametrize("inner", [1, 3])
def test_the_constants_error_is_that_of_its_mean(inner, x64):
    """Over many estimates of few draws. The second moment of a term is 1/J + (1 - 1/J) Z^2, whatever p and q are."""
    model, params = machine(scale=0.7)
    many = jax.jit(jax.vmap(lambda k: partition(model, params, k, 500, 200, inner, jnp.float64)))
    found = many(jax.random.split(jax.random.key(7), 400))
    z2, exact = np.exp(np.asarray(found.log_z2)), np.exp(Enumerated(params).log_z2)
    wanted = np.sqrt((1 / inner + (1 - 1 / inner) * exact - exact**2) / 500)
    assert z2.std() == pytest.approx(wanted, rel=0.2)
    assert np.mean(np.asarray(found.stderr) * z2) == pytest.approx(wanted, rel=0.15)
    # However few large terms one has met: at least what that moment says at its own Z^2.
    least = np.sqrt((1 / inner + (1 - 1 / inner) * z2 - z2**2) / 500)
    assert (found.stderr * z2 > least * (1 - 1e-9)).all()


def test_layers_conditionals_are_the_enumerated_ones(x64):
    model, params = machine()
    exact = Enumerated(params)
    joint = exact.log_star
    one, two, x = (jnp.asarray(v) for v in (exact.one, exact.two, exact.x))
    first = jax.jit(lambda below, above: gibbs.target(model, params, 1, one[:, None], below, above)[:, 0])
    second = jax.jit(lambda below: gibbs.target(model, params, 2, two[:, None], below, None)[:, 0])
    for place, (b, t) in enumerate([(3, 1), (12, 2)]):
        below, above = x[b][None], two[t][None]
        found = np.asarray(first(below, above))
        wanted = joint[b, :, t]
        np.testing.assert_allclose(found - found[0], wanted - wanted[0], rtol=1e-9, err_msg=str(place))
        found = np.asarray(second(one[t][None]))
        wanted = joint[b, t, :]
        np.testing.assert_allclose(found - found[0], wanted - wanted[0], rtol=1e-9)


def chain_tables(params, sizes):
    """log p(x, h_1 .. h_L) and log q(h_1 .. h_L | x), an axis for the states of each layer, x first, in NumPy."""
    rows = [states(size) for size in (4, *sizes)]
    downs = [params.generative, *(params.prior[f"layer_{level}"] for level in range(1, len(sizes)))]

    def along(table, level):
        """(lower, upper) states of layers `level` and `level + 1` on their axes of all."""
        shape = [1] * len(rows)
        shape[level : level + 2] = table.shape
        return table.reshape(shape)

    log_p = log_bernoulli(np.asarray(params.prior[f"layer_{len(sizes)}"][0]["bias"]), rows[-1])
    log_q = np.zeros((1,) * len(rows))
    for level, (below, above) in enumerate(itertools.pairwise(rows)):
        down = log_bernoulli(affine(downs[level], above)[None], below[:, None])
        up = log_bernoulli(affine(params.recognition[f"layer_{level + 1}"], below)[:, None], above[None])
        log_p, log_q = log_p + along(down, level), log_q + along(up, level)
    return log_p, log_q


def test_conditionals_of_four_layers_are_the_enumerated_ones(x64):
    """Layers between two others, which two layers have none of: at every value of all the rest."""
    sizes = (2, 3, 1, 2)
    model, params = machine(seed=6, layers=sizes)
    log_p, log_q = chain_tables(params, sizes)
    half = 0.5 * (log_p + log_q)  # x is held, so that sqrt(q(x)) is a constant
    rows = [jnp.asarray(states(size)) for size in (4, *sizes)]
    for level in range(1, 5):
        last = level == len(sizes)
        found = jax.jit(jax.vmap(jax.vmap(
            lambda below, above, level=level: gibbs.target(
                model, params, level, rows[level][:, None], below[None], None if level == 4 else above[None]
            )[:, 0],
            (None, 0)), (0, None),
        ))(rows[level - 1], rows[level] if last else rows[level + 1])  # fmt: skip
        # Axes (below, above, own), of the rest the first states: what is far has no part.
        at = [0] * 5
        at[level - 1] = at[level] = slice(None)
        if not last:
            at[level + 1] = slice(None)
        wanted = half[tuple(at)]
        wanted = np.moveaxis(wanted, 1, -1) if not last else wanted[:, None]
        found = np.asarray(found)[:, :1] if last else np.asarray(found)
        np.testing.assert_allclose(found - found[..., :1], wanted - wanted[..., :1], rtol=1e-9, atol=1e-12)


def test_with_q_the_posterior_the_three_laws_are_one(x64):
    """Of layers of one value the posterior of each given the one below is affine in it, so that q can be set to it.
    Then p~ = p = p*, 2 log Z = 0, and nothing pulls q, whatever is drawn."""
    depth = 3
    model, params = machine(seed=7, layers=(1,) * depth)
    recognition = {}
    for level in range(1, depth + 1):
        own = np.asarray(params.prior[f"layer_{depth}"][0]["bias"])
        for above in range(depth - 1, level - 1, -1):  # log-odds of h_level = 1, from the top down
            chance, below = 1 / (1 + np.exp(-own)), params.prior[f"layer_{above}"]
            on = 1 / (1 + np.exp(-affine(below, states(1))[:, 0]))
            mean = (1 - chance) * on[0] + chance * on[1]
            own = np.log(mean) - np.log1p(-mean)
        down = params.generative if level == 1 else params.prior[f"layer_{level - 1}"]
        off, on = affine(down, states(1))
        bias = own - np.sum(np.logaddexp(0, on) - np.logaddexp(0, off))
        recognition[f"layer_{level}"] = [{"kernel": jnp.asarray(on - off)[:, None], "bias": jnp.asarray(bias)}]
    params = params._replace(recognition=recognition)
    log_p, log_q = chain_tables(params, (1,) * depth)
    latents = tuple(range(1, depth + 1))
    log_px = np.log(np.exp(log_p).sum(latents))
    np.testing.assert_allclose(log_q, log_p - log_px.reshape(-1, *(1,) * depth), atol=1e-12)
    x = jnp.asarray(states(4))
    algorithm = ALGORITHMS["bihm"](num_samples=3).build(model, 100)

    @jax.jit
    def program(params, key):
        found = importance_sampling(model.rollout, 7, 3)(params, key, x)
        slope = jax.grad(lambda p: algorithm.loss(p, key, x, Noise())[0])(params).recognition
        chosen = resampled(model, params, key, 5, 20, 2, jnp.float64)
        # 40 keys: of some a variance of 0 is below it by rounding, whatever the processor
        constants = jax.vmap(lambda key: partition(model, params, key, 50, 20, 2, jnp.float64))
        return found, constants(jax.random.split(key, 40)), slope, chosen

    found, constant, slope, chosen = program(params, jax.random.key(0))
    for estimate in (found.geometric, found.log_likelihood, found.elbo):
        np.testing.assert_allclose(estimate, log_px, atol=1e-12)
    np.testing.assert_allclose(jnp.stack([constant.log_z2, constant.stderr]), 0, atol=1e-6)
    np.testing.assert_allclose(chosen.effective, 20)  # every draw of p weighs the same
    for leaf in jax.tree.leaves(slope):
        np.testing.assert_allclose(leaf, 0, atol=1e-12)


CHAINS, SWEEPS, BURN = 1000, 220, 20


def run(model, params, settings, x=None, observed=None):
    """x and all latents over the chains, as numbers of states; and the mean over all of the averages of candidates."""

    @jax.jit
    def program(params, x, observed):
        first, second, third, last = jax.random.split(jax.random.key(3), 4)
        latents, drawn = model.sample_joint(params, first, CHAINS, jnp.float64)
        if x is not None:
            latents = {n: v[0] for n, v in model.posterior(params, x).draw(second, 1).items()}
        state = gibbs.start(model, params, third, drawn.value if x is None else x, latents, settings)

        def one(state, key):
            state = gibbs.sweep(model, params, key, state, settings, observed)
            one, two = state.latents["layer_1"] @ PLACES[3], state.latents["layer_2"] @ PLACES[2]
            return state, (state.x @ PLACES[4], one, two, jnp.mean(state.average, 0))

        return jax.lax.scan(one, state, jax.random.split(last, SWEEPS))[1]

    *states, averages = program(params, x, observed)
    return [*(np.asarray(kept, int)[BURN:] for kept in states), averages[BURN:].mean(0)]


MOVES, ALIKE = 16, 20_000
#: h_1 that x is moved under, of each `ALIKE` chains, as places in `states(3)`.
UNDER = (1, 6)


def laws_of_x(exact, *, with_qx=True):
    """p*(x | h_1), or where q(x) is left out what is in its place, from the enumerated joint: (16, len(UNDER))."""
    joint = exact.log_star if with_qx else 0.5 * (exact.log_p + exact.log_q)
    law = np.exp(joint).sum(2)[:, list(UNDER)]
    return law / law.sum(0)


def moved_x(model, params, x, half, settings, moves):
    """x after so many moves under the same h_1, as places in `states(4)`: of x (len(UNDER), ALIKE) such places, and the
    kept log of sqrt(p~(x)); None for a fresh estimate."""
    first = np.repeat(states(3)[list(UNDER)], ALIKE, 0)
    x, half = states(4)[x.ravel()], None if half is None else jnp.asarray(half.ravel())

    @jax.jit
    def program(params, x, half, first):
        begin, key = jax.random.split(jax.random.key(11))
        state = gibbs.start(model, params, begin, x, {"layer_1": first}, settings)
        state = state if half is None else state._replace(log_half=half)

        def one(state, key):
            return gibbs.step_x(model, params, key, state, settings, None), None

        return jax.lax.scan(one, state, jax.random.split(key, moves))[0].x

    return number(np.asarray(program(params, jnp.asarray(x), half, jnp.asarray(first)))).reshape(len(UNDER), ALIKE)


@pytest.mark.parametrize("inner", [1, 3])
def test_a_move_of_x_keeps_its_enumerated_conditional(inner, x64):
    """Chains that start in it, by pairs of x and kept estimate. Where x has its law, an estimate has its own density
    times itself: that of one of its samples, whose h then is of sqrt(p(x, h) q(h | x)), the others of q(h | x)."""
    model, params = machine(seed=3)
    exact, generator = Enumerated(params), np.random.default_rng(5)
    laws = laws_of_x(exact)
    x = np.stack([generator.choice(16, ALIKE, p=law) for law in laws.T])
    log_p, log_q = exact.log_p.reshape(16, 32), exact.log_q.reshape(16, 32)
    own, others = np.exp(0.5 * (log_p + log_q)), np.exp(log_q)

    def drawn(table):
        levels = np.cumsum(table / table.sum(1, keepdims=True), 1)[x]
        return np.minimum((levels < generator.random((*x.shape, 1))).sum(-1), 31)

    h = np.stack([drawn(own), *(drawn(others) for _ in range(inner - 1))])
    half = logsumexp(0.5 * (log_p - log_q)[x, h], 0) - np.log(inner)
    after = moved_x(model, params, x, half, gibbs.Gibbs(candidates=3, inner=inner), 1)
    for one, before, law in zip(after, x, laws.T, strict=True):
        assert (one != before).mean() > 0.2
        assert total_variation(one, law) < 0.02


def test_moves_of_x_reach_its_enumerated_conditional_from_elsewhere(x64, optimised):
    """All chains of one h_1 start at the value that is the least likely there."""
    model, params = machine(seed=3)
    exact = Enumerated(params)
    laws, without = laws_of_x(exact), laws_of_x(exact, with_qx=False)
    x = np.repeat(laws.argmin(0)[:, None], ALIKE, 1)
    for settings, wanted, other in (
        (gibbs.Gibbs(candidates=4, inner=2), laws, without),
        (gibbs.Gibbs(candidates=4, x_step="drop_qx"), without, laws),
    ):
        assert all(total_variation(one, law) > 0.9 for one, law in zip(x, wanted.T, strict=True))
        after = moved_x(model, params, x, None, settings, MOVES)
        for one, law, left in zip(after, wanted.T, other.T, strict=True):
            assert total_variation(one, law) < 0.02
            assert total_variation(one, left) > 0.05


@pytest.mark.slow  # test_observed_values_stay_and_the_rest_has_its_conditional holds it of whole sweeps, too
def test_a_long_chain_has_the_enumerated_law(x64):
    """Even with three candidates and two samples of p~ for each: the kernel is exact, not only its limit."""
    model, params = machine(seed=3)
    star = np.exp(Enumerated(params).log_star)
    x, one, two, _ = run(model, params, gibbs.Gibbs(candidates=3, inner=2))
    assert total_variation(x, star.sum((1, 2))) < 0.02
    assert total_variation(one * 4 + two, star.sum(0).ravel()) < 0.02


@pytest.mark.slow  # of x alone, test_moves_of_x_reach_its_enumerated_conditional_from_elsewhere holds it too
def test_without_qx_the_law_is_another_one(x64):
    model, params = machine(seed=3)
    exact = Enumerated(params)
    star = np.exp(exact.log_star).sum((1, 2))
    half = np.exp(0.5 * (exact.log_p + exact.log_q)).sum((1, 2))
    x, *_ = run(model, params, gibbs.Gibbs(candidates=3, x_step="drop_qx"))
    assert total_variation(x, half / half.sum()) < 0.02
    assert total_variation(x, star) > 0.05


def test_observed_values_stay_and_the_rest_has_its_conditional(x64, optimised):
    model, params = machine(seed=3)
    star = np.exp(Enumerated(params).log_star).sum((1, 2)).reshape(2, 2, 2, 2)
    x = jnp.broadcast_to(jnp.asarray([1.0, 0, 0, 0]), (CHAINS, 4))
    observed = jnp.broadcast_to(jnp.asarray([True, False, True, False]), (CHAINS, 4))
    found, _, _, averages = run(model, params, gibbs.Gibbs(candidates=4, inner=2), x, observed)
    wanted = np.zeros((2, 2, 2, 2))
    wanted[1, :, 0, :] = star[1, :, 0, :] / star[1, :, 0, :].sum()
    assert total_variation(found, wanted.ravel()) < 0.02
    # What imputation fills in is E*[x | observed], which the mean of p(x | h_1) is not.
    np.testing.assert_allclose(averages, [1, wanted[:, 1].sum(), 0, wanted[..., 1].sum()], atol=0.01)


def test_chains_of_ten_layers_and_more_meet_them_in_their_order():
    """Names of layers come out of a compiled loop in the order of the alphabet, where layer_10 is before layer_2."""
    sizes = tuple(range(13, 2, -1))
    model, params = machine(0, 0.5, layers=sizes)

    def followed(key):
        latents, x = model.sample_joint(params, key, 3)
        state = gibbs.start(model, params, key, x.value, latents, gibbs.Gibbs())
        return gibbs.chain(model, params, key, state, 2, gibbs.Gibbs())[0]

    shapes = jax.eval_shape(followed, jax.random.key(0)).latents
    assert {node: values.shape for node, values in shapes.items()} == {
        f"layer_{level}": (3, size) for level, size in enumerate(sizes, 1)
    }


def test_imputation_by_gibbs_keeps_what_is_observed(x64):
    model, params = machine(seed=3)
    x = jnp.asarray(Enumerated(params).x)
    missing = jnp.broadcast_to(jnp.asarray([False, True, True, False]), x.shape)
    found = jax.jit(lambda x: impute(model, params, jax.random.key(0), x, missing, 3, 0, "gibbs"))(x)
    kept = np.broadcast_to(~missing, found.draws.shape)
    np.testing.assert_array_equal(np.asarray(found.draws)[kept], np.broadcast_to(x, found.draws.shape)[kept])
    assert found.means.shape == (3, 16, 4)


def test_resampling_reaches_p_star(x64):
    model, params = machine(seed=3)
    star = np.exp(Enumerated(params).log_star).sum((1, 2))
    draws, pool, inner = (10_000, 100, 20) if NIGHTLY else (8_000, 50, 6)
    # A hundred at a time, of each the same number.
    program = jax.jit(jax.vmap(lambda k: resampled(model, params, k, draws // 100, pool, inner, jnp.float64)))
    found = program(jax.random.split(jax.random.key(0), 100))
    drawn = np.asarray(found.x.value)
    # Of exact weights p* / p the mean square is a sum over states; estimated ones vary more.
    joint = Enumerated(params)
    least = np.exp(2 * joint.log_star - joint.log_p).sum()
    assert 2 < np.mean(found.effective) < 1.2 * pool / least
    assert total_variation(number(drawn.reshape(draws, 4)), star) < (0.03 if NIGHTLY else 0.04)
    plain = model.sample_joint(params, jax.random.key(1), draws, jnp.float64)[1].value
    assert total_variation(number(np.asarray(plain)), star) > 0.1


def test_what_cannot_be_clamped_is_refused(x64):
    model, _ = machine(data_units="nade")
    with pytest.raises(UserError, match="data_units=bernoulli"):
        gibbs.check(model, gibbs.Gibbs(), "task.method=gibbs", clamped=True)
    with pytest.raises(UserError, match="at least two"):
        gibbs.check(model, gibbs.Gibbs(candidates=1), "task.method=gibbs")
