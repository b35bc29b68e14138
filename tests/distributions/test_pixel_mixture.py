"""The autoregressive mixture of levels against every image of a few pixels, in float64 by NumPy and SciPy."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from scipy import stats
from support.models import dlgm, summary

from sbvi.core import UserError
from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.inference.imputation import impute

DRAWS = 20_000
SHAPES = [(2, 2), (3, 1, 1), (1, 2, 2), (2, 1, 3), (1, 1, 4)]
KIND = LIKELIHOODS["pixel_mixture"]


def settings(**choices):
    return KIND(
        **{"levels": 2, "components": 2, "features": 1, "channels": 3, "layers": 2, "minimum_scale": 0.1} | choices
    )


def every_image(size, levels=2):
    return np.array(list(itertools.product(np.arange(levels + 1) / levels, repeat=size)))


def parts(shape, seed=0, dtype=jnp.float32, **choices):
    """The likelihood of a shape, outputs of two latents' features, and weights away from the start."""
    rng, pixels, size = np.random.default_rng(seed), settings(**choices).of_shape(shape), math.prod(shape)
    outputs = rng.normal(size=(2, 1, pixels.outputs(size)))
    free = pixels.initial_free(np.full(size, 0.5), np.ones(size)) + 0.5 * rng.normal(size=pixels.free(size))
    return pixels, jnp.asarray(outputs, dtype), jnp.asarray(free, dtype)


