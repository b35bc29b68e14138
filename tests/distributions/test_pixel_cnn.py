"""The autoregressive likelihood against every image of 3 x 3 and of 2 x 3 pixels."""

import itertools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.models import dlgm, summary

from sbvi.core import UserError
from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.inference.imputation import impute

DRAWS = 4_000
SETTINGS = LIKELIHOODS["pixel_cnn"](features=2, channels=3, layers=3)
SQUARE, WIDE = (3, 3), (2, 3)


def every_image(size):
    return np.array(list(itertools.product([0.0, 1.0], repeat=size)))


def parts(shape, seed=0):
    """The likelihood of a shape, outputs of three latents' features, and weights away from the start."""
    rng, cnn, size = np.random.default_rng(seed), SETTINGS.of_shape(shape), math.prod(shape)
    outputs = rng.normal(size=(3, 1, cnn.outputs(size)))
    free = cnn.initial_free(np.full(size, 0.5), np.ones(size)) + 0.5 * rng.normal(size=cnn.free(size))
    return cnn, jnp.asarray(outputs, jnp.float32), jnp.asarray(free, jnp.float32)


@pytest.fixture(scope="module", params=[SQUARE, WIDE, (3, 2, 1)], ids=str)
def scored(request):
    """Every image, (M, D), log p of each, (3, M), and draws with their probabilities, (3, DRAWS, D)."""
    cnn, outputs, free = parts(request.param)
    images = every_image(math.prod(request.param))
    many = jnp.repeat(outputs, len(images), 1)
    log_p = jax.jit(cnn.log_prob)(many, free, jnp.asarray(images, jnp.float32))
    several = jnp.repeat(outputs, DRAWS, 1)
    drawn = jax.jit(lambda: cnn.drawn(jax.random.key(1), several, free))()
    return images, *(np.asarray(v, np.float64) for v in (log_p, *drawn))


def test_every_image_s_probability_adds_to_one(scored):
    log_p = scored[1]
    np.testing.assert_allclose(np.exp(log_p).sum(1), 1, rtol=1e-5)
    assert np.abs(np.exp(log_p[0]) - np.exp(log_p[1])).max() > 1e-3  # the latents matter


def test_samples_have_the_probabilities_and_the_means_along_them(scored):
    images, log_p, draws, along = scored
    codes = draws @ 2.0 ** np.arange(images.shape[1])[::-1]
    for own, code, image, p in zip(np.exp(log_p), codes, draws, along, strict=True):
        found = np.bincount(code.astype(int), minlength=len(images)) / DRAWS
        assert (np.abs(found - own) < 5 * np.sqrt(own / DRAWS) + 3 / DRAWS).all()
        exact = own @ images
        for values in (image, p):
            assert (np.abs(values.mean(0) - exact) < 5 * values.std(0) / np.sqrt(DRAWS) + 1e-4).all()
        assert np.median(p.std(0)[1:]) > 0.01  # what came before matters


