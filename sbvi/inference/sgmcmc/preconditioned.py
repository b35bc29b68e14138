"""Preconditioned SGLD (Li et al. 2016): Langevin dynamics whose step is scaled element by element,

    v <- s v + (1 - s) (g / g0)^2,   G = 1 / (e + sqrt(v)),   theta <- theta + h G g + sqrt(2 h G) n,

with g0 the number of terms in the log density, so that v is of one term's size. The term with the derivative of G is
left out, as the authors do: the bias is of the order of (1 - s).
"""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.core import Positive, Probability, spec
from sbvi.inference.sgmcmc.kernel import Array, Gradient, Tree, standard_normal


class PreconditionedState(NamedTuple):
    """position, and the running mean square of the gradient."""

    position: Tree
    square: Tree


@spec
class Preconditioned:
    """SGLD with the preconditioner of RMSprop. terms: g0, what gradients are divided by within v."""

    smoothing: Probability = 0.99
    """s, the decay of the mean square gradient."""
    floor: Positive = 1e-5
    """e, added to the root of the mean square gradient of one example."""
    terms: Positive = 1.0
    """g0, the number of examples that the log density is a sum over."""

    inertia: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = False

    def init(self, key: Array, position: Tree, step_size: Array) -> PreconditionedState:
        return PreconditionedState(position, jax.tree.map(jnp.ones_like, position))

    def step(
        self, key: Array, state: PreconditionedState, gradient: Gradient, minibatch: Any, step_size: Array
    ) -> PreconditionedState:
        grads = gradient(state.position, minibatch)
        mixed = self.smoothing

        def moved(x: Array, g: Array, v: Array, n: Array) -> Array:
            scaled = step_size / (self.floor + jnp.sqrt(v))
            return x + scaled * g + jnp.sqrt(2 * scaled) * n

        square = jax.tree.map(lambda v, g: mixed * v + (1 - mixed) * (g / self.terms) ** 2, state.square, grads)
        noise = standard_normal(key, state.position)
        return PreconditionedState(jax.tree.map(moved, state.position, grads, square, noise), square)

    def monitors(self, state: PreconditionedState, step_size: Array) -> dict[str, Array]:
        return {}
