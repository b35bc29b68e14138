"""The autoregressive likelihood against every image of 3 x 3 pixels."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.models import dlgm, summary

from sbvi.core import UserError
from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.inference.imputation import impute

D, DRAWS = 9, 4_000
IMAGES = np.array(list(itertools.product([0.0, 1.0], repeat=D)))
CNN = LIKELIHOODS["pixel_cnn"](features=2, channels=3, layers=3)


def parts(seed=0):
    """Outputs of three latents' features, and weights away from the start."""
    rng = np.random.default_rng(seed)
    outputs = rng.normal(size=(3, 1, CNN.outputs(D)))
    free = CNN.initial_free(np.full(D, 0.5), np.ones(D)) + 0.5 * rng.normal(size=CNN.free(D))
    return jnp.asarray(outputs, jnp.float32), jnp.asarray(free, jnp.float32)


@pytest.fixture(scope="module")
def scored():
    """log p of every image, (3, 512), and draws with their probabilities, (3, DRAWS, D)."""
    outputs, free = parts()
    many = jnp.repeat(outputs, len(IMAGES), 1)
    log_p = jax.jit(CNN.log_prob)(many, free, jnp.asarray(IMAGES, jnp.float32))
    several = jnp.repeat(outputs, DRAWS, 1)
    drawn = jax.jit(lambda: (CNN.sample(jax.random.key(1), several, free), CNN.mean(several, free)))()
    return tuple(np.asarray(v, np.float64) for v in (log_p, *drawn))


def test_every_image_s_probability_adds_to_one(scored):
    np.testing.assert_allclose(np.exp(scored[0]).sum(1), 1, rtol=1e-5)
    assert np.abs(np.exp(scored[0][0]) - np.exp(scored[0][1])).max() > 1e-3  # the latents matter


def test_samples_have_the_probabilities_and_the_means_along_them(scored):
    log_p, draws, along = scored
    codes = draws @ 2.0 ** np.arange(D)[::-1]
    for own, code, image, p in zip(np.exp(log_p), codes, draws, along, strict=True):
        found = np.bincount(code.astype(int), minlength=len(IMAGES)) / DRAWS
        assert (np.abs(found - own) < 5 * np.sqrt(own / DRAWS) + 3 / DRAWS).all()
        exact = own @ IMAGES
        for values in (image, p):
            assert (np.abs(values.mean(0) - exact) < 5 * values.std(0) / np.sqrt(DRAWS) + 1e-4).all()
        assert np.median(p.std(0)[1:]) > 0.01  # what came before matters


def test_a_pixel_sees_those_before_it_within_reach_and_no_others():
    likelihood = LIKELIHOODS["pixel_cnn"](channels=2, layers=2)  # two layers of 3 x 3: two rows up
    rng = np.random.default_rng(0)
    free = jnp.asarray(rng.normal(size=likelihood.free(25)), jnp.float32)
    outputs = jnp.asarray(rng.normal(size=(1, 1, 25)), jnp.float32)
    x = jnp.asarray(rng.uniform(size=(1, 25)), jnp.float32)
    slopes = np.asarray(jax.jit(jax.jacrev(lambda x: likelihood.logits(outputs, free, x)[0, 0]))(x))[:, 0]
    for pixel, other in itertools.product(range(25), repeat=2):
        rows, columns = pixel // 5 - other // 5, abs(pixel % 5 - other % 5)
        reached = other < pixel and rows <= 2 and columns <= 2
        assert (slopes[pixel, other] != 0) <= reached
    assert all(slopes[12, other] != 0 for other in (11, 10, 7, 6, 1))


def test_it_starts_as_the_bernoulli_of_the_first_feature():
    mean = np.linspace(0.1, 0.9, D)
    outputs = jnp.asarray(CNN.initial_outputs(mean, mean)[None, None], jnp.float32)
    free = jnp.asarray(CNN.initial_free(mean, mean), jnp.float32)
    x = jnp.asarray(IMAGES[37][None], jnp.float32)
    bernoulli = LIKELIHOODS["bernoulli"]().log_prob(outputs[..., :D], jnp.zeros(0), x)
    np.testing.assert_allclose(CNN.log_prob(outputs, free, x), bernoulli, rtol=1e-6)
    np.testing.assert_allclose(CNN.mean(outputs, free)[0, 0], mean, rtol=1e-5)


def test_what_it_cannot_serve_is_refused():
    sizes = {"latents": (2,), "hidden": (), "recognition_hidden": ()}
    model = dlgm((3, 3), CNN, **sizes)
    params = model.init(0, summary(np.full(D, 0.5), np.ones(D)))
    x = jnp.zeros((2, D))
    with pytest.raises(UserError, match=r"allowed: values that are independent given the latents"):
        impute(model, params, jax.random.key(0), x, x > 0, 2, 1)
    with pytest.raises(UserError, match="independent given the network's outputs"):
        model.layers(params)
    with pytest.raises(UserError, match="square images of one channel, not of 8 values"):
        dlgm((8,), CNN, **sizes)
    with pytest.raises(UserError, match="no elementwise curvature"):
        CNN.output_precision(*parts())
    with pytest.raises(ValueError, match="kernel=4 must be odd"):
        LIKELIHOODS["pixel_cnn"](kernel=4)
