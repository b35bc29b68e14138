"""The contract of posteriors and priors in a model: densities are those of the samples, and weights give log p(x).

The oracle is quadrature on the grid of a model with two latents, at one node or at two, in float64.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from support.models import chosen, dlgm, summary, view
from support.two_latents import AREA, LAYERED, ONE, TWO, D, X, built, grid, moved, own_slopes, sized

from sbvi.core import UserError
from sbvi.distributions.priors import PRIORS
from sbvi.gradients import Paths
from sbvi.models import DLGM, require
from sbvi.models.capabilities import GaussianRecognition
from sbvi.objectives import FreeEnergy, ImportanceWeighted
from sbvi.posteriors import GAUSSIAN, POSTERIORS
from sbvi.posteriors.inverse_autoregressive import masks

SAMPLES = 15_000
PAIRS = [(q, prior) for q in POSTERIORS for prior in PRIORS if q in GAUSSIAN or not PRIORS[prior].gaussian_posterior]
ALL = [(*pair, TWO if pair[0] in LAYERED else ONE) for pair in PAIRS]
ALL += [(*pair, TWO) for pair in PAIRS if pair[0] in ("diagonal", "coupling")]
#: Those that always run: every prior, and every posterior but Gaussians whose own tests know their densities.
QUICK = {(q, "standard", ONE) for q in ("planar", "inverse_autoregressive")}
QUICK |= {(q, "standard", TWO) for q in LAYERED} | {("diagonal", "vamp", ONE)}
QUICK |= {("coupling", "flow", ONE), ("diagonal", "mixture", ONE)}
ROWS = [
    pytest.param(*row, id="-".join((*row[:2], f"{len(row[2])}")), marks=() if row in QUICK else pytest.mark.slow)
    for row in ALL
]


def test_every_prior_and_every_kind_of_posterior_always_runs():
    assert {prior for _, prior, _ in QUICK} == set(PRIORS)
    assert {posterior for posterior, _, _ in QUICK} >= set(POSTERIORS) - set(GAUSSIAN) | {"joint_rank_one"}
    assert set(ALL) >= QUICK


@pytest.mark.parametrize(("posterior", "prior", "latents"), ROWS)
def test_importance_sampling_is_quadrature_s_and_densities_are_the_samples(posterior, prior, latents, x64):
    model, params = built(posterior, prior, latents)

    @jax.jit
    def everything(params):
        plane, q = grid(model), model.posterior(params, jnp.asarray(X))
        found = model.rollout(params, jax.random.key(1), jnp.asarray(X), SAMPLES)
        again = sum(q.log_prob(found.latents).values())
        whole = sum(q.log_prob(plane).values())
        row = q.with_rows(jax.tree.map(lambda v: v[1:], q.rows()))
        alone = sum(row.log_prob({n: z[:5, 1:] for n, z in found.latents.items()}).values())
        prior = sum(model.node_prior().log_prob(model.prior_params(params), plane).values())
        drawn = model.sample_joint(params, jax.random.key(2), SAMPLES, jnp.float64)[0]
        moments = model.encode(params, jnp.asarray(X))
        slopes = own_slopes(model, params, jnp.asarray(X))
        return found, again, whole, alone, prior, model.log_joint(params, plane, jnp.asarray(X)), drawn, moments, slopes

    found, again, whole, alone, prior_density, joint, drawn, moments, slopes = everything(params)
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(slopes))
    own = sum(found.log_posterior.values())
    np.testing.assert_allclose(again, own, atol=1e-8)
    np.testing.assert_allclose(alone, own[:5, 1:], atol=1e-8)
    np.testing.assert_allclose(np.exp(whole).sum(0) * AREA, 1, atol=2e-4)
    np.testing.assert_allclose(np.exp(prior_density).sum(0) * AREA, 1, atol=2e-4)
    assert (found.kl is not None) == (posterior in GAUSSIAN and prior == "standard")
    if found.kl is not None:
        apart = (np.exp(whole) * (whole - prior_density)).sum(0) * AREA
        np.testing.assert_allclose(sum(found.kl.values()), apart, atol=2e-3)
    plane = np.concatenate([np.asarray(z) for z in grid(model).values()], -1)
    for density, samples in ((whole, found.latents), (prior_density, {n: z[:, None] for n, z in drawn.items()})):
        values = np.concatenate([np.asarray(z) for z in samples.values()], -1)
        exact = (np.exp(density)[..., None] * plane).sum(0) * AREA
        assert (np.abs(values.mean(0) - exact) < 5 * values.std(0) / np.sqrt(SAMPLES)).all()
    mean = np.concatenate([np.asarray(m.mean) for m in moments.values()], -1)
    exact = (np.exp(whole)[..., None] * plane).sum(0) * AREA
    spread = np.sqrt((np.exp(whole)[..., None] * plane**2).sum(0) * AREA - exact**2)
    assert (np.abs(mean - exact) < 5 * spread / 8).all()  # of 64 samples, where there is no closed form

    log_weights = np.asarray(found.log_weights())
    weights = np.exp(log_weights)
    assert (weights.sum(0) ** 2 / (weights**2).sum(0)).min() > 200  # effective samples: else nothing is compared
    evidence = np.exp(joint).sum(0) * AREA
    assert (np.abs(weights.mean(0) - evidence) < 5 * weights.std(0) / np.sqrt(SAMPLES)).all()


def test_an_autoregressive_step_of_many_latents_is_inverted_without_overflow(x64):
    """Strongly bent: values whose turn has not come yet would leave the range of numbers."""
    kind = POSTERIORS["inverse_autoregressive"](steps=4, hidden=256, context=4)
    weights = kind.init(jax.random.key(0), 100)
    leaves, tree = jax.tree.flatten(weights)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    bent = [v + 0.2 * jax.random.normal(k, v.shape) for v, k in zip(leaves, keys, strict=True)]
    given, noise = jnp.ones((1, 4)), jax.random.normal(jax.random.key(2), (3, 1, 100))

    @jax.jit
    def there_and_back(weights):
        value, log_det = kind.forward(weights, given, noise)
        again, back = kind.backward(weights, given, value)
        return log_det, again, back

    log_det, again, back = there_and_back(jax.tree.unflatten(tree, bent))
    assert np.isfinite(again).all()
    np.testing.assert_allclose(back, -log_det, rtol=0.01)


FLOWS = ["planar", "inverse_autoregressive", "coupling"]


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_s_log_determinant_is_jacfwd_s_both_ways(name, size, x64):
    """Each way by itself: the inverse's is found at points that no forward pass has made."""
    kind = sized(POSTERIORS, name)
    rng = np.random.default_rng(1)
    weights = moved(kind.init(jax.random.key(0), size))
    given = jnp.asarray(rng.normal(size=(1, kind.outputs(size))))
    points = jnp.asarray(rng.normal(size=(6, 1, size)))

    @jax.jit
    def both(points):
        found = []
        for way, other in ((kind.forward, kind.backward), (kind.backward, kind.forward)):
            value, log_det = way(weights, given, points)
            matrices = jax.vmap(jax.jacfwd(lambda p, f=way: f(weights, given, p[None, None])[0][0, 0]))(points[:, 0])
            found.append((log_det[:, 0], jnp.linalg.slogdet(matrices)[1], *other(weights, given, value)))
        return found

    for log_det, exact, back, opposite in both(points):
        np.testing.assert_allclose(log_det, exact, atol=1e-9)
        np.testing.assert_allclose(back, points, atol=1e-9)
        np.testing.assert_allclose(opposite[:, 0], -log_det, atol=1e-9)


