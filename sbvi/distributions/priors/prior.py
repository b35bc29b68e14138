"""What every prior over stochastic nodes offers."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.distributions.gaussian import Gaussian

Array = jax.Array

#: What the recognition model says of inputs (M, D): node -> M Gaussians.
Encode = Callable[[Array], Mapping[str, Gaussian]]


class Prior(Protocol):
    """p(z) over the nodes of a model; sizes: node -> K. What `prepare` made of its own parameters is the first
    argument of the rest."""

    sizes: Mapping[str, int]
    """Node -> K, as `build` was given them."""
    grids: bool
    """Whether `plane` has a grid, of which the picture of a run with two latents is made; where it has none, that is of
    the two latents' quantiles over draws."""
    inputs: int
    """Training examples that its parameters start from; 0 where they start from none."""

    def init(self, key: Array, inputs: Array) -> Any:
        """Parameters, from examples (inputs, D) of the recognition model's input; an empty tuple where there are
        none."""

    def prepare(self, params: Any, encode: Encode) -> Any:
        """What stands for the parameters from here on: themselves, but in priors that ask the recognition model."""

    def sample(self, params: Any, key: Array, num: int, dtype: Any = jnp.float32) -> dict[str, Array]:
        """Draws of every node, (num, K)."""

    def log_prob(self, params: Any, latents: Mapping[str, Array]) -> dict[str, Array]:
        """log p of each node at (..., K), (...); nats."""

    def kl(self, params: Any, q: Mapping[str, Gaussian]) -> dict[str, Array] | None:
        """KL(q || p) of each node, (B,), where there is a closed form for Gaussians q, else None."""

    def plane(self, params: Any, node: str, steps: int) -> Array | np.ndarray | None:
        """A grid of steps^2 points of equal prior mass in a node of two latents, top row first."""


#: The names of the two protocols.
PARTS = ("sizes", "grids", "inputs", "init", "prepare", "sample", "log_prob", "kl", "plane")
SPEC_PARTS = ("analytic_kl", "gaussian_posterior", "build")


def whole(prior: Any) -> Prior:
    """What a spec built, if it is all that is asked of a prior: else it is refused before a model is trained with it.

    Raises:
      UserError: what it lacks.
    """
    if lacking := [part for part in PARTS if not hasattr(prior, part)]:
        raise UserError(f"The prior {type(prior).__name__} lacks {', '.join(lacking)}; a prior has {', '.join(PARTS)}.")
    made: Prior = prior
    return made


def drawn(latents: dict[str, Array], sizes: Mapping[str, int], num: int) -> dict[str, Array]:
    """Draws of a prior over nodes of these sizes, if they are (num, K) at each node.

    Raises:
      UserError: the node, the shape and the one that it must have.
    """
    for node, size in sizes.items():
        if (shape := getattr(latents.get(node), "shape", None)) != (num, size):
            raise UserError(f"{num} draws of the prior have the shape {shape} at {node}; it must be {(num, size)}.")
    return latents


class PriorSpec(Protocol):
    """What a config chooses."""

    @property
    def analytic_kl(self) -> bool:
        """Whether KL(q || p) has a closed form for Gaussians q."""

    @property
    def gaussian_posterior(self) -> bool:
        """Whether it needs a posterior of independent Gaussians."""

    def build(self, sizes: Mapping[str, int]) -> Prior:
        """The prior over nodes of these sizes."""
