"""The exponential of what is not positive, against NumPy's in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.core.xla import exponential
from sbvi.core.xla.exponential import exp_nonpositive

pytestmark = pytest.mark.quick


def test_it_is_the_exponential_to_the_rounding_of_one():
    near = -np.exp(np.linspace(np.log(1e-8), np.log(100), 20_001))
    x = np.concatenate([near, [0.0, -0.0, -1e4, -3e38, -np.inf]]).astype(np.float32)
    found = np.asarray(jax.jit(exp_nonpositive)(x), np.float64)
    wanted = np.exp(x.astype(np.float64))
    assert np.abs(found - wanted).max() < 7e-8
    assert np.abs(found / np.maximum(wanted, 1e-300) - 1)[(x > -87)].max() < 5e-6
    assert found[20_001] == found[20_002] == 1
    assert (found[20_003:] < 2e-38).all()
    assert (found > 0).all()


def test_its_derivative_is_itself():
    x = jnp.asarray([-30.0, -2.5, -1e-3, 0.0], jnp.float32)
    np.testing.assert_array_equal(jax.vmap(jax.grad(exp_nonpositive))(x), exp_nonpositive(x))


def test_elsewhere_it_is_jaxs(monkeypatch):
    """In float64, and on an accelerator."""
    x = np.linspace(-40, 0, 9)
    with jax.enable_x64(True):
        np.testing.assert_allclose(exp_nonpositive(jnp.asarray(x)), np.exp(x), rtol=1e-15)
    monkeypatch.setattr(exponential, "for_cpu", lambda: False)
    x = jnp.asarray(x, jnp.float32)
    np.testing.assert_array_equal(exp_nonpositive(x), jnp.exp(x))
