"""What a kernel is, and noise for a tree."""

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from sbvi.core.xla.random_bits import normal

Array = jax.Array
Tree = Any
#: (position, mini-batch) -> an unbiased, or nearly unbiased, estimate of the gradient of the log density.
Gradient = Callable[[Tree, Any], Tree]
Noise = Callable[[Array, Tree], Tree]


class Position(NamedTuple):
    """The state of a kernel without memory."""

    position: Tree


class Kernel(Protocol):
    """inertia: whether positions have momenta, so that the step size is the square root of what multiplies the
    gradient.  looks_ahead: whether a step asks for gradients elsewhere than at its state's position."""

    inertia: ClassVar[bool]
    looks_ahead: ClassVar[bool]

    def init(self, key: Array, position: Tree, step_size: Array) -> Any:
        """The first state; its `position` is the given one."""

    def step(self, key: Array, state: Any, gradient: Gradient, minibatch: Any, step_size: Array) -> Any:
        """The next state."""

    def monitors(self, state: Any, step_size: Array) -> dict[str, Array]:
        """Scalars that tell how the chain does: `temperature`, the mean square momentum, whose target is 1;
        `thermostat`, the mean friction of one step."""


def standard_normal(key: Array, tree: Tree) -> Tree:
    """N(0, 1) for every element of a tree; one stream of bits for all leaves."""
    leaves, structure = jax.tree.flatten(tree)
    sizes = [math.prod(leaf.shape) for leaf in leaves]
    drawn = normal(key, (1, sum(sizes)), leaves[0].dtype)[0]
    noise, start = [], 0
    for leaf, size in zip(leaves, sizes, strict=True):
        noise.append(drawn[start : start + size].reshape(leaf.shape).astype(leaf.dtype))
        start += size
    return jax.tree.unflatten(structure, noise)


def mean_square(tree: Tree) -> Array:
    """Over all elements of all leaves."""
    leaves = jax.tree.leaves(tree)
    total = sum(jnp.sum(leaf**2) for leaf in leaves)
    return total / sum(math.prod(leaf.shape) for leaf in leaves)