def log_probs(pixels, outputs, free, images):
    """log p of all images for each row of outputs (S, 1, O): (S, M)."""
    many = jnp.repeat(outputs, len(images), 1)
    return np.asarray(jax.jit(pixels.log_prob)(many, free, jnp.asarray(images, outputs.dtype)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_image_s_probability_adds_to_one(shape, x64):
    pixels, outputs, free = parts(shape, dtype=jnp.float64)
    p = np.exp(log_probs(pixels, outputs, free, every_image(math.prod(shape))))
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
    assert np.abs(p[0] - p[1]).max() > 1e-3  # the latents matter


def conditional_means(p, images, image):
    """E[x_d | x_<d] of every value of an image, by enumeration."""
    before = [(images[:, :d] == image[:d]).all(1) for d in range(len(image))]
    return [(p[seen] * images[seen, d]).sum() / p[seen].sum() for d, seen in enumerate(before)]


@pytest.mark.parametrize("shape", [(2, 2), (1, 2, 2), (2, 1, 3)], ids=str)
def test_draws_have_the_probabilities_and_the_means_along_them(shape):
    pixels, outputs, free = parts(shape, seed=1)
    images = every_image(math.prod(shape))
    p = np.exp(log_probs(pixels, outputs, free, images).astype(np.float64))
    several = jnp.repeat(outputs, DRAWS, 1)
    draws, along = (np.asarray(v) for v in jax.jit(lambda key: pixels.drawn(key, several, free))(jax.random.key(2)))
    codes = np.rint(2 * draws).astype(int) @ 3 ** np.arange(draws.shape[-1])[::-1]
    for own, code, values, means in zip(p, codes, draws, along, strict=True):
        found, wanted = np.bincount(code, minlength=len(images)), own / own.sum()
        often = wanted * DRAWS > 5  # the rest together, as the chi-square law asks
        together = [np.append(v[often], v[~often].sum() + tiny) for v, tiny in ((found, 0), (wanted * DRAWS, 1e-3))]
        assert ((together[0] - together[1]) ** 2 / together[1]).sum() < stats.chi2(often.sum()).isf(1e-4)
        for index in range(5):
            exact = conditional_means(own, images, images[code[index]])
            np.testing.assert_allclose(means[index], exact, atol=1e-4)
        assert np.abs(means.mean(0) - values.mean(0)).max() < 5 * 0.5 / np.sqrt(DRAWS)
    alone = jax.jit(pixels.sample)(jax.random.key(2), several, free)
    np.testing.assert_array_equal(alone, draws)


@pytest.mark.parametrize("shape", [(3, 4, 3), (4, 3), (2, 3, 2)], ids=str)
def test_a_pixel_s_law_follows_no_later_pixel(shape, x64):
    """What the stack gives a pixel has no slope in its own values nor in later ones, and has one in all channels of the
    pixel left of it."""
    pixels, outputs, free = parts(shape, dtype=jnp.float64)
    depth, size = pixels.depth, math.prod(shape)
    x = jnp.asarray(np.random.default_rng(0).integers(0, 3, (1, size)) / 2)

    def given(x):
        """The mixture of every pixel from the stack, flat."""
        features = pixels._features(outputs[:1])
        return pixels._stack.given(free, features, pixels._images(x)).reshape(size // depth, -1)

    slopes = np.asarray(jax.jit(jax.jacrev(given))(x))[..., 0, :]  # (pixels, outputs, D)
    slopes = np.abs(slopes).max(1).reshape(size // depth, size // depth, depth)
    assert (slopes[np.triu_indices(size // depth)] == 0).all()
    assert (slopes[np.arange(1, size // depth), np.arange(size // depth - 1)][: shape[1] - 1] != 0).all()


@pytest.mark.parametrize("shape", [(2, 2, 3), (3, 4), (2, 2, 4), (3, 2, 2)], ids=str)
def test_log_prob_by_numpy(shape, x64):
    """Pixel by pixel and channel by channel, where the stack sees other values in place of a pixel's and all later."""
    pixels, outputs, free = parts(shape, dtype=jnp.float64, levels=5, components=3, features=2)
    size, depth, m = math.prod(shape), pixels.depth, 3
    x = np.random.default_rng(3).integers(0, 6, size) / 5
    x[:2] = 0, 1
    blocks = np.asarray(outputs[0, 0]).reshape(-1, size // depth, depth)
    total, stack = 0.0, jax.jit(pixels._stack.given)
    for i in range(size // depth):
        past = np.where(np.arange(size) < i * depth, x, 0.7)[None]  # of what follows any value
        added = stack(free, pixels._features(outputs[:1]), pixels._images(jnp.asarray(past)))
        own = blocks[:, i].ravel()
        own = own[: added.shape[-1]] + np.asarray(added).reshape(size // depth, -1)[i]
        logits, mean, raw = own[: 3 * m * depth].reshape(3, m, depth)
        slopes = np.tanh(own[3 * m * depth :][: m * depth * (depth - 1) // 2]).reshape(m, -1)
        matrix = np.zeros((m, depth, depth))
        matrix[:, *np.tril_indices(depth, -1)] = slopes
        values = x.reshape(-1, depth)[i]
        law = stats.logistic(mean + matrix @ (values - 0.5), np.exp(15 * np.tanh(raw / 15)) + 0.1)
        upper = np.where(values == 1, 1, law.cdf(values + 0.1))
        lower = np.where(values == 0, 0, law.cdf(values - 0.1))
        total += np.log(scipy.special.softmax(logits.sum(1)) @ (upper - lower).prod(1))
    found = jax.jit(pixels.log_prob)(outputs, free, jnp.asarray(x[None]))
    np.testing.assert_allclose(found[0, 0], total, rtol=1e-8)  # differences of the law's tails cancel


@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 1)], ids=str)
def test_it_starts_as_the_mixture_of_each_value(shape):
    """Of one channel, whatever the decoder's outputs; and with them the data's means."""
    pixels, outputs, _ = parts(shape, levels=16, components=3)
    mean, spread, size = np.linspace(0.1, 0.9, math.prod(shape)), np.full(math.prod(shape), 0.2), math.prod(shape)
    free = jnp.asarray(pixels.initial_free(mean, spread), jnp.float32)
    plain = LIKELIHOODS["logistic_mixture"](levels=16, components=3, minimum_scale=0.1)
    x = jnp.asarray(np.random.default_rng(0).integers(0, 17, (1, size)) / 16, jnp.float32)
    first = outputs[..., : plain.outputs(size)]

    @jax.jit
    def both():
        of = (pixels, outputs, free), (plain, first, jnp.zeros(0))
        return [(kind.log_prob(*given, x), kind.mean(*given)) for kind, *given in of]

    (log_p, mean_along), (wanted, wanted_mean) = both()
    np.testing.assert_allclose(log_p, wanted, rtol=1e-5)
    np.testing.assert_allclose(mean_along, wanted_mean, rtol=1e-4)
    begun = pixels.initial_outputs(mean, spread)
    np.testing.assert_array_equal(begun[: plain.outputs(size)], plain.initial_outputs(mean, spread))
    assert begun.shape == (pixels.outputs(size),)


@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 3)], ids=str)
@pytest.mark.parametrize("far", [1.0, 1e3, 1e6])
def test_gradients_are_finite_at_extreme_outputs(shape, far):
    pixels, outputs, free = parts(shape, levels=255, minimum_scale=0.002)
    x = jnp.asarray(np.random.default_rng(0).integers(0, 256, (1, math.prod(shape))) / 255, jnp.float32)
    value, slopes = jax.jit(jax.value_and_grad(lambda *given: pixels.log_prob(*given, x).sum(), (0, 1)))(
        far * outputs, free
    )
    assert np.isfinite(value)
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_float32_is_near_float64(x64):
    pixels, outputs, free = parts((4, 4, 3), dtype=jnp.float64, levels=255, minimum_scale=0.002)
    x = jnp.asarray(np.random.default_rng(0).integers(0, 256, (1, 48)) / 255)
    scored = jax.jit(pixels.log_prob)
    wanted = scored(outputs, free, x)
    found = scored(*(v.astype(jnp.float32) for v in (outputs, free, x)))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    drawn = jax.jit(pixels.sample)(jax.random.key(0), outputs, free)
    assert drawn.dtype == jnp.float64
    np.testing.assert_allclose(drawn * 255, np.round(drawn * 255), atol=1e-9)


def test_what_it_cannot_serve_is_refused():
    sizes = {"latents": (2,), "hidden": (), "recognition_hidden": ()}
    model = dlgm((2, 2, 3), settings(), **sizes)
    params = model.init(0, summary(np.full(12, 0.5), np.ones(12)))
    x = jnp.zeros((2, 12))
    with pytest.raises(UserError, match=r"allowed: values that are independent given the latents"):
        impute(model, params, jax.random.key(0), x, x > 0, 2, 1)
    with pytest.raises(UserError, match="independent given the network's outputs"):
        model.layers(params)
    for shape in ((8,), (2, 2, 5), (1, 4, 16), (2, 2, 2, 2)):
        with pytest.raises(UserError) as refused:
            dlgm(shape, settings(), **sizes)
        assert str(refused.value) == (
            f"likelihood=pixel_mixture needs images of levels, and the data has shape {shape}; "
            "allowed: (H, W), or (H, W, C) with up to 4 channels."
        )
    pixels, *given = parts((2, 2))
    with pytest.raises(UserError, match="no elementwise curvature"):
        pixels.output_precision(*given)
    for side in (1, 4):
        with pytest.raises(ValueError, match=f"kernel={side} must be odd, and at least 3"):
            KIND(kernel=side)
    with pytest.raises(UserError, match=r"likelihood.levels=2 is not what the data set holds: levels 0..255"):
        pixels.check(255)