@pytest.mark.parametrize("shape", [SQUARE, WIDE], ids=str)
def test_means_and_draws_that_are_observed_are_of_the_same_pixels(shape):
    """The mean of each pixel is what enumeration says of it given the pixels before it in that very draw."""
    model = dlgm(shape, SETTINGS, latents=(2,), hidden=(), recognition_hidden=())
    size = math.prod(shape)
    params = model.init(0, summary(np.linspace(0.2, 0.8, size), np.ones(size)))
    rng = np.random.default_rng(1)
    shaken = jax.tree.map(
        lambda a: jnp.asarray(np.asarray(a) + rng.normal(size=a.shape) / 2, a.dtype), params.generative
    )
    params, z = params._replace(generative=shaken), {"layer_1": jnp.asarray(rng.normal(size=(1, 2)), jnp.float32)}
    images = every_image(size)

    @jax.jit
    def program(params):
        outputs = model.outputs(params, z)
        log_p = model.likelihood.log_prob(jnp.repeat(outputs[0][None], len(images), 1), outputs[1], images)[0]
        return log_p, jax.vmap(lambda key: model.observe(params, key, z))(jax.random.split(jax.random.key(0), 4))

    log_p, observed = program(params)
    p = np.exp(log_p)
    found = list(zip(*(np.asarray(v)[:, 0] for v in observed), strict=True))
    for mean, value in found:
        for d in range(size):
            before = (images[:, :d] == value[:d]).all(1)
            assert mean[d] == pytest.approx(p[before & (images[:, d] == 1)].sum() / p[before].sum(), abs=1e-4)
    assert len({tuple(value) for _, value in found}) > 1


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (2, 8), (6, 2), (1, 6)], ids=str)
def test_a_pixel_sees_those_before_it_within_reach_and_no_others(shape):
    likelihood = LIKELIHOODS["pixel_cnn"](channels=2, layers=2).of_shape(shape)  # two of 3 x 3: two rows up
    (height, width), size = shape, math.prod(shape)
    rng = np.random.default_rng(0)
    free = jnp.asarray(rng.normal(size=likelihood.free(size)), jnp.float32)
    outputs = jnp.asarray(rng.normal(size=(1, 1, size)), jnp.float32)
    x = jnp.asarray(rng.uniform(size=(1, size)), jnp.float32)
    slopes = np.asarray(jax.jit(jax.jacrev(lambda x: likelihood.logits(outputs, free, x)[0, 0]))(x))[:, 0]
    slopes = slopes.reshape(*shape, *shape)
    places = list(itertools.product(range(height), range(width)))
    for pixel, other in itertools.product(places, repeat=2):
        down, right = pixel[0] - other[0], pixel[1] - other[1]
        reached = other < pixel and down <= 2 and abs(right) <= 2
        assert (slopes[*pixel, *other] != 0) <= reached
        if (down, right) in {(0, 1), (1, 1), (1, 0), (1, -1)}:  # those that the image has beside it
            assert slopes[*pixel, *other] != 0
    if shape == (5, 5):
        assert all(slopes[2, 2, other // 5, other % 5] != 0 for other in (11, 10, 7, 6, 1))


def test_a_unit_s_first_weights_have_the_variance_one_over_its_inputs():
    start = LIKELIHOODS["pixel_cnn"](features=2, channels=40, layers=2).of_shape((4, 4)).initial_free(*np.ones((2, 16)))
    ends = np.cumsum([9 * 40, 2 * 40, 40, 9 * 40 * 40])
    kernel, seen, bias, second, rest = np.split(start, ends)
    for weights, inputs in ((kernel, 9), (seen, 2), (second, 9 * 40)):
        assert np.mean(weights**2) * inputs == pytest.approx(1, abs=5 * np.sqrt(2 / weights.size))
    assert not bias.any()
    assert not rest[-40:].any()  # w, so that nothing is added at first


def test_it_starts_as_the_bernoulli_of_the_first_feature():
    cnn, mean = SETTINGS.of_shape(SQUARE), np.linspace(0.1, 0.9, 9)
    outputs = jnp.asarray(cnn.initial_outputs(mean, mean)[None, None], jnp.float32)
    free = jnp.asarray(cnn.initial_free(mean, mean), jnp.float32)
    x = jnp.asarray(every_image(9)[37][None], jnp.float32)

    @jax.jit
    def program(outputs, free):
        bernoulli = LIKELIHOODS["bernoulli"]().log_prob(outputs[..., :9], jnp.zeros(0), x)
        return cnn.log_prob(outputs, free, x), bernoulli, cnn.mean(outputs, free)

    found, bernoulli, means = program(outputs, free)
    np.testing.assert_allclose(found, bernoulli, rtol=1e-6)
    np.testing.assert_allclose(means[0, 0], mean, rtol=1e-5)


def test_what_it_cannot_serve_is_refused():
    sizes = {"latents": (2,), "hidden": (), "recognition_hidden": ()}
    model = dlgm((3, 3), SETTINGS, **sizes)
    params = model.init(0, summary(np.full(9, 0.5), np.ones(9)))
    x = jnp.zeros((2, 9))
    with pytest.raises(UserError, match=r"allowed: values that are independent given the latents"):
        impute(model, params, jax.random.key(0), x, x > 0, 2, 1)
    with pytest.raises(UserError, match="independent given the network's outputs"):
        model.layers(params)
    for shape in ((8,), (16,), (2, 2, 4), (4, 4, 3), (1, 4, 4), (2, 2, 2, 2)):
        with pytest.raises(UserError) as refused:
            dlgm(shape, SETTINGS, **sizes)
        assert str(refused.value) == (
            f"likelihood=pixel_cnn needs binary images of one channel, and the data has shape {shape}; "
            "allowed: (H, W) or (H, W, 1)."
        )
    cnn, *given = parts(SQUARE)
    with pytest.raises(UserError, match="no elementwise curvature"):
        cnn.output_precision(*given)
    for side in (1, 4):
        with pytest.raises(ValueError, match=f"kernel={side} must be odd, and at least 3"):
            LIKELIHOODS["pixel_cnn"](kernel=side)


@pytest.mark.parametrize("kernel", [3, 5])
def test_rows_that_no_pixel_sees_are_in_no_product(kernel):
    """Of a kernel's k rows the convolutions have its own and those above, of its weights in either place the same."""
    cnn = LIKELIHOODS["pixel_cnn"](channels=2, layers=2, kernel=kernel).of_shape((6, 4))
    rng = np.random.default_rng(kernel)
    free = jnp.asarray(rng.normal(size=cnn.free(24)), jnp.float32)
    outputs, x = (jnp.asarray(rng.random(shape), jnp.float32).round() for shape in ((1, 3, 24), (3, 24)))
    program = jax.jit(cnn.log_prob).lower(outputs, free, x)
    sides = re.findall(r"stablehlo.convolution.*tensor<(\d+)x(\d+)x\d+x2xf32>\)", program.as_text())
    assert sides == [(str(kernel // 2 + 1), str(kernel))] * 2
    unseen = jax.jit(jax.grad(lambda free: cnn.log_prob(outputs, free, x).sum()))(free)
    first = np.asarray(unseen)[: kernel * kernel * 2].reshape(kernel, kernel, 2)
    assert (first[kernel // 2 + 1 :] == 0).all()
    assert (first[: kernel // 2] != 0).any()
