"""The model's contract: shapes, the generative process, and the noise of the recognition model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from support.models import dlgm, summary
from support.two_latents import sized

from sbvi.core import UserError
from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.models import DLGM
from sbvi.models.dlgm.stack import check_outputs
from sbvi.models.noise import chance, corrupt
from sbvi.models.rollout import Noise
from sbvi.posteriors import GAUSSIAN, POSTERIORS

D = 9


def built(posterior="diagonal", likelihood="bernoulli", **choices):
    model = dlgm((D,), likelihood, posterior, **choices)
    return model, model.init(0, summary(np.full(D, 0.3), np.ones(D)))


SHAPES = [
    {"latents": (4,), "hidden": (5,)},
    {"latents": (4, 3, 2), "hidden": (5, 6)},
    {"latents": (4, 3), "hidden": ((7, 6), (5,)), "noise_matrix": "diagonal", "recognition_shared": False},
    {"latents": (4, 3), "hidden": (), "recognition_hidden": (), "noise_matrix": "identity"},
]


#: Of other posteriors, whose layers each add as much again: two, of more than one latent.
OTHERS = {"latents": (3, 2), "hidden": (5,), "recognition_hidden": (4,)}
COMBINATIONS = [("diagonal", shape) for shape in SHAPES] + [(p, OTHERS) for p in POSTERIORS if p != "diagonal"]


@pytest.mark.parametrize(("posterior", "choices"), COMBINATIONS)
def test_rollout_shapes_and_finite_gradients(posterior, choices):
    model, params = built(sized(POSTERIORS, posterior), **choices)
    if not choices.get("recognition_shared", True):
        assert len(params.recognition["trunks"]) == len(choices["latents"])
    x = jnp.ones((6, D))

    def total(p):
        found = model.rollout(p, jax.random.key(0), x, 2)
        assert found.log_weights().shape == (2, 6)
        assert (found.kl is not None) == (posterior in GAUSSIAN)
        assert set(found.kl or found.log_prior) == set(model.latent_sizes())
        return jnp.sum(found.log_weights()) - sum(jnp.sum(v) for v in (found.kl or {}).values())

    grads = jax.jit(jax.grad(total))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    mean, draws = jax.eval_shape(lambda p, key: model.sample(p, key, 5), params, jax.random.key(1))
    assert mean.shape == draws.shape == (5, D)


@pytest.mark.parametrize("noise_matrix", ["full", "predicted"])
def test_generative_process_is_equations_2_to_4(noise_matrix):
    """h_2 = G_2 xi_2; h_1 = T_1(h_2) + G_1 xi_1; outputs = T_0(h_1), written out by hand; and of predicted scales."""
    model, params = built(latents=(3, 2), hidden=(4,), activation="tanh", noise_matrix=noise_matrix)
    params = jax.tree.map(
        lambda a: jnp.asarray(np.asarray(a) + np.random.default_rng(a.size).normal(size=a.shape), jnp.float32), params
    )
    g = params.generative
    xi = [np.random.default_rng(i).normal(size=(5, k)).astype(np.float32) for i, k in enumerate((3, 2))]

    def leaf(*path):
        found = g
        for part in path:
            found = found[part]
        return np.asarray(found.get_value())

    def T(level, h):
        first, second = (("maps", level, "layers", i) for i in (0, 1))
        h = np.tanh(h @ leaf(*first, "kernel") + leaf(*first, "bias"))
        return h @ leaf(*second, "kernel") + leaf(*second, "bias")

    if noise_matrix == "full":
        h2 = xi[1] @ leaf("noise_maps", 1, "matrix")
        h1 = T(1, h2) + xi[0] @ leaf("noise_maps", 0, "matrix")
    else:
        mean, log_scale = np.split(T(1, xi[1]), 2, -1)
        assert np.abs(log_scale).max() > 0.1
        h1 = mean + np.exp(15 * np.tanh(log_scale / 15)) * xi[0]
    outputs, _ = jax.jit(model.outputs)(params, {f"layer_{i + 1}": jnp.asarray(v) for i, v in enumerate(xi)})
    np.testing.assert_allclose(outputs, T(0, h1), rtol=1e-4, atol=1e-5)


def test_layers_are_the_network_with_the_noise_of_each():
    """As message passing takes them: a layer's noise has one deviation, the top one any matrix."""
    model, params = built(latents=(3, 2), hidden=(4,), activation="tanh", noise_matrix="diagonal")
    for place, values in enumerate((np.full(3, 0.5), np.array([2.0, 3.0]))):
        params.generative["noise_maps"][place]["matrix"].set_value(jnp.asarray(values, jnp.float32))
    xi = [np.random.default_rng(i).normal(size=(5, k)).astype(np.float32) for i, k in enumerate((3, 2))]
    h = xi[1]
    for stage in model.layers(params):
        if isinstance(stage, str):
            assert stage == "tanh"
            h = np.tanh(h)
        else:
            h = h @ stage.weights + stage.bias
            h = h + stage.noise * xi[0] if stage.noise else h
    outputs, _ = jax.jit(model.outputs)(params, {f"layer_{i + 1}": jnp.asarray(v) for i, v in enumerate(xi)})
    np.testing.assert_allclose(outputs, h, rtol=1e-4, atol=1e-5)


