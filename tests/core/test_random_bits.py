"""The generator against JAX's own, and what is made of its words against their distributions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.extend.random import threefry2x32_p
from scipy import special, stats

from sbvi.core.xla.normal_quantile import normal_quantile
from sbvi.core.xla.random_bits import halves, normal, threefry, uniform, words

WORD = st.integers(0, 2**32 - 1).map(np.uint32)


@given(WORD, WORD, st.lists(st.tuples(WORD, WORD), min_size=1, max_size=8))
def test_threefry_is_jaxs(one, other, counters):
    row, column = (jnp.asarray(c, jnp.uint32) for c in zip(*counters, strict=True))
    expected = threefry2x32_p.bind(jnp.uint32(one), jnp.uint32(other), row, column)
    found = jax.jit(threefry)(jnp.uint32(one), jnp.uint32(other), row, column)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
def test_random_halves_are_uniform_and_independent(implementation):
    """Of every bit the mean, and of every two places in a row (which may share a word) the correlation."""
    rows, width = 20_000, 10
    found = np.asarray(halves(jax.random.key(0, impl=implementation), rows, width))
    assert found.shape == (rows, width)
    assert found.max() < 1 << 16
    bits = (found[:, :, None] >> np.arange(16)) & 1
    assert np.abs(bits.mean(0) - 0.5).max() < 5 * 0.5 / np.sqrt(rows)
    assert np.abs(np.corrcoef(bits.reshape(rows, -1).T) - np.eye(16 * width)).max() < 6 / np.sqrt(rows)
    other = np.asarray(halves(jax.random.key(1, impl=implementation), rows, width))
    assert np.abs(np.corrcoef(found.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(rows * width)


def test_a_rows_bits_are_of_the_key_and_the_row():
    many, few = (np.asarray(halves(jax.random.key(2), rows, 7)) for rows in (50, 20))
    np.testing.assert_array_equal(many[:20], few)
    assert len(np.unique(many, axis=0)) == 50


def test_words_of_one_array_are_all_different():
    found = np.asarray(words(jax.random.key(3), (5, 40, 11)))
    assert len(np.unique(found)) == found.size  # 2,200 of 2^32: two alike have a chance of 1 in 1,800


@pytest.mark.parametrize("shape", [(4000, 3), (3, 1000, 5), (2, 3, 500, 4)])
def test_normal_noise_is_standard_normal(shape):
    found = np.asarray(normal(jax.random.key(7), shape))
    assert found.shape == shape
    assert found.dtype == np.float32
    assert stats.kstest(found.ravel(), "norm").pvalue > 1e-3
    last = found.reshape(-1, shape[-1])
    assert np.abs(np.corrcoef(last.T) - np.eye(last.shape[1])).max() < 5 / np.sqrt(len(last))


def test_normal_noise_of_a_row_is_of_the_key_the_row_and_the_sample():
    """More rows, or more samples, leave those that were there as they are."""
    many, few = (np.asarray(normal(jax.random.key(2), (s, rows, 7))) for s, rows in ((6, 50), (4, 20)))
    np.testing.assert_array_equal(many[:4, :20], few)
    assert len(np.unique(many.reshape(-1, 7), axis=0)) == 300


def test_normal_noise_in_double_precision_is_jaxs():
    with jax.enable_x64(True):
        key = jax.random.key(0)
        found = normal(key, (3, 4), jnp.float64)
        np.testing.assert_array_equal(found, jax.random.normal(key, (3, 4), jnp.float64))


def test_the_normal_quantile_of_every_number_that_bits_give():
    """All 2^23 of them against SciPy in float64; and in order, but for steps of rounding."""
    u = jax.jit(uniform)(jnp.arange(2**23, dtype=jnp.uint32) << jnp.uint32(9))
    found, exact = np.asarray(normal_quantile(u), np.float64), np.sqrt(2) * special.erfinv(np.asarray(u, np.float64))
    off = np.abs(found - exact)
    assert off.max() < 1.5e-6
    assert np.max(off[exact != 0] / np.abs(exact[exact != 0])) < 4e-7
    assert np.diff(found).min() > -5e-7
    assert abs(found.mean()) < 1e-6
    assert found.std() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("word", [0, 2**31, 2**32 - 1])
def test_no_word_gives_infinite_noise(word, monkeypatch):
    monkeypatch.setattr("sbvi.core.xla.random_bits.words", lambda key, shape: jnp.full(shape, word, jnp.uint32))
    found = np.asarray(normal(jax.random.key(0), (1, 2)))
    assert np.isfinite(found).all()
    low, high = stats.norm.ppf([2**-25, 1 - 2**-25])
    assert ((found >= low) & (found <= high)).all()
    assert (np.sign(found) == np.sign(word - 2**31) if word != 2**31 else np.abs(found) < 1e-6).all()
