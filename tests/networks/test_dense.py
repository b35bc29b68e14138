"""Networks of every name against NumPy, and as encoder and decoder of a model."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from support.models import dlgm, summary

from sbvi.core import UserError
from sbvi.models import DLGM
from sbvi.networks.dense import NETWORKS
from sbvi.networks.dropout import Dropout
from sbvi.networks.gaussian_networks import GenerativeNetwork
from sbvi.networks.keys import Keys

SIZES = [4, 3, 3, 2, 5]


def silu(x):
    return x / (1 + np.exp(-x))


def values(state):
    """A network's parameters as NumPy arrays, moved from where they start."""
    rng = np.random.default_rng(0)
    moved = jax.tree.map(lambda a: jnp.asarray(np.asarray(a) + 0.3 * rng.normal(size=a.shape), a.dtype), state)
    return moved, jax.tree.map(np.asarray, nnx.to_pure_dict(moved))


def affine(own, x):
    return x @ own["kernel"] + own["bias"]


def normal(own, x):
    away = x - x.mean(-1, keepdims=True)
    return away / np.sqrt((away**2).mean(-1, keepdims=True) + 1e-6) * own["scale"] + own["bias"]


def by_hand(name, p, x, first, last, drop=lambda h, *places: h):
    """The network's value by its definition; drop: what dropout leaves of a layer at its places."""
    x = silu(x) if first else x
    if name.startswith("residual"):
        normalised = normal if name == "residual_normalised" else lambda _, x: x
        for position, own in sorted(p["blocks"].items()):
            if "first" in own:
                norms = own.get("norms", (None, None))
                inner = affine(own["first"], silu(normalised(norms[0], x)))
                x = x + affine(own["second"], drop(silu(normalised(norms[1], inner)), position, 0))
            else:
                x = affine(own, drop(silu(x), position) if position else x)
        x = drop(silu(x), len(p["blocks"]))
        return x if last else affine(p["last"], x)
    layers = [own for _, own in sorted(p["layers"].items())]
    if name == "gated":
        for position, own in enumerate(layers):
            value, gate = np.split(affine(own["both"], x), 2, -1)
            x = drop(silu(value) / (1 + np.exp(-gate)), position)
        return x if last else affine(p["last"], x)
    for position, own in enumerate(layers):
        x = affine(own, x)
        x = drop(silu(x), position) if last or position + 1 < len(layers) else x
    return x


