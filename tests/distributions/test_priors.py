"""The contract of priors: samples and densities agree, densities integrate to one, flows equal jacfwd, and learn."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from support.models import dlgm, summary, view
from support.paths import ROOT

from sbvi.core import UserError
from sbvi.distributions import couplings
from sbvi.distributions.diagonal import DiagonalGaussian
from sbvi.distributions.diagonal_mixture import log_densities
from sbvi.distributions.priors import PRIORS, Prior, drawn, whole
from sbvi.distributions.priors.flow import Flow
from sbvi.distributions.priors.prior import PARTS, SPEC_PARTS, PriorSpec
from sbvi.distributions.rank_one import RankOneGaussian
from sbvi.objectives import FreeEnergy, ImportanceWeighted

SIZES = {"layer_1": 3, "layer_2": 2}


def moved(tree, scale=0.4):
    """Parameters away from where they start, in float64."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda a: jnp.asarray(np.asarray(a, np.float64) + scale * rng.normal(size=a.shape)), tree)


SMALL = {"flow": {"couplings": 3, "hidden": 3}, "vamp": {"components": 5}}


def says(inputs):
    """A recognition model for priors that ask one: inputs (M, 4) to a Gaussian of each node."""
    found = {}
    for node, size in {**SIZES, "one": 1, "two": 2}.items():
        mean, log_scale = jnp.tanh(inputs[:, :1]) * 2.0, 0.3 * inputs[:, 1:2]
        shift = jnp.arange(size, dtype=inputs.dtype)[None]
        found[node] = DiagonalGaussian(mean - shift, log_scale + 0.1 * shift)
    return found


def built(name, sizes=SIZES, **options):
    """The prior, and its parameters prepared."""
    prior = PRIORS[name](**SMALL.get(name, {}) | options).build(sizes)
    inputs = jnp.asarray(np.random.default_rng(3).normal(size=(prior.inputs, 4)))
    params = moved(jax.jit(prior.init)(jax.random.key(0), inputs))
    return prior, jax.jit(lambda params: prior.prepare(params, says))(params)


def test_the_prior_of_the_page_is_whole_and_serves_a_model(monkeypatch, x64):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(), re.S)
    (block,) = [each for each in blocks if "class Student:" in each]
    page = {"__name__": "page"}
    exec(block, page)
    monkeypatch.setitem(PRIORS, "student", page["Student"])
    model = dlgm((4,), latents=(2, 3), prior=page["Student"](freedom=4.0))
    params = model.init(0, summary(np.full(4, 0.3), np.ones(4)))
    prior = model.node_prior()

    @jax.jit
    def program(params):
        latents, _ = model.sample_joint(params, jax.random.key(0), 50_000, jnp.float64)
        seen = view(model, params, jax.random.key(1), jnp.zeros((3, 4)))
        return latents, prior.log_prob((), latents), FreeEnergy()(seen, {"kl_weight": jnp.ones(())})[0]

    latents, found, bound = program(params)
    assert {node: z.shape[1] for node, z in latents.items()} == dict(model.latent_sizes())
    for node, z in latents.items():
        np.testing.assert_allclose(found[node], scipy.stats.t.logpdf(z, 4.0).sum(-1), rtol=1e-9)
        assert scipy.stats.kstest(np.asarray(z).ravel()[:5000], scipy.stats.t(4.0).cdf).pvalue > 1e-3
    assert np.isfinite(bound)


def test_what_a_prior_lacks_is_named():
    class Half:
        sizes = init = prepare = sample = log_prob = kl = None

    with pytest.raises(UserError, match=r"^The prior Half lacks grids, inputs, plane; a prior has sizes, "):
        whole(Half())
    for protocol, parts in ((Prior, PARTS), (PriorSpec, SPEC_PARTS)):
        named = {*getattr(protocol, "__annotations__", ()), *(n for n in vars(protocol) if not n.startswith("_"))}
        assert set(parts) == named


