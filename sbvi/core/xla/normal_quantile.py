"""Standard normal noise from uniform numbers, by the inverse of the distribution function (Giles 2010,
"Approximating the erfinv function").

    sqrt(2) erfinv(u) = u P(w),   w = -log((1 - u)(1 + u)),   -1 < u < 1

P is a polynomial in w - 2.5 below w = 5, one in sqrt(w) - 3 from there. XLA takes w as -log1p(-u^2), where u^2 is
rounded: 2e-5 is lost of the noise beyond three deviations. And P needs no relative error of w near 0, nor does w take
the ends of a logarithm: here is one of normal numbers up to 1 alone,

    log t = n log 2 + log m,   t = 2^n m,   m in [3/4, 3/2)

with log m by a polynomial in m - 1.
Benchmark: `scripts/benchmark_xla_tricks.py normal`.
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

#: log(1 + f) / f on [-1/4, 1/2], from the constant up: log m is off by 7e-8.
LOGARITHM = (
    *(1.000000145, -0.5000021993, 0.3332980956, -0.249765393),
    *(0.2010636735, -0.1737388629, 0.1414902892, -0.06665578574),
)
#: Giles's, of erfinv(u) / u, the highest power first: below w = FAR in w - 2.5, from there in sqrt(w) - 3.
NEAR = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
TAIL = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)
FAR = np.float32(5)
#: The bits of 3/4: what lies between them and those of t says how often t is doubled.
LEAST = np.float32(0.75).view(np.int32)


@jax.jit  # traced once for a shape
def normal_quantile(u: Array) -> Array:
    """x of u = 2 Phi(x) - 1, float32, within 1.5e-6 and a relative 4e-7; u: float32, at most 1 - 2^-24 of size."""
    w = -_logarithm((1 - u) * (1 + u))
    near = w < FAR
    v = jnp.where(near, w - np.float32(2.5), jnp.sqrt(w) - 3)
    coefficients = zip(*(np.sqrt(2) * np.array(each) for each in (NEAR, TAIL)), strict=True)
    value = jnp.zeros_like(u)
    for low, high in coefficients:
        value = value * v + jnp.where(near, np.float32(low), np.float32(high))
    return u * value


def _logarithm(t: Array) -> Array:
    """log t, t in [2^-126, 1]; 0 at 1."""
    bits = jax.lax.bitcast_convert_type(t, jnp.int32)
    n = jax.lax.shift_right_arithmetic(bits - LEAST, jnp.full_like(bits, 23))
    f = jax.lax.bitcast_convert_type(bits - jax.lax.shift_left(n, jnp.full_like(n, 23)), jnp.float32) - 1
    value = jnp.full_like(f, LOGARITHM[-1])
    for coefficient in LOGARITHM[-2::-1]:
        value = value * f + np.float32(coefficient)
    return value * f + n.astype(jnp.float32) * np.float32(np.log(2))
