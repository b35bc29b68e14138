"""An exponential of numbers that are not positive, for sums in which one follows a one: 1 + exp(-|l|).

XLA's CPU compiler makes twenty-two vector instructions of an exponential. Half of them keep its ends, its relative
error and large results right, of which 1 + exp(-|l|) keeps nothing. Here are fifteen, with

    exp(x) = 2^n 2^f,   n = round(x log2 e),   f in [-1/2, 1/2]

2^f by its minimax polynomial, which is 1 at f = 0, and 2^n by adding n to the exponent's bits.
Benchmark: `scripts/benchmark_xla_tricks.py exponential`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.xla import for_cpu

Array = jax.Array

#: 2^f on [-1/2, 1/2], from the constant up: relative error 2e-9.
POLYNOMIAL = (1.0, 0.6931471825, 0.2402264774, 0.05550332367, 0.009618436918, 0.001339887735, 0.0001535337069)
#: Adding it to a number of at most 2^22 leaves that number's nearest integer in the lowest bits.
ROUNDS = np.float32(1.5 * 2**23)
LOWEST = np.float32(-87)  # 2^n stays a normal number


@jax.custom_jvp
def exp_nonpositive(x: Array) -> Array:
    """exp(x) for x <= 0 in float32, off by at most 7e-8, as one plus it is by rounding; `jnp.exp` in other dtypes and
    on an accelerator. Below -87 it is exp(-87) = 2e-38, and at a NaN any number.
    """
    return _of_float32(x) if x.dtype == jnp.float32 and for_cpu() else jnp.exp(x)


@exp_nonpositive.defjvp
def _jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Array, Array]:
    value = exp_nonpositive(*primals)
    return value, value * tangents[0]


@jax.jit  # traced once for the slices of a row
def _of_float32(x: Array) -> Array:
    octaves = jnp.maximum(x, LOWEST) * np.float32(np.log2(np.e))
    # Not by adding and subtracting, which XLA takes for nothing done.
    bits = jax.lax.bitcast_convert_type(octaves + ROUNDS, jnp.int32)
    whole = bits - ROUNDS.view(np.int32)
    f = octaves - whole.astype(jnp.float32)
    value = jnp.full_like(f, POLYNOMIAL[-1])
    for coefficient in POLYNOMIAL[-2::-1]:
        value = value * f + np.float32(coefficient)
    exponent = jax.lax.shift_left(whole, jnp.full_like(whole, 23))
    return jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(value, jnp.int32) + exponent, jnp.float32)
