import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.data import DATASETS, binarize
from sbvi.data.binarization import draw, fixed_draw, thresholds

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("levels", [1, 16, 100, 255])
def test_thresholds_are_the_rounded_probabilities(levels):
    values = np.arange(levels + 1)
    found = np.asarray(thresholds(jnp.asarray(values, jnp.uint8), levels))
    np.testing.assert_allclose(found / 65536, values / levels, atol=1 / 131072)
    assert found[0] == 0
    assert found[-1] == 65536


@pytest.mark.parametrize("levels", [16, 255])
def test_draws_have_the_stored_frequencies(levels):
    values = np.tile(np.arange(levels + 1, dtype=np.uint8), (40_000, 1))
    traced = np.asarray(draw(jax.random.key(0), jnp.asarray(values), levels))
    fixed = fixed_draw(values, levels, seed=0)
    p = np.arange(levels + 1) / levels
    stderr = np.sqrt(p * (1 - p) / len(values))
    for drawn in (traced, fixed):
        assert (np.abs(drawn.mean(0) - p) <= 5 * stderr + 1e-5).all()
        assert not drawn[:, 0].any()
        assert drawn[:, -1].all()
        # The two halves of a word must not be tied to each other, nor neighbours.
        half = drawn.reshape(2, -1)
        centred = half - half.mean(1, keepdims=True)
        kept = centred.std(1).min()
        assert kept > 0
    a, b = traced[:, levels // 2][:-1], traced[:, levels // 2 + 1][1:]
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_float_means():
    values = jnp.asarray(np.tile(np.array([0.0, 0.3, 1.0], np.float32), (20_000, 1)))
    found = np.asarray(draw(jax.random.key(1), values, None)).mean(0)
    np.testing.assert_allclose(found, [0, 0.3, 1], atol=0.02)


def test_dynamic_keeps_means_for_training_and_draws_the_rest_once():
    raw = DATASETS["digits"]().load()
    dynamic, static = binarize(raw, "dynamic", 0), binarize(raw, "static", 0)
    np.testing.assert_array_equal(dynamic.train.x, raw.train.x)
    np.testing.assert_array_equal(dynamic.test.x, static.test.x)
    np.testing.assert_array_equal(dynamic.validation.x, static.validation.x)
    assert set(np.unique(static.train.x)) == {0, 1}
    assert dynamic.dynamic
    assert not static.dynamic
    threshold = binarize(raw, "threshold", 0)
    np.testing.assert_array_equal(threshold.train.x, raw.train.x >= 8)