@pytest.mark.quick
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda z: z, r"at layer_1 has the shape \(2, 3, 4\) for 2 samples of 3 examples; it must be \(2, 3\)"),
        (lambda z: z.sum((1, 2))[:, None], r"at layer_1 has the shape \(2, 1\) for"),
        (lambda z: z.sum(-1, keepdims=True), r"at layer_1 has the shape \(2, 3, 1\) for"),
        (lambda z: z.sum(), r"at layer_1 has the shape \(\) for"),
    ],
)
def test_a_density_that_would_be_spread_over_the_batch_is_refused(wrong, said, monkeypatch):
    """Added to the likelihood's (S, B), most of these would give a bound, of nothing."""
    model = dlgm((5,), latents=(4,), hidden=(), recognition_hidden=())
    true = type(model.node_prior()).log_prob
    monkeypatch.setattr(
        type(model.node_prior()), "log_prob", lambda *given: {n: wrong(given[-1][n]) for n in true(*given)}
    )
    params = jax.eval_shape(lambda: model.init(0, summary(np.full(5, 0.3), np.ones(5))))
    with pytest.raises(UserError, match=rf"^log p of the prior {said}"):
        jax.eval_shape(lambda p: model.rollout(p, jax.random.key(0), jnp.zeros((3, 5)), 2), params)


@pytest.mark.parametrize(
    "wrong", [lambda v: v.T, lambda v: v[:1], lambda v: v[:, :1], lambda v: np.asarray(v).tolist()]
)
def test_a_prior_whose_draws_have_another_shape_is_refused(wrong):
    draws = {"layer_1": np.zeros((4, 2), np.float32), "layer_2": np.zeros((4, 3), np.float32)}
    assert drawn(draws, {"layer_1": 2, "layer_2": 3}, 4) is draws
    with pytest.raises(UserError, match=r"^4 draws of the prior have the shape .* at layer_2; it must be \(4, 3\)\.$"):
        drawn(draws | {"layer_2": wrong(draws["layer_2"])}, {"layer_1": 2, "layer_2": 3}, 4)
    with pytest.raises(UserError, match="at layer_1; it must be"):
        drawn({}, {"layer_1": 2}, 4)


@pytest.mark.parametrize("name", PRIORS)
def test_the_density_integrates_to_one_and_is_that_of_the_samples(name, x64):
    """In one and in two dimensions, on a grid; samples by their histogram's mass, those of one node whatever another's
    are."""
    prior, params = built(name, {"one": 1, "two": 2, "layer_2": 2})
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
    assert {n: z.shape for n, z in drawn.items()} == {"one": (20_000, 1), "two": (20_000, 2), "layer_2": (20_000, 2)}
    together = np.corrcoef(np.concatenate([drawn["two"], drawn["layer_2"]], 1).T)
    assert np.abs(together[:2, 2:]).max() < 5 / np.sqrt(20_000)
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
# Of one layer, which moves a half alone, and of one that moves each half and one again.
@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_a_flow_s_log_determinant_is_jacfwd_s_both_ways(size, count, x64):
    shapes = jax.eval_shape(lambda: couplings.init(jax.random.key(0), size, count, 4))
    weights = moved(jax.tree.map(lambda s: np.zeros(s.shape), shapes), 0.7)
    points = jnp.asarray(np.random.default_rng(1).normal(size=(6, size)))
    ways = (couplings.transform, couplings.inverse)

    @jax.jit
    def program(weights, points):
        found = []
        for there, back in (ways, ways[::-1]):
            value, log_det = there(weights, points)
            jacobians = jax.vmap(jax.jacfwd(lambda e, f=there: f(weights, e)[0]))(points)
            found.append((log_det, jacobians, *back(weights, value)))
        return found

    for log_det, jacobians, restored, back_log_det in program(weights, points):
        np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobians)[1], atol=1e-10)
        np.testing.assert_allclose(restored, points, atol=1e-10)
        np.testing.assert_allclose(back_log_det, -np.asarray(log_det), atol=1e-10)


