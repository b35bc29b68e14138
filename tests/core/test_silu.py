"""x sigmoid(x) and its derivatives against NumPy's in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.core.xla import silu as module
from sbvi.core.xla.silu import silu

pytestmark = pytest.mark.quick

FAR = np.exp(np.linspace(np.log(1e-8), np.log(300), 4001))
X = np.concatenate([-FAR[::-1], [0.0, -0.0], FAR])


def written_out(x):
    """silu, its derivative and its second one."""
    s = 1 / (1 + np.exp(-x))
    slope = s * (1 - s)
    return x * s, s + x * slope, slope * (2 + x * (1 - 2 * s))


def derivatives(x):
    first, second = jax.grad(silu), jax.grad(jax.grad(silu))
    return [jax.jit(jax.vmap(f))(x) for f in (silu, first, second)]


def test_it_and_two_derivatives_are_right_to_rounding():
    held = X.astype(np.float32)
    for found, wanted in zip(derivatives(jnp.asarray(held)), written_out(held.astype(np.float64)), strict=True):
        assert found.dtype == jnp.float32
        assert np.max(np.abs(np.asarray(found, np.float64) - wanted) / (1 + np.abs(X))) < 2e-7


def test_in_float64_it_is_exact():
    with jax.enable_x64(True):
        for found, wanted in zip(derivatives(jnp.asarray(X)), written_out(X), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)


def test_what_is_no_number_stays_none():
    x = jnp.asarray([jnp.nan, -3e38, 3e38], jnp.float32)
    value, slope = jax.vmap(jax.value_and_grad(silu))(x)
    assert np.isnan([value[0], slope[0]]).all()
    np.testing.assert_allclose([value[1:], slope[1:]], [[0, 3e38], [0, 1]], atol=10)


def test_an_accelerator_takes_jaxs_own(monkeypatch):
    monkeypatch.setattr(module, "for_cpu", lambda: False)
    x = jnp.asarray(X, jnp.float32)
    np.testing.assert_array_equal(silu(x), jax.nn.silu(x))
