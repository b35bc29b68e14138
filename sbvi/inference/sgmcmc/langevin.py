"""BlackJAX's stochastic gradient kernels behind `Kernel`: Langevin dynamics, Hamiltonian with friction, and the
Nosé-Hoover thermostat with one scalar for all elements.

Their friction alpha is a rate; here it is D = alpha h of one step, h the step size.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from sbvi.core import Fraction, PositiveInt, spec
from sbvi.inference.sgmcmc.kernel import Array, Gradient, Position, Tree, mean_square


def _mixed() -> Any:
    """BlackJAX mixes scalars of Python and of arrays, and vectors with scalars."""
    return jax.numpy_dtype_promotion("standard")


@spec
class Langevin:
    """SGLD (Welling & Teh 2011): theta <- theta + h g + sqrt(2 h) n.

    Noise in g is not made up for: the stationary variance is too large by its share.
    """

    inertia: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = False

    def init(self, key: Array, position: Tree, step_size: Array) -> Position:
        return Position(position)

    def step(self, key: Array, state: Position, gradient: Gradient, minibatch: Any, step_size: Array) -> Position:
        from blackjax.sgmcmc import sgld  # takes a second, which a run that needs none should not wait

        with _mixed():
            return Position(sgld.build_kernel()(key, state.position, gradient, minibatch, step_size))

    def monitors(self, state: Position, step_size: Array) -> dict[str, Array]:
        return {}


@spec
class Hamiltonian:
    """SGHMC (Chen, Fox & Guestrin 2014): every step draws momenta anew and moves them with friction and noise.

    Each of its moves asks for a gradient of its own, on the same mini-batch.
    """

    friction: Fraction = 0.1
    """D, the share of momentum that one move loses."""
    integration_steps: PositiveInt = 10
    """Moves of one step."""

    inertia: ClassVar[bool] = True
    looks_ahead: ClassVar[bool] = True

    def init(self, key: Array, position: Tree, step_size: Array) -> Position:
        return Position(position)

    def step(self, key: Array, state: Position, gradient: Gradient, minibatch: Any, step_size: Array) -> Position:
        from blackjax.sgmcmc import sghmc  # see `Langevin`

        with _mixed():
            kernel = sghmc.build_kernel(alpha=self.friction / step_size)
            moves = self.integration_steps
            return Position(kernel(key, state.position, gradient, minibatch, step_size, moves))

    def monitors(self, state: Position, step_size: Array) -> dict[str, Array]:
        return {}


@spec
class NoseHoover:
    """SGNHT (Ding et al. 2014) with a scalar thermostat xi, as BlackJAX has it:

        theta <- theta + h p
        p     <- (1 - h xi) p + h g + sqrt(2 D) n
        xi    <- xi + h (mean(p^2) - 1)

    xi rises until the momenta have the temperature 1, whatever noise g has. The state holds h xi, the friction of one
    step, so that a schedule of step sizes leaves the temperature where it is.
    """

    friction: Fraction = 0.1
    """D, the share of momentum that one step loses before the thermostat moves."""

    inertia: ClassVar[bool] = True
    looks_ahead: ClassVar[bool] = False

    def init(self, key: Array, position: Tree, step_size: Array) -> Any:
        from blackjax.sgmcmc import sgnht  # see `Langevin`

        with _mixed():
            return sgnht.init(position, key, jnp.asarray(self.friction, step_size.dtype))

    def step(self, key: Array, state: Any, gradient: Gradient, minibatch: Any, step_size: Array) -> Any:
        from blackjax.sgmcmc import sgnht  # see `Langevin`

        with _mixed():
            kernel = sgnht.build_kernel(alpha=self.friction / step_size)
            moved = kernel(key, state._replace(xi=state.xi / step_size), gradient, minibatch, step_size)
            return moved._replace(xi=moved.xi * step_size)

    def monitors(self, state: Any, step_size: Array) -> dict[str, Array]:
        return {"temperature": mean_square(state.momentum), "thermostat": state.xi}
