"""The thermostat with an element for each parameter (Du et al. 2016, after Ding et al. 2014):

    theta <- theta + h p
    p     <- (1 - a) p + h g + sqrt(2 D) n
    a     <- a + c h^2 (p^2 - 1)

element by element, D the friction of one step, from which a starts. Any pace c leaves the law of theta as it is (1 / c
is the thermostat's mass, and 1 the authors'): a moves within some 1 / (c h^2) steps, and its own standard deviation is
sqrt(c) h. Parameters whose gradients are noisier than others
get more friction than others, where a scalar thermostat has one value for all. With u = h p and eta = h^2 these are the
authors' steps u <- (1 - a) u + eta g + sqrt(2 eta D) n, a <- a + u^2 - eta; a is moved by the new momentum, in the
order of operations of BlackJAX, whose rate xi is a / h. D and a are of one step whatever its size, so that a schedule
of step sizes leaves the temperature where it is.

Those steps are explicit Euler's, whose energy grows by h^2 w a step along a direction of curvature w: the friction has
to rise by as much before it absorbs any noise. `symplectic` moves theta last, by the momentum that was just made, which
is the authors' order: energy is kept to first order, and steps can be larger.
"""

from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.core import Fraction, Positive, spec
from sbvi.inference.sgmcmc.kernel import Array, Gradient, Noise, Tree, mean_square, standard_normal


class ThermostatState(NamedTuple):
    """position, momentum and friction a, of one structure."""

    position: Tree
    momentum: Tree
    friction: Tree


def thermostat_step(
    key: Array,
    state: ThermostatState,
    grads: Tree,
    step_size: Array,
    friction: float,
    noise: Noise = standard_normal,
    pace: float = 1.0,
    symplectic: bool = False,
) -> ThermostatState:
    """One step along given gradients, which are those at the state's position; noise: draws N(0, 1) for a tree."""
    scale = jnp.asarray((2 * friction) ** 0.5, step_size.dtype)

    def pushed(p: Array, a: Array, g: Array, n: Array) -> Array:
        return (1 - a) * p + step_size * g + scale * n

    momentum = jax.tree.map(pushed, state.momentum, state.friction, grads, noise(key, state.position))
    carried = momentum if symplectic else state.momentum
    position = jax.tree.map(lambda x, p: x + step_size * p, state.position, carried)
    risen = jax.tree.map(lambda a, p: a + pace * step_size**2 * (p**2 - 1), state.friction, momentum)
    return ThermostatState(position, momentum, risen)


@spec
class Thermostat:
    """SGNHT with a thermostat for each element."""

    friction: Fraction = 0.1
    """D, the share of momentum that one step loses before the thermostats move."""
    pace: Positive = 1.0
    """c, how fast they move."""
    integrator: Literal["explicit", "symplectic"] = "explicit"
    """By which momentum the parameters move: that before the step, or that after it."""

    inertia: ClassVar[bool] = True
    looks_ahead: ClassVar[bool] = False

    def init(self, key: Array, position: Tree, step_size: Array) -> ThermostatState:
        friction = jax.tree.map(lambda leaf: jnp.full_like(leaf, self.friction), position)
        return ThermostatState(position, standard_normal(key, position), friction)

    def step(
        self, key: Array, state: ThermostatState, gradient: Gradient, minibatch: Any, step_size: Array
    ) -> ThermostatState:
        grads = gradient(state.position, minibatch)
        symplectic = self.integrator == "symplectic"
        return thermostat_step(key, state, grads, step_size, self.friction, pace=self.pace, symplectic=symplectic)

    def monitors(self, state: ThermostatState, step_size: Array) -> dict[str, Array]:
        leaves = jax.tree.leaves(state.friction)
        mean = sum(jnp.sum(leaf) for leaf in leaves) / sum(leaf.size for leaf in leaves)
        return {"temperature": mean_square(state.momentum), "thermostat": mean}