def test_layers_of_predicted_scales_are_no_stack():
    model, params = built(latents=(3, 2), hidden=(4,), noise_matrix="predicted")
    with pytest.raises(UserError, match=r"model.noise_matrix=predicted is no stack .* allowed: model.noise_matrix="):
        model.layers(params)
    model, params = built(latents=(3,), hidden=(4,), noise_matrix="predicted")  # the top layer's is the identity
    np.testing.assert_array_equal(model.layers(params)[0].weights, np.eye(3))


@pytest.mark.parametrize(
    ("likelihood", "said"),
    [
        (
            LIKELIHOODS["poisson"](levels=5),
            r"9 outputs for 9 values, which under likelihood=poisson are not the values'",
        ),
        (
            LIKELIHOODS["gaussian"](scale="predicted"),
            r"18 outputs for 9 values, which under likelihood=gaussian are not",
        ),
    ],
)
def test_outputs_that_are_no_means_are_refused(likelihood, said):
    check_outputs(DLGM(), LIKELIHOODS["gaussian"](), jnp.zeros(D), D)
    with pytest.raises(UserError, match=said):
        check_outputs(DLGM(likelihood=likelihood), likelihood, jnp.zeros(0), D)


@pytest.mark.parametrize("latents", [(3,), (3, 2)])
def test_many_samples_join_two_matrices_and_change_nothing_else(latents):
    """h_L = G xi and the first matrix above it: one product for many rows, two for few."""
    with jax.enable_x64(True):
        model, params = built(latents=latents, hidden=(4,), activation="tanh")
        rng = np.random.default_rng(0)
        params = jax.tree.map(lambda a: jnp.asarray(np.asarray(a) + rng.normal(size=a.shape)), params)
        xi = {f"layer_{i + 1}": jnp.asarray(rng.normal(size=(20, 5, k))) for i, k in enumerate(latents)}

        def total(generative, latents):
            return jnp.sum(jnp.sin(model.outputs(params._replace(generative=generative), latents)[0]))

        both = jax.jit(jax.value_and_grad(total))
        many = both(params.generative, xi)
        singles = [{n: v[i : i + 1] for n, v in xi.items()} for i in range(20)]
        few = jax.device_get([both(params.generative, one) for one in singles])
        for a, *parts in zip(jax.tree.leaves(many), *map(jax.tree.leaves, few), strict=True):
            np.testing.assert_allclose(a, sum(parts), rtol=1e-10, atol=1e-10)
        # For many rows h_L itself is not made, which saves the product with G for each: 2 K^2 for one of five rows.
        program = jax.jit(lambda z: model.outputs(params, z)[0])
        many, few = (program.lower(z).cost_analysis()["flops"] for z in (xi, singles[0]))
        assert few - many / 20 > 0.8 * 5 * 2 * latents[-1] ** 2


def test_joint_family_spans_all_layers():
    model, params = built("joint_rank_one", latents=(3, 2), hidden=(4,))
    q = jax.eval_shape(model.gaussians, params, jnp.ones((2, D)))
    assert {node: value.mean.shape for node, value in q.items()} == {"joint": (2, 5)}


def test_rollout_weights_are_the_joint_over_the_posterior():
    model, params = built(latents=(3, 2), hidden=(4,))
    x = jnp.zeros((4, D))

    @jax.jit
    def both(params):
        found = model.rollout(params, jax.random.key(0), x, 3)
        return found, model.log_joint(params, found.latents, x)

    found, joint = both(params)
    log_q = sum(np.asarray(v) for v in found.log_posterior.values())
    np.testing.assert_allclose(found.log_weights(), np.asarray(joint) - log_q, rtol=1e-5)