def test_planar_flows_start_as_the_identity_whatever_their_directions(x64):
    kind = sized(POSTERIORS, "planar")
    given = np.random.default_rng(0).normal(size=(1, kind.flows, 7))
    given[..., 3:6] = 0  # u, between w and b
    points = jnp.asarray(np.random.default_rng(1).normal(size=(2, 1, 3)))
    found, log_det = kind.forward((), jnp.asarray(given.reshape(1, -1)), points)
    np.testing.assert_allclose(found, points, atol=1e-12)
    np.testing.assert_allclose(log_det, 0, atol=1e-12)


def test_an_autoregressive_step_reads_all_values_before_its_own():
    inner, outer = masks(4, 9)
    np.testing.assert_array_equal(inner @ outer > 0, np.triu(np.ones((4, 4), bool), 1))


def test_flows_on_nodes_of_one_size_start_apart_and_leave_a_detached_density_to_be_asked_for():
    model = dlgm((D,), posterior=sized(POSTERIORS, "coupling"), latents=(2, 2), hidden=(), recognition_hidden=())
    params = model.init(0, summary(np.full(D, 0.5), np.ones(D)))
    first, second = (params.recognition["flow"][node]["second"] for node in ("layer_1", "layer_2"))
    assert (first != second).all()

    def drawn(**paths):
        q = model.posterior(params, jnp.asarray(X, jnp.float32))
        return q.sample(jax.random.key(0), 2, lambda z: jnp.zeros((2, 2)), Paths(**paths)).log_posterior

    assert jax.eval_shape(drawn) is not None
    assert jax.eval_shape(lambda: drawn(detach_posterior=True)) is None


@pytest.mark.parametrize(
    ("combine", "prior"), [("precision", "standard"), ("residual", "standard"), ("precision", "mixture")]
)
def test_a_ladder_whose_message_is_empty_is_standard_normal(combine, prior, x64):
    """Which is the prior, unless that is learned."""
    model, params = built("top_down", prior, latents=(2, 1), combine=combine)
    nothing = -1e6 if combine == "precision" else 0.0
    heads = params.recognition["network"]["heads"][0]
    heads["kernel"].set_value(jnp.zeros_like(heads["kernel"].get_value()))
    # The top layer's head: its mean and its strength; and below, the last layer of its network.
    heads["bias"].set_value(heads["bias"].get_value().at[:2].set(jnp.asarray([0.0 if nothing == 0 else 7.0, nothing])))
    own = params.recognition["chain"]["layer_1"]
    own["last"] = jnp.zeros_like(own["last"])
    own["last_bias"] = jnp.asarray([0.0 if nothing == 0 else 7.0] * 2 + [nothing] * 2)
    found = jax.jit(model.rollout, static_argnums=3)(params, jax.random.key(0), jnp.asarray(X), 50)
    for node in ("layer_1", "layer_2"):
        expected = stats.norm.logpdf(found.latents[node]).sum(-1)
        np.testing.assert_allclose(found.log_posterior[node], expected, atol=1e-4)
        away = np.abs(np.asarray(found.log_prior[node]) - expected)
        assert away.max() < 1e-4 if prior == "standard" else away.mean() > 0.1


