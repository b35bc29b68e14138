"""x sigmoid(x), of vector instructions whatever the shape.

XLA's CPU compiler unrolls a loop over few channels, such as 32 of an image, before it looks for vectors: of 1 / (1 +
exp(-x)) each exponential is then made by itself, eight times as slow. With exp(-|x|), and with an exponential that
keeps what one plus it keeps, vectors are found first, and other shapes gain a little too. On an accelerator it is
JAX's own.
Benchmark: `scripts/benchmark_xla_tricks.py silu silu_images`.
"""

from typing import Any

import jax
import jax.numpy as jnp

from sbvi.core.xla import for_cpu
from sbvi.core.xla.exponential import exp_nonpositive

Array = jax.Array


def silu(x: Array) -> Array:
    """x / (1 + exp(-x)), off by at most 2e-7 times 1 + |x| in float32; a NaN stays one."""
    return x * _sigmoid(x) if for_cpu() else jax.nn.silu(x)


@jax.custom_jvp
def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), or at a NaN any number."""
    small = exp_nonpositive(-jnp.abs(x))
    return jnp.where(x >= 0, jnp.ones_like(x), small) / (1 + small)


@_sigmoid.defjvp
def _jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Array, Array]:
    value = _sigmoid(*primals)
    return value, tangents[0] * (value * (1 - value))
