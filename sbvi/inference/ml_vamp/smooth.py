"""Smooth units, z_out = f(z_in) for any twice differentiable f: one-dimensional quadrature, or Newton's method.

The density of z_in is N(z; r_in, v_in) N(f(z); r_out, v_out) up to its integral. Evenly spaced points serve where they
prove to be enough (`even`); elsewhere panels around the modes. These are sought from the best of a scan, and from the
two places next to r_in where f has the value of the message above: units that fall before they rise, as silu and gelu
do, have most values below 0 twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.inference.ml_vamp.even import Moments, even
from sbvi.inference.ml_vamp.messages import Belief, Message, Mode, log_normal
from sbvi.inference.ml_vamp.quadrature import expectations, panels

Array = jax.Array

_SCAN = np.concatenate([-np.geomspace(0.05, 40.0, 20)[::-1], [0.0], np.geomspace(0.05, 40.0, 20)])
_SCALE = 0.3  # a width within which units such as tanh hardly bend
_DESCENT, _NEWTON, _HALVINGS = 15, 6, 12
_FEW, _MANY = 65, 257  # evenly spaced points
_BLOCK = 1024
_STEPS = np.array([1.0, 0.4, 0.1, 0.01])


@jax.tree_util.register_static
@dataclass(frozen=True)
class SmoothUnit:
    """function: element-wise, twice differentiable, with a scale of about 1 around 0, and each value at two places at
    most.  analytic: whether it has all derivatives, so that evenly spaced points may be tried."""

    function: Callable[[Array], Array]
    analytic: bool = False

    def estimate(self, into: Message, back: Message, mode: Mode) -> Belief:
        if mode == "map":
            parts = jnp.broadcast_arrays(into.mean, into.variance, back.mean, back.variance)
            modes = self._modes(*parts)
            best, lowest = modes[0], self._cost(modes[0], *parts)
            for other in modes[1:]:
                cost = self._cost(other, *parts)
                best, lowest = jnp.where(cost < lowest, other, best), jnp.minimum(cost, lowest)
            return self._at(best, *parts[1:])
        moments = self._moments(into, back)
        return Belief(*moments[1:], jnp.sum(moments.log_mass, axis=1))

    def _moments(self, into: Message, back: Message) -> Moments:
        """Evenly spaced points; more of them for entries that need more, and panels where that is not enough."""
        messages = jnp.broadcast_arrays(into.mean, into.variance, back.mean, back.variance)
        if not self.analytic:
            return self._by_panels(*messages)
        moments, enough = even(self.function, into, back, _FEW)
        shape, block = enough.shape, min(enough.size, _BLOCK)
        flat = [part.ravel() for part in messages]

        def mend(carry: tuple[Moments, Array]) -> tuple[Moments, Array]:
            current, left = carry
            (places,) = jnp.nonzero(left, size=block, fill_value=0)  # what fills up is done once more, to no harm
            some = [part[places] for part in flat]
            finer, enough = even(self.function, Message(*some[:2]), Message(*some[2:]), _MANY)
            mended = jax.lax.cond(jnp.all(enough), lambda: finer, partial(self._by_panels, *some))
            put = [old.at[places].set(new) for old, new in zip(current, mended, strict=True)]
            return Moments(*put), left.at[places].set(False)

        begin = Moments(*(part.ravel() for part in moments)), ~enough.ravel()
        moments, _ = jax.lax.while_loop(lambda carry: jnp.any(carry[1]), mend, begin)
        return Moments(*(part.reshape(shape) for part in moments))

    def _by_panels(self, r_in: Array, v_in: Array, r_out: Array, v_out: Array) -> Moments:
        modes = self._modes(r_in, v_in, r_out, v_out)
        widths = [jax.lax.rsqrt(self._curvature(m, v_in, r_out, v_out)) for m in modes]
        unit = (jnp.zeros_like(r_in), jnp.full_like(r_in, _SCALE))
        points, log_weights = panels([(r_in, jnp.sqrt(v_in)), unit, *zip(modes, widths, strict=True)])
        values = self.function(points)
        density = log_normal(points - r_in[..., None], v_in[..., None])
        density = density + log_normal(values - r_out[..., None], v_out[..., None])
        log_total, (first, second) = expectations(density + log_weights, [points, values])
        return Moments(log_total, *first, *second)

    def _modes(self, r_in: Array, v_in: Array, r_out: Array, v_out: Array) -> list[Array]:
        starts = self._starts(r_in, v_in, r_out, v_out)
        return [self._mode(start, r_in, v_in, r_out, v_out) for start in starts]

    def __call__(self, z: Array) -> Array:
        return self.function(z)

    def _cost(self, z: Array, r_in: Array, v_in: Array, r_out: Array, v_out: Array) -> Array:
        return 0.5 * ((z - r_in) ** 2 / v_in + (self.function(z) - r_out) ** 2 / v_out)

    def _slopes(self, z: Array) -> tuple[Array, Array, Array]:
        """f, f', f'' element-wise."""
        one = jnp.ones_like(z)

        def first(x: Array) -> tuple[Array, Array]:
            return jax.jvp(self.function, (x,), (one,))

        (value, slope), (_, bend) = jax.jvp(first, (z,), (one,))
        return value, slope, bend

    def _curvature(self, z: Array, v_in: Array, r_out: Array, v_out: Array) -> Array:
        """One over the squared width of a peak at z, positive: Gauss and Newton's curvature of the cost, and more
        where f turns, whose bend alone then makes the peak; or the cost's own where that is greater."""
        value, slope, bend = self._slopes(z)
        turning = 1 / v_in + slope**2 / v_out + 0.5 * jnp.abs(bend) * jax.lax.rsqrt(v_out)
        return jnp.maximum(turning, 1 / v_in + (slope**2 + (value - r_out) * bend) / v_out)

    def _starts(self, r_in: Array, v_in: Array, r_out: Array, v_out: Array) -> list[Array]:
        """Of fixed points around 0 and around r_in the one of the least cost; and the two places next to r_in where f
        passes r_out from one point to the next, or where it is nearest to r_out."""
        scan = jnp.asarray(_SCAN).reshape((1,) * r_in.ndim + (-1,))
        around = jnp.broadcast_to(scan, (*r_in.shape, scan.shape[-1]))
        points = jnp.concatenate([around, r_in[..., None] + jnp.sqrt(v_in)[..., None] * scan], axis=-1)
        points = jnp.sort(points, axis=-1)

        def at(place: Array, values: Array = points) -> Array:
            return jnp.take_along_axis(values, place[..., None], axis=-1)[..., 0]

        cost = self._cost(points, r_in[..., None], v_in[..., None], r_out[..., None], v_out[..., None])
        apart = self.function(points) - r_out[..., None]
        nearest = at(jnp.argmin(jnp.abs(apart), axis=-1))
        low, high = points[..., :-1], points[..., 1:]
        far = jnp.maximum(jnp.maximum(low - r_in[..., None], r_in[..., None] - high), 0.0)
        far = jnp.where((apart[..., :-1] > 0) != (apart[..., 1:] > 0), far, jnp.inf)
        starts = [at(jnp.argmin(cost, axis=-1))]
        for _ in range(2):
            place = jnp.argmin(far, axis=-1)
            root = self._root(at(place, low), at(place, high), r_out)
            starts.append(jnp.where(jnp.isfinite(at(place, far)), root, nearest))
            far = jnp.where(jax.nn.one_hot(place, far.shape[-1], dtype=bool), jnp.inf, far)
        return starts

    def _root(self, low: Array, high: Array, value: Array) -> Array:
        """Where f is `value` between two points on either side of it, to 1e-4 of the way between them."""
        rising = self.function(high) > value

        def halve(turn: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            middle = 0.5 * (ends[0] + ends[1])
            beyond = (self.function(middle) > value) == rising
            return jnp.where(beyond, ends[0], middle), jnp.where(beyond, middle, ends[1])

        low, high = jax.lax.fori_loop(0, _HALVINGS, halve, (low, high))
        return 0.5 * (low + high)

    def _mode(self, z: Array, r_in: Array, v_in: Array, r_out: Array, v_out: Array) -> Array:
        """Descend from z to a local minimum of the cost, then sharpen it by Newton's method."""

        def cost(x: Array) -> Array:
            return self._cost(x, r_in, v_in, r_out, v_out)

        def parts(x: Array) -> tuple[Array, Array, Array]:
            value, slope, bend = self._slopes(x)
            gradient = (x - r_in) / v_in + (value - r_out) * slope / v_out
            positive = 1 / v_in + slope**2 / v_out
            return gradient, positive, positive + (value - r_out) * bend / v_out

        def descend(turn: int, x: Array) -> Array:
            gradient, positive, whole = parts(x)
            step = gradient / jnp.where(whole > 0.1 * positive, whole, positive)
            best, lowest = x, cost(x)
            for size in _STEPS:
                trial = x - float(size) * step
                height = cost(trial)
                best = jnp.where(height < lowest, trial, best)
                lowest = jnp.minimum(height, lowest)
            return best

        def sharpen(turn: int, x: Array) -> Array:
            gradient, _, whole = parts(x)
            step = gradient / whole
            near = (whole > 0) & (jnp.abs(step) < 0.1 * (1 + jnp.abs(x)))
            return jnp.where(near, x - step, x)

        return jax.lax.fori_loop(0, _NEWTON, sharpen, jax.lax.fori_loop(0, _DESCENT, descend, z))

    def _at(self, z: Array, v_in: Array, r_out: Array, v_out: Array) -> Belief:
        """The mode's belief: variances are the derivatives of the mode by each message's mean, times its variance."""
        value, slope, bend = self._slopes(z)
        whole = 1 / v_in + (slope**2 + (value - r_out) * bend) / v_out
        spread = 1 / jnp.maximum(whole, 1e-12 / v_in)
        return Belief(z, spread, value, slope**2 * spread, jnp.zeros(z.shape[:1], z.dtype))