def test_a_ladder_s_layer_depends_on_all_above_and_a_chain_s_on_the_one_below(x64):
    expected = {
        "top_down": {"layer_1": {"layer_2", "layer_3"}, "layer_2": {"layer_3"}, "layer_3": set()},
        "hierarchical": {"layer_1": set(), "layer_2": {"layer_1"}, "layer_3": {"layer_2"}},
    }
    for name, wanted in expected.items():
        model, params = built(name, latents=(2, 1, 2))
        z = {node: jnp.full((1, 2, size), 0.3) for node, size in model.latent_sizes().items()}
        log_prob = jax.jit(lambda z, m=model, p=params: m.posterior(p, jnp.asarray(X)).log_prob(z))
        base = log_prob(z)
        for moved_node in z:
            changed = log_prob(z | {moved_node: z[moved_node] + 0.5})
            for node, others in wanted.items():
                moves = bool(np.abs(np.asarray(changed[node] - base[node])).max() > 1e-9)
                assert moves == (moved_node in others or moved_node == node), (name, node, moved_node)


@pytest.mark.parametrize("posterior", ["planar", "top_down"])
def test_the_doubly_reparameterised_gradient_is_the_bound_s(posterior, x64):
    """In the mean over many examples that are alike: through a flow's inverse, and through layers drawn in a row."""
    model, params = built(posterior, latents=(1, 1) if posterior == "top_down" else (2,))
    x = jnp.asarray(np.repeat(X[:1], 4_000, 0))

    @jax.jit
    def gradients(recognition):
        def loss(recognition, estimator):
            seen = view(model, params._replace(recognition=recognition), jax.random.key(0), x)
            return ImportanceWeighted(num_samples=2, estimator=estimator)(seen, {"kl_weight": 1.0})[0]

        return [jax.grad(loss)(recognition, estimator) for estimator in ("standard", "doubly_reparameterised")]

    plain, other = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(found)]) for found in gradients(params.recognition)
    )
    assert np.abs(plain).max() > 0.01
    assert np.linalg.norm(plain - other) < 0.15 * np.linalg.norm(plain)


def test_the_joint_node_s_latents_are_those_of_its_layers(x64):
    """p(x, z) where a node spans both layers is that of the same weights with a node for each."""
    joint, params = built("joint_rank_one", latents=(2, 1))
    apart, other = built("diagonal", latents=(2, 1))
    same = other._replace(generative=params.generative)
    z = jnp.asarray(np.random.default_rng(0).normal(size=(7, len(X), 3)))
    nodes = {"layer_1": z[..., :2], "layer_2": z[..., 2:]}
    x = jnp.asarray(X)
    found, expected = jax.jit(
        lambda params, same: (joint.log_joint(params, {"joint": z}, x), apart.log_joint(same, nodes, x))
    )(params, same)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_free_bits_are_a_layer_s_own():
    model, params = built("top_down", latents=(2, 1))
    params = jax.tree.map(lambda a: jnp.asarray(np.asarray(a), jnp.float32), params)

    def bound(free):
        def loss(recognition):
            seen = view(model, params._replace(recognition=recognition), jax.random.key(0), jnp.asarray(X, jnp.float32))
            return FreeEnergy(free_bits=free, num_samples=50)(seen, {"kl_weight": 1.0})

        return jax.jit(loss)(params.recognition)

    loss, report = bound(0.0)
    kls = {n: float(np.mean(report[f"kl/{n}"])) for n in ("layer_1", "layer_2")}
    least = min(kls.values())
    freed, _ = bound(least + 0.05)
    more = sum(max(least + 0.05 - kl, 0.0) for kl in kls.values())
    assert float(freed - loss) == pytest.approx(more, abs=1e-4)


def test_what_a_posterior_is_not_is_refused():
    model, _ = built("planar")
    said = r"what model=dlgm has not \(GaussianRecognition: .* models that serve: dlgm with other settings"
    with pytest.raises(UserError, match=said):
        require(model, GaussianRecognition, "task=gradients")
    with pytest.raises(UserError, match=r"allowed: posterior=diagonal, rank_one"):
        DLGM(posterior=chosen(POSTERIORS, "coupling"), prior=chosen(PRIORS, "vamp"))
    with pytest.raises(UserError, match=r"objective\.rule=score_function needs a KL in closed form"):
        FreeEnergy(rule="score_function").check(model.spec)
