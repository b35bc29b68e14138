"""Fixed points against closed forms, a convex solver and importance sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special, stats

from sbvi.inference.ml_vamp import solve
from sbvi.inference.ml_vamp.messages import Message
from sbvi.inference.ml_vamp.monitors import free_energy
from sbvi.inference.ml_vamp.network import from_layers
from sbvi.inference.ml_vamp.passing import GUARDS, Limits, _extrinsic, _gap, init, step
from sbvi.inference.ml_vamp.problem import BinaryOutput, GaussianOutput, Problem, sizes
from sbvi.inference.ml_vamp.random_networks import random_network
from sbvi.inference.ml_vamp.solve import Settings, infer, run

EXACT = Settings(damping=((0.8, 400),), tolerance=1e-22)


def linear_problem(shapes=((6, 4), (8, 6)), noise=0.3, out=0.2, scale=1.0):
    generator = np.random.default_rng(0)
    layers = [
        ("linear", scale * generator.normal(size=s) / np.sqrt(s[1]), generator.normal(size=s[0]), tau)
        for s, tau in zip(shapes, (noise, 0.0), strict=True)
    ]
    y = generator.normal(size=(3, shapes[-1][0])) * 2
    return Problem(from_layers(layers), GaussianOutput(out), y)


def dense_posterior(problem):
    """Mean and covariance of z, and log p(y), of two linear layers."""
    first, second = problem.network.layers
    tau, seen = problem.output.noise, ~np.isnan(problem.y[0])
    w2, b2 = second.weight[seen], second.bias[seen]
    weight, bias = w2 @ first.weight, w2 @ first.bias + b2
    out = weight @ weight.T + first.noise * w2 @ w2.T + tau * np.eye(len(bias))
    gain = np.linalg.solve(out, weight).T
    mean = (problem.y[:, seen] - bias) @ gain.T
    return (
        mean,
        np.eye(weight.shape[1]) - gain @ weight,
        stats.multivariate_normal(bias, out).logpdf(problem.y[:, seen]),
    )


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("mode", ["mmse", "map"])
def test_linear_networks_have_the_exact_mean(noise, mode):
    problem = linear_problem(noise=noise)
    found = infer(problem, Settings(mode=mode, damping=((0.8, 400),), tolerance=1e-24))
    mean, _, _ = dense_posterior(problem)
    np.testing.assert_allclose(found.means[0], mean, atol=1e-9)
    if mode == "map" and not noise:  # the energy is that of the mode
        first, second = problem.network.layers
        x = (mean @ first.weight.T + first.bias) @ second.weight.T + second.bias
        logs = stats.norm.logpdf(mean).sum(1) + stats.norm.logpdf(problem.y, x, np.sqrt(problem.output.noise)).sum(1)
        np.testing.assert_allclose(found.free_energy, -logs, rtol=1e-8)


def test_one_layer_has_the_exact_variance_and_evidence():
    generator = np.random.default_rng(1)
    weight, bias = generator.normal(size=(5, 7)), generator.normal(size=5)
    y = generator.normal(size=(2, 5))
    found = infer(Problem(from_layers([("linear", weight, bias)]), GaussianOutput(0.4), y), EXACT)
    out = weight @ weight.T + 0.4 * np.eye(5)
    covariance = np.eye(7) - weight.T @ np.linalg.solve(out, weight)
    np.testing.assert_allclose(found.variances[0], np.trace(covariance) / 7, rtol=1e-10)
    np.testing.assert_allclose(found.latent_variances, np.tile(np.diag(covariance), (2, 1)), rtol=1e-9)
    np.testing.assert_allclose(found.free_energy, -stats.multivariate_normal(bias, out).logpdf(y), rtol=1e-10)
    np.testing.assert_allclose(found.signal_variances[0], np.diag(weight @ covariance @ weight.T), rtol=1e-9)


def test_large_linear_networks_have_the_exact_mean_variance_and_evidence():
    problem = linear_problem(((240, 160), (200, 240)), noise=0.3)
    found = infer(problem, EXACT)
    _, covariance, evidence = dense_posterior(problem)
    np.testing.assert_allclose(found.variances[0], np.trace(covariance) / len(covariance), rtol=0.01)
    np.testing.assert_allclose(found.free_energy, -evidence, rtol=0.01)


def test_a_chain_of_scalars_has_the_exact_free_energy():
    layers = [("linear", np.array([[1.7]]), np.array([0.2]), 0.5), ("linear", np.array([[-0.6]]), np.array([1.0]))]
    y = np.array([[0.3], [-2.0]])
    found = infer(Problem(from_layers(layers), GaussianOutput(0.7), y), EXACT)
    scale = np.sqrt(0.36 * (1.7**2 + 0.5) + 0.7)
    np.testing.assert_allclose(found.free_energy, -stats.norm.logpdf(y[:, 0], -0.6 * 0.2 + 1, scale), rtol=1e-10)


def test_missing_entries_are_the_smaller_problem_for_every_pattern():
    problem = linear_problem()
    y = problem.y.copy()
    y[0, [1, 4]] = np.nan
    y[2, [0, 1, 2, 3, 5]] = np.nan
    y[:, 6] = np.nan  # of no example
    found = infer(Problem(problem.network, problem.output, y), Settings(damping=((0.8, 400),), tolerance=1e-24))
    for row in range(3):
        mean, _, _ = dense_posterior(Problem(problem.network, problem.output, y[row : row + 1]))
        np.testing.assert_allclose(found.means[0][row], mean[0], atol=1e-9)


# That each estimator of tanh is right, test_estimators.py knows by quadrature.
@pytest.mark.parametrize("unit", ["relu", pytest.param("tanh", marks=pytest.mark.slow)])
def test_both_estimates_agree_at_a_fixed_point(unit, x64):
    network = random_network(3, (8, 30, 40), unit)
    generator = np.random.default_rng(4)
    y = generator.normal(size=(4, 40))
    problem = Problem(network, GaussianOutput(0.3), y)
    factors, evidence = problem.factors(np.ones(40, bool)), problem.evidence(np.arange(4))
    widths = sizes(factors, 8)
    state, limits = init(widths, 4, Limits()), Limits()
    advance = jax.jit(step, static_argnums=(4, 5))
    for _ in range(300):
        state, found = advance(factors, evidence, state, jnp.full((4, 1), 0.8), "mmse", limits)
    for up, down, r, q in zip(*jax.device_get((*found, state.forward, state.backward)), strict=True):
        np.testing.assert_allclose(up.mean, down.mean, atol=1e-5)
        np.testing.assert_allclose(up.variance, down.variance, rtol=1e-4)
        np.testing.assert_allclose(1 / up.variance, 1 / r.variance + 1 / q.variance, rtol=1e-4)
    assert float(jnp.max(state.gap)) < 1e-8
    # Stationary: the free energy hardly moves when a fixed point's messages do.
    counts = tuple(float(n) for n in widths)
    energy = jax.jit(free_energy, static_argnums=(3, 4))
    at = np.asarray(energy(factors, evidence, state, "mmse", counts))
    moved = state._replace(forward=tuple(m._replace(mean=np.asarray(m.mean) + 1e-3) for m in state.forward))
    assert np.abs(np.asarray(energy(factors, evidence, moved, "mmse", counts)) - at).max() < 1e-2


def test_the_gap_is_the_greater_one_of_means_and_of_variances():
    down = Message(np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([[0.5], [2.0]]))
    up = Message(down.mean + np.array([[0.0, 0.1], [2.0, 0.0]]), np.array([[1.0], [2.2]]))
    found = np.asarray(jax.jit(_gap)(up, down))
    np.testing.assert_allclose(found, [np.log(2) ** 2, 4 / (9 + 2 * 2.0)], rtol=1e-5)


def test_a_message_is_the_estimate_less_what_it_was_told_mixed_with_the_last_one(x64):
    """Natural parameters of (B, 1) numbers: with nothing in the way, with a share below and above its limits, too
    sharp, and too vague whatever the estimate says, whose own mean then stands."""
    limits = Limits(alpha_min=0.01, alpha_max=0.9, variance_min=0.05, variance_max=50.0)
    estimate, told = np.array([0.5, 0.001, 2.4, 0.03, 30.0, 19.8]), np.array([2.0, 1.0, 2.0, 2.0, 20.0, 20.0])
    share, old = np.array([0.3, 0.5, 0.6, 1.0, 1.0, 1.0]), np.array([4.0, 3.0, 2.0, 1.0, 1.0, 1.0])
    rng = np.random.default_rng(0)
    means = rng.normal(size=(3, 6)) * 2
    given = [Message(m[:, None], v[:, None]) for m, v in zip(means, (estimate, told, old), strict=True)]
    found, acted = jax.jit(_extrinsic, static_argnums=4)(*given, share[:, None], limits)
    alpha = np.clip(estimate / told, 0.01, 0.9)
    precision = share * (1 - alpha) / (alpha * told) + (1 - share) / old
    pull = share * (means[0] / (alpha * told) - means[1] / told) + (1 - share) * means[2] / old
    mean, variance = pull / precision, np.maximum(1 / precision, 0.05)
    mean[4:], variance[4:] = means[0, 4:], 50
    np.testing.assert_allclose(found.mean[:, 0], mean, rtol=1e-12)
    np.testing.assert_allclose(found.variance[:, 0], variance, rtol=1e-12)
    which = [[], ["alpha_min", "variance_min"], ["alpha_max"], ["variance_min"], ["negative_precision", "alpha_max"]]
    which.append(["variance_max", "alpha_max"])
    assert [[name for name, act in zip(GUARDS, row, strict=True) if act] for row in acted] == which


def test_map_is_the_solver_s_where_the_problem_is_convex():
    generator = np.random.default_rng(6)
    weight, bias = generator.normal(size=(12, 5)), generator.normal(size=12)
    y = (generator.random((2, 12)) < 0.5).astype(float)
    network = from_layers([("linear", weight, bias)])
    for output, logs in (
        (BinaryOutput("logistic"), lambda x: -np.logaddexp(0, -x)),
        (BinaryOutput("probit", 0.6), lambda x: special.log_ndtr(x / np.sqrt(0.6))),
    ):
        found = infer(Problem(network, output, y), Settings(mode="map", damping=((0.8, 300),), tolerance=1e-20))
        for row in range(2):
            side = 2 * y[row] - 1

            def cost(z, side=side, logs=logs):
                return 0.5 * z @ z - logs(side * (weight @ z + bias)).sum()

            best = optimize.minimize(cost, np.zeros(5), method="BFGS", options={"gtol": 1e-9})
            np.testing.assert_allclose(found.means[0][row], best.x, atol=1e-6)
            assert found.free_energy[row] == pytest.approx(best.fun + 2.5 * np.log(2 * np.pi), rel=1e-7)


def test_four_latents_against_importance_sampling():
    network = random_network(1, (4, 60, 80))
    generator = np.random.default_rng(2)
    with jax.enable_x64(True):
        x = np.asarray(network.activations(jnp.asarray(generator.standard_normal((1, 4))))[-1])
        y = (x + generator.standard_normal(x.shape) > 0).astype(float)
        draws = generator.standard_normal((100_000, 4))
        outputs = np.asarray(network.activations(jnp.asarray(draws))[-1])
    logs = special.log_ndtr((2 * y - 1) * outputs).sum(1)
    weights = np.exp(logs - special.logsumexp(logs))
    mean = weights @ draws
    found = infer(Problem(network, BinaryOutput("probit", 1.0), y), Settings(tolerance=1e-9))
    assert found.converged.all()
    assert found.variances[0][0, 0] == pytest.approx(float(weights @ ((draws - mean) ** 2).mean(1)), rel=0.15)
    assert np.mean((found.means[0][0] - mean) ** 2) < 0.02
    assert found.free_energy[0] == pytest.approx(-(special.logsumexp(logs) - np.log(len(draws))), abs=0.5)


def test_what_does_not_converge_says_so_and_is_finite():
    problem = linear_problem(scale=3.0)
    found = infer(problem, Settings(damping=((1.0, 1), (0.5, 2)), tolerance=1e-12))
    assert not found.converged.any()
    assert np.isfinite(found.means[0]).all()
    assert set(found.clips) == set(GUARDS)
    later = infer(problem, Settings(damping=((1.0, 1), (0.8, 400)), tolerance=1e-12))
    assert later.converged.all()
    assert (later.damping == 0.8).all()


def test_examples_that_leave_early_change_no_others():
    """Forty at once, of which the slow ones go on by themselves, against the slowest alone."""
    network = random_network(3, (4, 12, 16))
    generator = np.random.default_rng(5)
    y = np.asarray(network.activations(generator.standard_normal((40, 4)))[-1], np.float64)
    y += 0.3 * generator.standard_normal(y.shape)
    settings = Settings(damping=((0.7, 60), (0.4, 300)), tolerance=1e-12)
    found = infer(Problem(network, GaussianOutput(0.09), y), settings)
    assert len(np.unique(found.iterations)) > 5
    slow = np.argsort(found.iterations + 1000 * (found.damping < 0.7))[-6:]
    alone = infer(Problem(network, GaussianOutput(0.09), y[slow]), settings)
    for name in ("latent_variances", "signal", "free_energy", "damping", "iterations", "converged"):
        np.testing.assert_allclose(getattr(alone, name), getattr(found, name)[slow], rtol=1e-6, atol=1e-8, err_msg=name)


def test_an_attempt_without_progress_ends(monkeypatch):
    """No gap is below 1e-300, and an attempt of a million iterations is left soon after its last step."""
    ended = []

    def watched(*arguments):
        state, best = run(*arguments)
        ended.append(int(state.iteration))
        return state, best

    monkeypatch.setattr(solve, "run", watched)
    network = random_network(3, (4, 12, 16))
    generator = np.random.default_rng(5)
    y = np.asarray(network.activations(generator.standard_normal((3, 4)))[-1], np.float64)
    problem = Problem(network, GaussianOutput(0.09), y + 0.3 * generator.standard_normal(y.shape))
    settled = Settings(damping=((0.7, 1_000_000), (0.5, 1_000_000)), tolerance=1e-300)
    found = infer(problem, settled)
    assert not found.converged.any()
    assert len(ended) == 2
    assert max(ended) < 5000
    exact = infer(problem, Settings(damping=((0.7, 1000),), tolerance=1e-16))
    assert exact.converged.all()
    np.testing.assert_allclose(found.signal, exact.signal, atol=1e-5)


def test_guards_are_counted():
    problem = linear_problem()
    tight = Limits(variance_min=1e-12, variance_max=0.5)
    found = infer(problem, Settings(damping=((1.0, 5),), tolerance=1e-30, limits=tight))
    assert (found.clips["variance_max"] > 0).all()
    free = infer(problem, EXACT)
    assert all((free.clips[name] == 0).all() for name in GUARDS)


def test_the_process_s_default_stays_float32():
    assert not jax.config.jax_enable_x64
    found = infer(Problem(from_layers([("linear", np.eye(2), np.zeros(2))]), GaussianOutput(0.5), np.ones((1, 2))))
    assert found.means[0].dtype == np.float64
    assert not jax.config.jax_enable_x64
    assert jnp.ones(2).dtype == jnp.float32
    assert jax.jit(lambda: jnp.zeros(2) + 1.0)().dtype == jnp.float32
