"""Products with ones against NumPy's sums and broadcasts, and each as the other's derivative."""

import jax
import numpy as np
import pytest

from sbvi.core.xla import sums
from sbvi.core.xla.sums import WHOLE, along_rows, down_columns, row_sums

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("x64")]
#: Of which both forms are tried, see `either_form`: products with ones, and plain sums.
MODULE = sums

SHAPES = [(5,), (3, 5), (2, 3, 5), (2, 1, 1)]


def draws(seed, shape):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.usefixtures("either_form")
@pytest.mark.parametrize("shape", SHAPES)
def test_row_sums_and_what_is_the_same_along_a_row(shape):
    x, y = draws(0, shape), draws(1, (*shape[:-1], 1))
    total, back = jax.vjp(row_sums, x)
    np.testing.assert_allclose(total, x.sum(-1, keepdims=True), rtol=1e-13)
    np.testing.assert_array_equal(back(y)[0], np.broadcast_to(y, shape))
    spread, back = jax.vjp(lambda v: along_rows(v, shape[-1]), y)
    np.testing.assert_array_equal(spread, np.broadcast_to(y, shape))
    np.testing.assert_allclose(back(x)[0], x.sum(-1, keepdims=True), rtol=1e-13)


@pytest.mark.usefixtures("either_form")
@pytest.mark.parametrize("rows", [(1,), (4,), (3, 4), (WHOLE,), (WHOLE + 1,), (3, 1000), (2, 59, 89)])
def test_what_is_the_same_in_every_row(rows):
    bias, cotangent = draws(2, 6), draws(3, (*rows, 6))
    spread, back = jax.vjp(lambda b: down_columns(b, rows), bias)
    np.testing.assert_array_equal(spread, np.broadcast_to(bias, (*rows, 6)))
    np.testing.assert_allclose(back(cotangent)[0], cotangent.reshape(-1, 6).sum(0), rtol=1e-12)


@pytest.mark.parametrize(("count", "error"), [(WHOLE, 1e-4), (WHOLE + 1, 2e-5), (200_000, 2e-5), (199_999, 2e-5)])
def test_the_sum_of_many_rows_keeps_its_digits_in_float32(count, error):
    """Also where the number of rows is a prime, and of a constant, whose rounding errors all have one sign."""
    for rows in (np.full((count, 3), 0.1), draws(4, (count, 3)) + 1):
        cotangent = rows.astype(np.float32)
        _, back = jax.vjp(lambda b: down_columns(b, (count,)), np.zeros(3, np.float32))
        np.testing.assert_allclose(back(cotangent)[0], cotangent.sum(0, dtype=np.float64), rtol=error)