def test_noise_frequencies():
    key, n = jax.random.key(0), 400_000
    taken = jax.jit(lambda p: chance(key, p, (n // 1000, 1000)))
    for p in (0.0, 0.05, 0.5, 0.999):
        rate = float(np.asarray(taken(jnp.float32(p))).mean())
        assert abs(rate - p) < 5 * np.sqrt(p * (1 - p) / n) + 1e-5
    x = jnp.ones((1000, 100))
    flip, drop = {"bit_flip": jnp.float32(0.1)}, {"dropout": jnp.float32(0.2)}
    noises = Noise(**flip), Noise(**drop), Noise(**flip, **drop)
    flipped, dropped, both = map(np.asarray, jax.jit(lambda x: [corrupt(key, x, noise) for noise in noises])(x))
    assert abs(float(flipped.mean()) - 0.9) < 0.01
    assert abs(float((dropped == 0).mean()) - 0.2) < 0.01
    assert abs(float(dropped.mean()) - 1) < 0.01
    assert abs(float((both != 0).mean()) - 0.9 * 0.8) < 0.01  # neither, by chances of their own
    np.testing.assert_array_equal(corrupt(key, x, Noise()), x)


@pytest.mark.parametrize("posterior", ["diagonal", "coupling"])
def test_latent_noise_moves_samples_only(posterior):
    """Each by noise of its own; they are scored where it put them. Those of one layer say nothing of another's."""
    model, params = built(sized(POSTERIORS, posterior), latents=(3, 3), hidden=(4,), recognition_hidden=(4,))
    x = jnp.zeros((2, D))

    @jax.jit
    def both(params):
        noise = Noise(latent=jnp.float32(0.5))
        plain, noisy = (model.rollout(params, jax.random.key(0), x, 20_000, noise=n) for n in (None, noise))
        return plain, noisy, model.posterior(params, x).log_prob(noisy.latents)

    plain, noisy, scored = both(params)
    for node, values in scored.items():
        np.testing.assert_allclose(noisy.log_posterior[node], values, rtol=1e-4, atol=1e-4)
        if posterior == "diagonal":
            np.testing.assert_array_equal(plain.kl[node], noisy.kl[node])
    shift = {n: np.asarray(noisy.latents[n] - plain.latents[n]) for n in scored}
    assert abs(np.std(list(shift.values())) - 0.5) < 0.01
    for drawn in (shift, plain.latents):
        columns = np.concatenate([np.asarray(drawn[node])[:, 0] for node in scored], 1)
        assert np.abs(np.corrcoef(columns.T)[:3, 3:]).max() < 5 / np.sqrt(20_000)


def test_what_is_not_observed_adds_the_same_for_all_latents(x64):
    """Of a likelihood with two outputs a value, which stand one block of values after the other."""
    model, params = built(likelihood=LIKELIHOODS["gaussian"](scale="predicted"), latents=(2,), hidden=())
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda a: jnp.asarray(np.asarray(a) + 0.3 * rng.normal(size=a.shape)), params)
    x, z = rng.normal(size=(1, D)), {"layer_1": jnp.asarray(rng.normal(size=(2, 1, 2)))}
    observed = np.arange(D)[None] % 3 == 0
    density = jax.jit(lambda x: model.log_observed(params, z, x, jnp.asarray(observed))[:, 0])
    first, unseen, seen = (np.diff(density(jnp.asarray(x + by))) for by in (0, 2.0 * ~observed, 2.0 * observed))
    np.testing.assert_allclose(unseen, first, rtol=1e-9)
    assert np.abs(seen - first).max() > 0.1


@pytest.mark.parametrize("sizes", [{"latents": (3,), "hidden": (4, 4)}, {"latents": (3, 2), "hidden": ((4,), (5,))}])
def test_hidden_dropout_thins_the_generative_network_alone(sizes):
    """The latents stay; outputs are the thinned network's; evaluation, without noise, is of the whole network."""
    model, params = built(**sizes)
    x, key, rate = jnp.asarray(np.arange(4 * D).reshape(4, D) % 2, jnp.float32), jax.random.key(5), jnp.float32(0.5)

    @jax.jit
    def of(params):
        found = model.rollout(params, key, x, 3, noise=Noise(units=rate))
        network = nnx.merge(model._graph, params.generative)
        outputs = network(model.noises(found.latents), (jax.random.fold_in(key, 4), rate))
        by_hand = model.likelihood.log_prob(outputs, network.free_parameters(), x)
        return found, model.rollout(params, key, x, 3), by_hand

    thinned, whole, by_hand = of(params)
    for node, latent in whole.latents.items():
        np.testing.assert_array_equal(thinned.latents[node], latent)
    np.testing.assert_allclose(thinned.log_likelihood, by_hand, rtol=1e-6)
    assert (np.asarray(thinned.log_likelihood) != np.asarray(whole.log_likelihood)).all()
    assert model.numbers(10)["units"] == 0
    assert dlgm((D,), **sizes, hidden_dropout=0.2).numbers(10)["units"] == 0.2


def test_impossible_shapes_are_refused():
    with pytest.raises(ValueError, match=r"hidden_dropout=0\.2 needs deterministic layers"):
        DLGM(hidden=(), hidden_dropout=0.2)
    with pytest.raises(ValueError, match="hidden lists 3 maps for 2"):
        DLGM(latents=(3, 2), hidden=((1,), (2,), (3,)))
    with pytest.raises(ValueError, match="at least one stochastic layer"):
        DLGM(latents=())