@pytest.mark.parametrize(("first", "last"), list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize("name", NETWORKS)
def test_the_value_is_the_definition_s(name, first, last):
    network = NETWORKS[name](SIZES, "silu", Keys(jax.random.key(0)), activate_first=first, activate_last=last)
    graph, state = nnx.split(network)
    state, p = values(state)
    x = np.random.default_rng(1).normal(size=(7, 4)).astype(np.float32)
    found = nnx.merge(graph, state)(jnp.asarray(x))
    np.testing.assert_allclose(found, by_hand(name, p, x, first, last), rtol=2e-5, atol=1e-5)
    if not last:
        before = np.random.default_rng(2).normal(size=(6, 4)).astype(np.float32)
        wide = np.random.default_rng(3).normal(size=(50, 6)).astype(np.float32)
        merged = nnx.merge(graph, state)
        assert merged.joins(50) == (not first)
        if not first:
            joined = merged(jnp.asarray(wide), jnp.asarray(before))
            np.testing.assert_allclose(joined, merged(jnp.asarray(wide @ before)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_dropout_is_of_every_hidden_unit_and_of_no_other(name, last):
    graph, state = nnx.split(NETWORKS[name](SIZES, "silu", Keys(jax.random.key(0)), activate_last=last))
    state, p = values(state)
    dropout = Dropout(jax.random.key(3), jnp.float32(0.4), (2, 4))
    seen = []

    def drop(h, *places):
        """By masks of ones that went through the same places."""
        seen.append(places)
        own = dropout
        for place in places[:-1]:
            own = own.within(place)
        return h * np.asarray(own(jnp.ones(h.shape, jnp.float32), places[-1]))

    x = np.random.default_rng(1).normal(size=(8, 4)).astype(np.float32)
    found = nnx.merge(graph, state)(jnp.asarray(x), None, dropout)
    np.testing.assert_allclose(found, by_hand(name, p, x, False, last, drop), rtol=2e-5, atol=1e-5)
    assert len(seen) == len(set(seen)) == len(SIZES) - 2 + last


def test_dropout_s_masks():
    """Of the rate, unbiased, a row's own, and the same at every call."""
    key, rate, rows = jax.random.key(0), jnp.float32(0.3), (4, 500)
    ones = jnp.ones((2000, 150))
    mask = Dropout(key, rate, rows)(ones, 0)
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / np.float32(0.7))}
    spread = np.sqrt(0.3 * 0.7 / mask.size)
    assert abs(float((mask == 0).mean()) - 0.3) < 5 * spread
    assert np.abs(np.corrcoef(np.asarray(mask)[:, :20].T) - np.eye(20)).max() < 5 / np.sqrt(2000)
    np.testing.assert_array_equal(mask, Dropout(key, rate, rows)(ones, 0))
    assert (mask != Dropout(key, rate, rows)(ones, 1)).any()
    assert (mask != Dropout(key, rate, rows).within(0)(ones, 0)).any()
    fewer = Dropout(key, rate, (4, 50))(ones[:200], 0).reshape(4, 50, 150)
    np.testing.assert_array_equal(fewer[0], mask.reshape(4, 500, 150)[0, :50])


def test_a_layer_s_mean_leaves_out_the_units_of_a_call():
    """xi_1 = -(mean of h_1 given the rest) makes h_1 = 0, whatever the rest is: with dropout the same units must be
    gone."""
    sizes = (3, 2, 2), ((4,), (6,), (5,)), 5, "silu", "full", np.zeros(5), np.zeros(0), False, None
    graph, state = nnx.split(GenerativeNetwork(*sizes, Keys(jax.random.key(0))))
    network = nnx.merge(graph, values(state)[0])
    thinning = jax.random.key(1), jnp.float32(0.5)
    zero = None
    for seed in (2, 3):
        upper = list(jax.random.normal(jax.random.key(seed), (2, 4, 5, 2)))
        above = upper[0] + network.layer_given(1, upper[1], thinning)[0]
        mean = network.layer_given(0, above, thinning)[0]
        found = network([-mean, *upper], thinning)
        assert np.abs(mean - network.layer_given(0, above)[0]).max() > 0.01
        zero = found if zero is None else zero
        np.testing.assert_allclose(found, zero, atol=1e-5)


def test_residual_blocks_start_as_the_identity():
    """A deeper network is at first the same function; blocks stand where the width stays."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), jnp.float32)
    for name in ("residual", "residual_normalised"):
        shallow, deep = (
            NETWORKS[name]([4, *[3] * n], "silu", Keys(jax.random.key(0)), activate_last=True) for n in (1, 4)
        )
        np.testing.assert_allclose(deep(x), shallow(x), rtol=1e-6)
        assert len(deep.blocks) == 4


MODELS = [{"network": a, "recognition_network": b} for a, b in (("gated", "residual"), ("residual", "gated"))]
MODELS += [{**MODELS[0], "convolutions": (3, 2), "residual_blocks": 1, "kernel": 3}]
normalised = dict.fromkeys(("network", "recognition_network"), "residual_normalised")
MODELS += [{**MODELS[2], **normalised}]


@pytest.mark.parametrize("choices", MODELS)
def test_models_of_every_network_keep_the_contract(choices):
    """Gradients reach every weight, but those behind the zeros that blocks start from; outputs start at the means."""
    mean = np.linspace(0.2, 0.8, 64)
    sizes = {"latents": (3, 2), "hidden": (5, 5), "recognition_hidden": (6, 6)}
    model = dlgm((8, 8), **sizes, activation="silu", recognition_activation="silu", **choices)
    params = model.init(0, summary(mean, np.full(64, 0.3)))
    rng = np.random.default_rng(0)
    away = jax.tree.map(lambda a: jnp.asarray(np.asarray(a) + 0.1 * rng.normal(size=a.shape), a.dtype), params)
    x = jnp.asarray(rng.integers(0, 2, (6, 64)), jnp.float32)

    @jax.jit
    def gradients(p):
        def total(p):
            found = model.rollout(p, jax.random.key(0), x, 2)
            return jnp.sum(found.log_weights())

        return jax.grad(total)(p), model.decode(p, {"layer_1": jnp.zeros((1, 3)), "layer_2": jnp.zeros((1, 2))})

    grads, _ = gradients(away)
    assert all(np.isfinite(leaf).all() and np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(grads))
    still = jax.tree.map(jnp.zeros_like, params.generative)
    bias = params.generative["maps"][0]
    target = still["maps"][0]
    path = ("bias",) if "convolutions" in choices else ("last", "bias")
    for name in path:
        bias, target = bias[name], target[name]
    target.set_value(bias.get_value())
    np.testing.assert_allclose(gradients(params._replace(generative=still))[1][0], mean, atol=1e-5)


def test_settings_that_fit_no_network_are_refused():
    with pytest.raises(ValueError, match="residual_blocks=2 needs convolutions"):
        DLGM(residual_blocks=2)
    model = dlgm((4,), latents=(2,), hidden=(3,), recognition_hidden=(), network="gated")
    with pytest.raises(UserError, match=r"model\.network=gated is no stack of affine layers"):
        model.layers(model.init(0, summary(np.full(4, 0.5), np.ones(4))))


def test_weights_have_the_keys_of_rngs():
    ours, theirs = Keys(jax.random.key(5)), nnx.Rngs(jax.random.key(5))
    for _ in range(3):
        np.testing.assert_array_equal(*(jax.random.key_data(keys.params()) for keys in (ours, theirs)))


#: Matrices and filters, small and large: two groups of many, and one by itself.
SHAPES = [(3, 4), (1, 1), (2, 2, 5, 3), (80, 60), (60, 80), (200, 100)]


@pytest.mark.parametrize("wide", [False, True])
def test_weights_that_are_drawn_together_are_those_of_jax_s_initialiser(wide):
    """Bit for bit, in both precisions, and with a key between them that is asked for by itself."""
    make = nnx.initializers.glorot_uniform()

    def made(keys):
        first = [keys.glorot(shape) for shape in SHAPES[:2]]
        between = jax.random.key_data(keys.params())
        return [between, *first, *(keys.glorot(shape) for shape in SHAPES[2:])]

    with jax.enable_x64(wide):
        key = jax.random.key(5)
        plan = Keys(key)
        jax.eval_shape(lambda: made(plan))
        assert list(plan.shapes.values()) == SHAPES

        @jax.jit
        def both(key):
            own = [jax.random.fold_in(key, place) for place in range(len(SHAPES) + 1)]
            apart = [jax.random.key_data(own.pop(2)), *(make(*row) for row in zip(own, SHAPES, strict=True))]
            return made(Keys(key, plan.shapes)), apart

        for found, expected in zip(*both(key), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


def test_weights_of_another_shape_than_planned_are_drawn_by_themselves():
    """As many values, of which others go in and out."""
    key = jax.random.key(5)
    planned, apart = jax.jit(lambda: [keys.glorot((6, 2)) for keys in (Keys(key, {0: (3, 4)}), Keys(key))])()
    np.testing.assert_array_equal(planned, apart)


@pytest.mark.parametrize("name", NETWORKS)
def test_predicted_scales_start_at_one(name):
    sizes = (3, 2), ((4,), (6,)), 5, "silu", "predicted", np.zeros(5), np.zeros(0), False, None

    @jax.jit
    def program(above):
        return GenerativeNetwork(*sizes, Keys(jax.random.key(0)), name).layer_given(0, above)

    mean, log_scale = program(np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32))
    assert mean.shape == (4, 3)
    assert np.abs(mean).max() > 0.01
    np.testing.assert_array_equal(log_scale, np.zeros((4, 3)))