def test_a_coupling_moves_the_second_half_by_a_bounded_scale(x64):
    """(a, b exp(s) + t) with s = 2 tanh(r / 2), whatever r; of one coupling the order is turned back."""
    shapes = jax.eval_shape(lambda: couplings.init(jax.random.key(0), 3, 1, 4))
    weights = jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes)
    weights["last_bias"] = np.array([[1.0, 60.0, 0.3, -0.2]])
    found, log_det = couplings.transform(weights, jnp.asarray([[0.4, -1.3, 0.7]]))
    s = 2 * np.tanh([0.5, 30.0])
    np.testing.assert_allclose(found, [[0.4, -1.3 * np.exp(s[0]) + 0.3, 0.7 * np.exp(s[1]) - 0.2]], rtol=1e-12)
    np.testing.assert_allclose(log_det, [s.sum()], rtol=1e-12)


def test_nodes_and_couplings_of_one_size_start_apart():
    sizes, key, none = {"layer_1": 40, "layer_2": 40}, jax.random.key(0), jnp.zeros((0, 4))
    flow = PRIORS["flow"](couplings=2, hidden=3).build(sizes)
    mixture = PRIORS["mixture"](components=30, spread=0.2).build(sizes)
    flow, mixture = jax.jit(lambda: [prior.init(key, none) for prior in (flow, mixture)])()
    kernels = [flow[node]["first"][coupling] for node in sizes for coupling in (0, 1)]
    means = np.stack([mixture[node]["mean"] for node in sizes])
    for arrays in (kernels, means):
        correlations = np.corrcoef([np.ravel(a) for a in arrays])
        assert np.abs(correlations - np.eye(len(correlations))).max() < 0.5
    assert means.std() == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize("count", [1, 4])
def test_a_flow_of_zeros_is_the_standard_prior_to_the_last_digit(count):
    standard, flow = PRIORS["standard"]().build(SIZES), Flow(couplings=count).build(SIZES)
    shapes = jax.eval_shape(flow.init, jax.random.key(0), jnp.zeros((0, 4)))
    params = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)

    def said(prior, params):
        # Operation by operation: two compiled programs may add in other orders, and differ in the last bit for that.
        drawn = prior.sample(params, jax.random.key(3), 50)
        return drawn, prior.log_prob(params, drawn), prior.plane(params, "layer_2", 5)

    jax.tree.map(np.testing.assert_array_equal, said(flow, params), said(standard, ()))


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
    # Gaussians that may be correlated go another way.
    vamp, mean = PRIORS["vamp"](components=3).build(SIZES), own["mean"]
    correlated = {"layer_1": RankOneGaussian(mean, -2 * np.log(scale), np.zeros_like(mean))}
    found = jax.jit(vamp.log_prob)(correlated, {"layer_1": jnp.asarray(z)})
    np.testing.assert_allclose(found["layer_1"], np.log(np.exp(each).mean(-1)), rtol=1e-10)


def far_and_narrow(components=40, size=30):
    """Points (50, K) near components whose means are 3 apart and whose scales are near 0.01, all in float32."""
    rng = np.random.default_rng(4)
    mean = rng.normal(size=(components, size)) * 3
    log_scale = np.log(0.01) + 0.1 * rng.normal(size=(components, size))
    near = rng.integers(0, components, 50)
    z = mean[near] + np.exp(log_scale[near]) * rng.normal(size=(50, size))
    return tuple(np.asarray(v, np.float32) for v in (z, mean, log_scale))


def test_far_and_narrow_components_keep_their_digits():
    """A hundred thousand products cancel to some tens of nats in their densities."""
    z, mean, log_scale = far_and_narrow()
    each = scipy.stats.norm.logpdf(z[:, None].astype(float), mean, np.exp(log_scale.astype(float))).sum(-1)
    params = {
        "one": {"weights": np.zeros(len(mean), np.float32), "mean": mean, "log_scale": 15 * np.arctanh(log_scale / 15)}
    }
    exact = scipy.special.logsumexp(each, -1) - np.log(len(mean))
    mixture = PRIORS["mixture"](components=len(mean)).build({"one": z.shape[1]})
    np.testing.assert_allclose(jax.jit(mixture.log_prob)(params, {"one": z})["one"], exact, atol=2e-3)
    vamp = PRIORS["vamp"](components=len(mean)).build({"one": z.shape[1]})
    prepared = {"one": DiagonalGaussian(jnp.asarray(mean), jnp.asarray(log_scale))}
    np.testing.assert_allclose(jax.jit(vamp.log_prob)(prepared, {"one": z})["one"], exact, atol=1e-3)


