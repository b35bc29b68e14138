"""Gradients through convolutions against JAX's own, and a model of images by contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from support.models import dlgm, summary, view

from sbvi.core import UserError
from sbvi.core.xla.convolution import plain_convolution
from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.gradients import RULES
from sbvi.networks import convolutions
from sbvi.networks.convolutions import Convolutions, doubled, halved
from sbvi.networks.dense import NormalisedBlock
from sbvi.networks.dropout import Dropout
from sbvi.networks.keys import Keys
from sbvi.objectives import OBJECTIVES


def test_halving_keeps_blocks_together_and_doubling_undoes_it():
    x = jnp.arange(2 * 4 * 6 * 3, dtype=jnp.float32).reshape(2, 4, 6, 3)
    small = halved(x)
    assert small.shape == (2, 2, 3, 12)
    np.testing.assert_array_equal(small[1, 1, 2].reshape(2, 2, 3), x[1, 2:4, 4:6])
    np.testing.assert_array_equal(doubled(small), x)


def test_a_normalised_block_is_the_dense_one_at_every_pixel():
    """With kernels of side 1; what NumPy says of dense ones stands in test_dense."""
    block = convolutions.NormalisedConvolutionalBlock(3, 1, "silu", Keys(jax.random.key(0)))
    dense = NormalisedBlock(3, "silu", Keys(jax.random.key(1)))
    rng = np.random.default_rng(0)
    for ours, theirs in zip((block.first, block.second), (dense.first, dense.second), strict=True):
        kernel, bias = (jnp.asarray(rng.normal(size=size), jnp.float32) for size in ((3, 3), 3))
        ours.kernel.set_value(kernel[None, None])
        theirs.kernel.set_value(kernel)
        for affine in (ours, theirs):
            affine.bias.set_value(bias)
    for ours, theirs in zip(block.norms, dense.norms, strict=True):
        for norm in (ours, theirs):
            norm.scale.set_value(jnp.asarray([0.5, 1.5, -2.0]))
    x = jnp.asarray(rng.normal(size=(2, 4, 4, 3)), jnp.float32)
    pixels, rows = jax.jit(lambda x: (block(x), dense(x.reshape(-1, 3)).reshape(x.shape)))(x)
    np.testing.assert_allclose(pixels, rows, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("blocks", [0, 1])
def test_reader_and_writer_lead_an_image_through_their_parts_in_order(blocks):
    """What each part makes is held elsewhere: here, where activations and blocks stand, and dropout."""
    how = Convolutions.of((4, 4, 2), (3, 2), 3, blocks)
    rng = np.random.default_rng(0)

    def moved(module):
        graph, state = nnx.split(module)
        state = jax.tree.map(lambda a: jnp.asarray(np.asarray(a) + 0.5 * rng.normal(size=a.shape), a.dtype), state)
        return nnx.merge(graph, state)

    reader = moved(convolutions.ImageReader(how, (5,), "silu", Keys(jax.random.key(0))))
    writer = moved(convolutions.ImageWriter(3, (5,), how, 32, "silu", Keys(jax.random.key(1))))
    x, z = (jnp.asarray(rng.normal(size=size), jnp.float32) for size in ((6, 32), (6, 3)))
    dropout = Dropout(jax.random.key(2), jnp.float32(0.5), (6,))

    def through(parts, level, h):
        for block in parts.blocks[level] if blocks else ():
            h = h + block.second(jax.nn.silu(block.first(jax.nn.silu(h))))
        return h

    @jax.jit
    def program():
        h = x.reshape(6, 4, 4, 2)
        for level in (0, 1):
            h = jax.nn.silu(through(reader, level, reader.convolutions[level](halved(h))))
        read = reader.dense(h.reshape(6, -1))
        h = through(writer, 0, writer.dense(z, None, dropout).reshape(6, 1, 1, 2))
        h = doubled(writer.convolutions[0](jax.nn.silu(h) if blocks else h))  # of a dense layer, which is active
        h = doubled(writer.convolutions[1](jax.nn.silu(through(writer, 1, h))))
        written = h.reshape(6, -1) + writer.bias[...][None]
        return (reader(x), read), (writer(z, None, dropout), written)

    for found, expected in program():
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


IMAGES = [((4, 4), (3,)), ((8, 4), (3, 2)), ((4, 4, 3), (2, 3))]


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize(("shape", "channels"), IMAGES)
def test_a_model_of_images_keeps_the_contract(shape, channels, likelihood):
    size = int(np.prod(shape))
    sizes = {"latents": (4,), "hidden": (5,), "recognition_hidden": (5,)}
    model = dlgm(shape, likelihood, **sizes, convolutions=channels)
    mean = np.random.default_rng(0).uniform(0.2, 0.8, size)
    params = model.init(0, summary(mean, np.full(size, 0.3)))
    x = jnp.asarray(np.random.default_rng(1).integers(0, 2, (6, size)), jnp.float32)

    def total(p):
        found = model.rollout(p, jax.random.key(0), x, 2)
        assert found.log_weights().shape == (2, 6)
        return jnp.sum(found.log_weights())

    @jax.jit
    def program(params):
        # Without latents' influence the outputs are their biases, one for each: the data's means.
        still = jax.tree.map(lambda a: a, params.generative)
        still["maps"][0]["dense"] = jax.tree.map(jnp.zeros_like, still["maps"][0]["dense"])
        return jax.grad(total)(params), model.decode(params._replace(generative=still), {"layer_1": jnp.zeros((1, 4))})

    grads, decoded = program(params)
    assert all(np.isfinite(leaf).all() and np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(grads))
    np.testing.assert_allclose(decoded[0], mean, atol=1e-5)


def test_outputs_of_several_values_stand_in_blocks():
    """Moving the bias of pixel p's scale moves the scale of pixel p alone, and no mean."""
    likelihood = LIKELIHOODS["gaussian"](scale="predicted")
    model = dlgm((2, 2, 3), likelihood, latents=(2,), hidden=(), recognition_hidden=(), convolutions=(2,))
    params = model.init(0, summary(np.zeros(12), np.ones(12)))
    z = {"layer_1": jnp.ones((1, 2))}

    @jax.jit
    def program(channel):
        kernel = params.generative["maps"][0]["convolutions"][0]["kernel"]
        value = jnp.zeros_like(kernel.get_value()).at[1, 1, :, channel].set(1.0)
        moved = jax.tree.map(lambda a: a, params.generative)
        moved["maps"][0]["convolutions"][0]["kernel"] = kernel.replace(value)
        return model.outputs(params._replace(generative=moved), z)[0]

    def outputs(channel):
        return np.asarray(program(channel)).reshape(2, 2, 2, 3)

    # The four pixels of a block stand in order, each with its (mean, scale) by colour: 6 values a pixel.
    base = outputs(0) * 0 + np.asarray(model.likelihood.initial_outputs(np.zeros(12), np.ones(12))).reshape(2, 2, 2, 3)
    for pixel, kind, colour in np.ndindex(4, 2, 3):
        changed = np.argwhere(np.abs(outputs(6 * pixel + 3 * kind + colour) - base) > 1e-6)
        assert {tuple(place) for place in changed} <= {(kind, *divmod(pixel, 2), colour)}


