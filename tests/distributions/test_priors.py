"""The contract of priors: samples and densities agree, densities integrate to one, flows equal jacfwd, and learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from support.models import dlgm, summary, view

from sbvi.core import UserError
from sbvi.distributions.diagonal import DiagonalGaussian
from sbvi.distributions.priors import PRIORS
from sbvi.distributions.priors.flow import Flow
from sbvi.objectives import FreeEnergy, ImportanceWeighted

SIZES = {"layer_1": 3, "layer_2": 2}


def moved(tree, scale=0.4):
    """Parameters away from where they start, in float64."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda a: jnp.asarray(np.asarray(a, np.float64) + scale * rng.normal(size=a.shape)), tree)


def built(name, sizes=SIZES, **options):
    small = {"couplings": 3, "hidden": 3} if name == "flow" else {}
    prior = PRIORS[name](**small | options).build(sizes)
    return prior, moved(jax.jit(prior.init)(jax.random.key(0)))


@pytest.mark.parametrize("name", PRIORS)
def test_the_density_integrates_to_one_and_is_that_of_the_samples(name, x64):
    """In one and in two dimensions, on a grid; samples by their histogram's mass."""
    prior, params = built(name, {"one": 1, "two": 2})
    axis = np.linspace(-16, 16, 1601)
    plane = np.stack(np.meshgrid(axis[::4], axis[::4]), -1)

    @jax.jit
    def program(params, key):
        points = {"one": jnp.asarray(axis[:, None]), "two": jnp.asarray(plane)}
        return prior.log_prob(params, points), prior.sample(params, key, 20_000, jnp.float64)

    log_prob, drawn = program(params, jax.random.key(1))
    density = np.exp(log_prob["one"])
    assert np.trapezoid(density, axis) == pytest.approx(1, abs=1e-6)
    both = np.exp(log_prob["two"])
    assert both.shape == plane.shape[:2]
    assert both.sum() * (axis[4] - axis[0]) ** 2 == pytest.approx(1, abs=1e-4)
    assert {node: z.shape for node, z in drawn.items()} == {"one": (20_000, 1), "two": (20_000, 2)}
    cumulative = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(axis))])
    below = np.interp(np.asarray(drawn["one"])[:, 0], axis, cumulative)
    assert scipy.stats.kstest(below, "uniform").pvalue > 1e-4
    for power in (1, 2):
        exact = (both[..., None] * plane**power).sum((0, 1)) * (axis[4] - axis[0]) ** 2
        found = np.asarray(drawn["two"]) ** power
        assert (np.abs(found.mean(0) - exact) < 5 * found.std(0) / np.sqrt(20_000)).all()


@pytest.mark.parametrize("name", PRIORS)
def test_the_kl_is_that_of_samples(name, x64):
    prior, params = built(name)
    q = {n: DiagonalGaussian(jnp.full((4, k), 0.3), jnp.full((4, k), -0.7)) for n, k in SIZES.items()}
    closed = jax.jit(prior.kl)(params, q)
    assert (closed is not None) == PRIORS[name].analytic_kl
    if closed is None:
        return
    for node, k in SIZES.items():
        exact = 0.5 * k * (np.exp(-1.4) + 0.09 - 1 + 1.4)
        np.testing.assert_allclose(closed[node], exact, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("couplings", [1, 2, 3])
def test_a_flow_s_log_determinant_is_jacfwd_s_both_ways(size, couplings, x64):
    prior = Flow(couplings=couplings, hidden=4).build({"z": size})
    weights = moved(jax.jit(prior.init)(jax.random.key(0)))["z"]
    points = jnp.asarray(np.random.default_rng(1).normal(size=(6, size)))

    @jax.jit
    def program(weights, points):
        found = []
        for there, back in ((prior.transform, prior.inverse), (prior.inverse, prior.transform)):
            value, log_det = there(weights, points)
            jacobians = jax.vmap(jax.jacfwd(lambda e, f=there: f(weights, e)[0]))(points)
            found.append((log_det, jacobians, *back(weights, value)))
        return found

    for log_det, jacobians, restored, back_log_det in program(weights, points):
        np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobians)[1], atol=1e-10)
        np.testing.assert_allclose(restored, points, atol=1e-10)
        np.testing.assert_allclose(back_log_det, -np.asarray(log_det), atol=1e-10)


@pytest.mark.parametrize("couplings", [1, 4])
def test_a_flow_of_zeros_is_the_standard_prior_to_the_last_digit(couplings):
    standard, flow = PRIORS["standard"]().build(SIZES), Flow(couplings=couplings).build(SIZES)
    shapes = jax.eval_shape(flow.init, jax.random.key(0))
    params = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)

    def said(prior, params):
        drawn = prior.sample(params, jax.random.key(3), 50)
        return drawn, prior.log_prob(params, drawn), prior.plane(params, "layer_2", 5)

    found, same = jax.jit(lambda params: said(flow, params))(params), jax.jit(lambda: said(standard, ()))()
    jax.tree.map(np.testing.assert_array_equal, found, same)


def test_mixtures_are_scipy_s(x64):
    prior, params = built("mixture", components=3)
    own = {key: np.asarray(value) for key, value in params["layer_1"].items()}
    z = np.random.default_rng(2).normal(size=(4, 5, 3))
    scale = np.exp(15 * np.tanh(own["log_scale"] / 15))
    each = scipy.stats.norm.logpdf(z[..., None, :], own["mean"], scale).sum(-1)
    weights = np.exp(own["weights"]) / np.exp(own["weights"]).sum()
    exact = np.log(np.exp(each) @ weights)
    found = jax.jit(prior.log_prob)(params, {"layer_1": jnp.asarray(z)})
    np.testing.assert_allclose(found["layer_1"], exact, rtol=1e-10)


@pytest.mark.parametrize("name", [name for name, entry in PRIORS.items() if not entry.analytic_kl])
def test_a_model_learns_its_prior(name):
    """The bound's gradient reaches the prior's parameters; the joint and importance weights ask the prior."""
    model = dlgm((5,), latents=(2,), hidden=(3,), recognition_hidden=(3,), prior=PRIORS[name]())
    params = model.init(0, summary(np.full(5, 0.4), np.ones(5)))
    x = jnp.ones((6, 5))

    @jax.jit
    def program(params):
        def loss(p, objective):
            return objective(view(model, p, jax.random.key(0), x), {"kl_weight": 0.7})[0]

        objectives = (FreeEnergy(), FreeEnergy(kl="sampled"), ImportanceWeighted())
        rollout = model.rollout(params, jax.random.key(0), x, 2)
        joint = model.log_joint(params, rollout.latents, x)
        both = model.sample_joint(params, jax.random.key(1), 7)
        alone = model.node_prior().sample(params.prior, jax.random.split(jax.random.key(1))[0], 7)
        return [jax.grad(loss)(params, each).prior for each in objectives], rollout, joint, both, alone

    grads, rollout, joint, (latents, drawn), alone = program(params)
    for grad in grads:
        sizes = [float(np.abs(leaf).max()) for leaf in jax.tree.leaves(grad)]
        assert max(sizes) > 1e-3
        assert np.isfinite(sizes).all()
    assert rollout.kl is None
    np.testing.assert_allclose(joint, rollout.log_likelihood + sum(rollout.log_prior.values()), rtol=1e-5)
    assert drawn.value.shape == (7, 5)
    np.testing.assert_array_equal(latents["layer_1"], alone["layer_1"])
    with pytest.raises(UserError, match=r"objective\.rule=score_function needs a KL in closed form"):
        FreeEnergy(rule="score_function").check(model.spec)