def test_derivatives_of_mixtures_are_those_of_their_densities(x64):
    rng = np.random.default_rng(5)
    given = [jnp.asarray(rng.normal(size=size)) for size in ((2, 3, 4), (5, 4), (5, 4))]

    def plainly(z, mean, log_scale):
        offset = (z[..., None, :] - mean[None, None]) * jnp.exp(-log_scale)[None, None]
        return -0.5 * jnp.sum(offset**2 + 2 * log_scale[None, None] + np.log(2 * np.pi), -1)

    def slopes(function):
        def mixed(*arguments):
            return jnp.sum(jnp.sin(jax.nn.logsumexp(function(*arguments), -1)))

        return function(*given), jax.grad(mixed, (0, 1, 2))(*given), jax.jacfwd(function)(*given)

    found, expected = jax.jit(lambda: slopes(log_densities))(), jax.jit(lambda: slopes(plainly))()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11), found, expected)


@pytest.mark.parametrize("name", ["mixture", "vamp"])
def test_products_of_a_mixture_are_in_all_digits(name):
    """Its derivatives are differences of large products, whose factors accelerators round to ten bits by default."""
    prior, params = built(name)
    points = {node: jnp.ones((4, size)) for node, size in SIZES.items()}
    text = jax.jit(jax.grad(lambda z: sum(map(jnp.sum, prior.log_prob(params, z).values())))).lower(points).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert len(products) >= 2 * len(SIZES)
    assert all("HIGHEST, HIGHEST" in line for line in products)


@pytest.mark.parametrize("name", [name for name, entry in PRIORS.items() if not entry.analytic_kl])
def test_a_model_learns_its_prior(name):
    """The bound's gradient reaches the prior's parameters; the joint and importance weights ask the prior."""
    prior = PRIORS[name](**SMALL.get(name, {}))
    model = dlgm((5,), latents=(2,), hidden=(3,), recognition_hidden=(3,), prior=prior)
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
        alone = model.node_prior().sample(model.prior_params(params), jax.random.split(jax.random.key(1))[0], 7)
        return [jax.grad(loss)(params, each).prior for each in objectives], rollout, joint, both, alone

    grads, rollout, joint, (latents, drawn), alone = program(params)
    for grad in grads:
        sizes = [float(np.abs(leaf).max()) for leaf in jax.tree.leaves(grad)]
        assert max(sizes) > 1e-4
        assert np.isfinite(sizes).all()
    assert rollout.kl is None
    np.testing.assert_allclose(joint, rollout.log_likelihood + sum(rollout.log_prior.values()), rtol=1e-5)
    assert drawn.value.shape == (7, 5)
    np.testing.assert_array_equal(latents["layer_1"], alone["layer_1"])
    with pytest.raises(UserError, match=r"objective\.rule=score_function needs a KL in closed form"):
        FreeEnergy(rule="score_function").check(model.spec)
    with pytest.raises(UserError, match=r"N\(0, I\), which this prior is not; allowed: prior=standard"):
        model.layers(params)  # what message passing takes, which would draw the top layer's latents from N(0, I)


def test_pseudo_inputs_start_at_examples_and_are_read_within_the_data_s_range():
    """A VampPrior whose pseudo-inputs are examples is the mixture of what q says of them."""
    model = dlgm((5,), latents=(2,), hidden=(3,), recognition_hidden=(3,), prior=PRIORS["vamp"](components=2))
    data = summary(np.full(5, 0.4), np.ones(5))
    rows = np.array([[0, 1, 1, 0, 1], [1, 0, 0, 1, 0]], np.float32)
    params = model.init(0, data._replace(x=rows))
    np.testing.assert_allclose(jax.nn.sigmoid(params.prior), 0.05 + 0.9 * rows, atol=0.02)
    found, expected = jax.jit(
        lambda params: (model.prior_params(params), model.gaussians(params, jax.nn.sigmoid(params.prior)))
    )(params)
    found, expected = found["layer_1"], expected["layer_1"]
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.log_scale, expected.log_scale)