@pytest.mark.parametrize("rule", list(RULES))
def test_every_rule_finds_what_jaxs_own_derivatives_give(rule, monkeypatch):
    sizes = {"latents": (3,), "hidden": (4,), "recognition_hidden": (4,)}
    model = dlgm((4, 4), **sizes, activation="tanh", convolutions=(2,))
    params = model.init(0, summary(np.full(16, 0.5), np.ones(16)))
    objective = OBJECTIVES["free_energy"](rule=rule)
    x = jnp.asarray(np.random.default_rng(1).integers(0, 2, (5, 16)), jnp.float32)

    def gradient():
        def loss(p):
            return objective(view(model, p, jax.random.key(0), x), {"kl_weight": 1.0})[0]

        return jax.tree.leaves(jax.jit(jax.grad(loss))(params))

    ours = gradient()
    monkeypatch.setattr(convolutions, "convolved", plain_convolution)
    for got, expected in zip(ours, gradient(), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)
        assert np.abs(expected).max() > 0


@pytest.mark.parametrize(("shape", "channels"), [((9,), (4,)), ((6, 6), (4, 4)), ((28, 28, 3, 1), (4,))])
def test_data_that_cannot_be_halved_is_refused(shape, channels):
    with pytest.raises(UserError, match=r"multiples of \d, and the data has shape .*; allowed: fewer layers"):
        Convolutions.of(shape, channels, 3)
