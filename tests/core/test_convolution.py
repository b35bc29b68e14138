"""The convolution against its sums written out, and its gradient against the adjoint map."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbvi.core.placement import Placement
from sbvi.core.xla import convolution
from sbvi.core.xla.convolution import PIECES, convolved, piece_size, plain_convolution


def written_out(x, kernel, padding=None):
    """Every output pixel as its sum over the kernel, zeros beyond the edges."""
    k, w = kernel.shape[:2]
    padded = np.pad(x, ((0, 0), *(padding or (((k - 1) // 2, k // 2), ((w - 1) // 2, w // 2))), (0, 0)))
    found = np.zeros((*x.shape[:3], kernel.shape[-1]))
    for row, column in np.ndindex(x.shape[1:3]):
        found[:, row, column] = np.tensordot(padded[:, row : row + k, column : column + w], kernel, 3)
    return found


@st.composite
def paddings(draw):
    """A kernel's height and width, and where its own pixel is: in the middle, or anywhere."""
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    above, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    own = ((above, height - 1 - above), (left, width - 1 - left))
    return height, width, draw(st.sampled_from([None, own]))


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 5)] * 3), sides=paddings(), channels=st.tuples(*[st.integers(1, 3)] * 2),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_a_convolution_is_its_sum_and_its_gradient_the_adjoint(sizes, sides, channels, seed):
    """For a bilinear map f: <c, f(x, K)> = <x, f*_x(c)> = <K, f*_K(c)>."""
    rng = np.random.default_rng(seed)
    *sides, padding = sides
    with jax.enable_x64(True):
        x = rng.normal(size=(*sizes, channels[0]))
        kernel = rng.normal(size=(*sides, *channels))
        found, pull = jax.vjp(lambda x, k: convolved(x, k, padding), jnp.asarray(x), jnp.asarray(kernel))
        np.testing.assert_allclose(found, written_out(x, kernel, padding), atol=1e-12)
        cotangent = rng.normal(size=found.shape)
        to_x, to_kernel = pull(jnp.asarray(cotangent))
        moved_x, moved_kernel = rng.normal(size=x.shape), rng.normal(size=kernel.shape)
        for got, moved, by in (
            (to_x, moved_x, written_out(moved_x, kernel, padding)),
            (to_kernel, moved_kernel, written_out(x, moved_kernel, padding)),
        ):
            np.testing.assert_allclose(np.sum(got * moved), np.sum(cotangent * by), rtol=1e-9, atol=1e-9)


def test_an_accelerator_takes_the_gradient_of_jax(monkeypatch):
    """The same numbers by another program."""
    rng = np.random.default_rng(1)
    x, kernel = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((2, 5, 4, 3), (3, 3, 3, 2)))
    cotangent = jnp.asarray(rng.normal(size=(2, 5, 4, 2)), jnp.float32)
    ours = jax.vjp(convolved, x, kernel)[1](cotangent)
    monkeypatch.setattr(convolution, "for_cpu", lambda: False)
    assert "custom_vjp" not in str(jax.make_jaxpr(convolved)(x, kernel))
    for a, b in zip(ours, jax.vjp(convolved, x, kernel)[1](cotangent), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def gradients(form, rows):
    """Of a sum weighed by a cotangent, for x of so many rows and for the kernel, in float64."""
    rng = np.random.default_rng(rows)
    x, kernel, weights = (rng.normal(size=shape) for shape in ((rows, 4, 3, 2), (3, 3, 2, 5), (rows, 4, 3, 5)))
    return jax.jit(jax.grad(lambda x, k: jnp.sum(weights * form(x, k)), (0, 1))), (jnp.asarray(x), jnp.asarray(kernel))


@pytest.mark.parametrize("rows", [28, 29, 50, 53, 100, 128])
def test_a_kernels_gradient_is_the_sum_over_its_pieces(rows):
    """Batches that pieces fill and batches that they do not."""
    with jax.enable_x64(True):
        ours, at = gradients(convolved, rows)
        for a, b in zip(ours(*at), gradients(plain_convolution, rows)[0](*at), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@given(rows=st.integers(1, 5000))
def test_pieces_are_filled_to_three_quarters_at_least(rows):
    size = piece_size(rows)
    assert size == rows if rows <= max(PIECES) else size in PIECES
    filled = -(-rows // size) * size
    assert rows <= filled <= rows * 4 / 3


def test_over_devices_no_row_of_a_piece_is_sent():
    """Of the whole gradient only the sum goes between devices, not the examples that it is of."""
    placement = Placement.over(2)
    ours, (x, kernel) = gradients(convolved, 100)
    program = ours.lower(placement.split(x, 0), placement.replicated(kernel)).compile().as_text()
    assert "all-reduce" in program
    assert not re.search("all-gather|all-to-all|collective-permute", program)
