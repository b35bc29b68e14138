"""Moments of a normal variable that is known to be positive, exact far into the tail.

For u ~ N(m, s^2) given u > 0 and a = m / s:  log P(u > 0) = log Phi(a),  E u = s shift,  Var u = s^2 spread with
shift = a + h,  spread = 1 - h (h + a),  h = phi(a) / Phi(a).

Far below 0 both differences cancel; below a = -6 h comes from Laplace's continued fraction
h = x + 1/(x + 2/(x + 3/(x + ...))), x = -a (Abramowitz & Stegun 26.2.14), whose own terms are the differences.

A draw n is the point above which a uniform share r of the mass lies, Q(n) = r Q(-a), Q(n) = phi(n) / h(-n). In the tail
n^2 = a^2 + 2 (log h(a) - log h(-n) - log r) is solved as it stands, since Q(-a) is too small for a float there.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

_SWITCH = -6.0
_ROUNDS = 6  # each takes what is wrong to 1 / 36 of it
_TERMS = 28  # at x = 6 what is left out is below 1e-17 of the value; with 10 it is 3e-8 of the spread
_LOG_SQRT_2PI = 0.9189385332046727


class Truncated(NamedTuple):
    """log_mass: log Phi(a). shift: a + h. spread: 1 - h (h + a), between 0 and 1. hazard: h."""

    log_mass: Array
    shift: Array
    spread: Array
    hazard: Array


def truncated(a: Array) -> Truncated:
    """Element-wise, for any finite `a`."""
    tail, body = _tail(jnp.maximum(-a, -_SWITCH)), _body(jnp.maximum(a, _SWITCH))
    return jax.tree.map(lambda t, b: jnp.where(a < _SWITCH, t, b), tail, body)


def above(key: Array, a: Array) -> Array:
    """A draw of n ~ N(0, 1) given n > -a, element-wise, for any `a` with a finite square."""
    half = jnp.asarray(jnp.finfo(a.dtype).eps / 2, a.dtype)
    share = jax.random.uniform(key, a.shape, a.dtype) + half  # neither 0 nor 1
    body = -jax.scipy.special.ndtri(jnp.minimum(share * jax.scipy.special.ndtr(jnp.maximum(a, _SWITCH)), 1 - half))
    start = jnp.minimum(a, _SWITCH)
    least, rest = truncated(start).hazard, -jnp.log(share)

    def again(_: int, n: Array) -> Array:
        # A contraction: log h changes with n as 1 / n, and n with the excess as 1 / n.
        excess = rest + jnp.log(least / truncated(-n).hazard)
        return jnp.sqrt(start**2 + 2 * excess)

    tail = jax.lax.fori_loop(0, _ROUNDS, again, -start)
    return jnp.where(a < _SWITCH, tail, body)


def _tail(x: Array) -> Truncated:
    third = x
    for term in range(_TERMS, 2, -1):
        third = x + term / third  # ends as x + 3 / (x + 4 / (x + ...))
    second = x + 2 / third
    shift = 1 / second
    hazard = x + shift
    log_mass = -0.5 * x**2 - _LOG_SQRT_2PI - jnp.log(hazard)
    return Truncated(log_mass, shift, shift * (2 / third - shift), hazard)


def _body(a: Array) -> Truncated:
    outer = 0.5 * jax.scipy.special.erfc(jnp.abs(a) / jnp.sqrt(2.0))  # Phi(-|a|)
    mass = jnp.where(a > 0, 1 - outer, outer)
    hazard = jnp.exp(-0.5 * a**2 - _LOG_SQRT_2PI) / mass
    log_mass = jnp.where(a > 0, jnp.log1p(-outer), jnp.log(mass))
    return Truncated(log_mass, a + hazard, 1 - hazard * (hazard + a), hazard)
