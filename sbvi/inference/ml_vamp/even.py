"""The trapezoidal rule for a smooth unit, which says itself where it is enough.

For an analytic density that vanishes at both ends, the rule's error is about exp(-c / h) for steps h, and twice the
step has the square root of it. So what every other point finds tells how good all of them are. It does not tell of
mass beyond the last point, where a flat unit that contradicts the message from above may turn to what that says: there
is at most what the message from below has in its tails, times the peak of the one from above, and the rule is enough
where it finds far more than that.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.inference.ml_vamp.messages import Message, log_normal

Array = jax.Array

_REACH = 8.5  # standard deviations of the message from below
_HALVED = 3e-5  # the greatest error of half of the points, relative to mass and deviation; all of them have its square
_FLAT = 1e-12  # a variance of the output below which its error is not relative
_ENDS = 1e-12  # the greatest share of the mass that may stand at both ends
_BEYOND = math.log(math.erfc(_REACH / math.sqrt(2)) / 1e-12)  # a mass, relative to that peak, of which tails are 1e-12


class Moments(NamedTuple):
    """log_mass: of the product of both messages.  Mean and variance of z_in and of z_out, element-wise."""

    log_mass: Array
    mean_in: Array
    variance_in: Array
    mean_out: Array
    variance_out: Array


def even(function: Callable[[Array], Array], into: Message, back: Message, count: int) -> tuple[Moments, Array]:
    """Moments of N(z; into) N(function(z); back) by `count` points, an odd number, 8.5 standard deviations of `into` to
    each side of its mean; and (B, n) whether they are good to about 1e-9."""
    offsets = np.linspace(-_REACH, _REACH, count)
    step, scale = float(offsets[1] - offsets[0]), jnp.sqrt(into.variance)
    centre = function(into.mean)
    height = log_normal(centre - back.mean, back.variance)

    def add(carry: tuple[Array, Array], point: tuple[Array, ...]) -> tuple[tuple[Array, Array], Array]:
        every, other = carry
        offset, log_weight, even = point
        value = function(into.mean + offset * scale)
        weight = jnp.exp(log_normal(value - back.mean, back.variance) - height + log_weight)
        shift, lean = value - centre, offset * weight
        parts = jnp.stack([weight, lean, offset * lean, shift * weight, shift**2 * weight])
        return (every + parts, other + even * parts), weight

    points = tuple(jnp.asarray(a) for a in (offsets, -0.5 * offsets**2, 1.0 - np.arange(count) % 2))
    none = jnp.zeros((5, *height.shape), height.dtype)
    (sums, halved), weights = jax.lax.scan(add, (none, none), points, unroll=4)
    mass = sums[0]
    first, second, out, square = sums[1:] / mass[None]
    apart = jnp.abs(2 * halved - sums) / mass[None]
    fine = (apart[0] < _HALVED) & (apart[1] < _HALVED) & (weights[0] + weights[-1] < _ENDS * mass)
    # Where the message from above is wide, the unit bends faster than the product of both messages.
    size = square + _FLAT
    fine &= (apart[3] < _HALVED * jnp.sqrt(size)) & (apart[4] < _HALVED * size)
    log_mass = height + jnp.log(mass * (step / float(np.sqrt(2 * np.pi))))
    fine &= log_mass - log_normal(jnp.zeros_like(log_mass), back.variance) > _BEYOND
    moments = into.mean + scale * first, into.variance * (second - first**2), centre + out, square - out**2
    return Moments(log_mass, *moments), fine
