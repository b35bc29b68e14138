"""What every prior over stochastic nodes offers."""

from collections.abc import Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.distributions.gaussian import Gaussian

Array = jax.Array


class Prior(Protocol):
    """p(z) over the nodes of a model; sizes: node -> K. Its own parameters, if any, are the first argument."""

    sizes: Mapping[str, int]
    grids: bool  # whether `plane` has a grid

    def init(self, key: Array) -> Any:
        """Parameters; an empty tuple where there are none."""

    def sample(self, params: Any, key: Array, num: int, dtype: Any = jnp.float32) -> dict[str, Array]:
        """Draws of every node, (num, K)."""

    def log_prob(self, params: Any, latents: Mapping[str, Array]) -> dict[str, Array]:
        """log p of each node at (..., K), (...); nats."""

    def kl(self, params: Any, q: Mapping[str, Gaussian]) -> dict[str, Array] | None:
        """KL(q || p) of each node, (B,), where there is a closed form for Gaussians q, else None."""

    def plane(self, params: Any, node: str, steps: int) -> Array | np.ndarray | None:
        """A grid of steps^2 points of equal prior mass in a node of two latents, top row first."""


class PriorSpec(Protocol):
    """What a config chooses."""

    @property
    def analytic_kl(self) -> bool:
        """Whether KL(q || p) has a closed form for Gaussians q."""

    def build(self, sizes: Mapping[str, int]) -> Prior:
        """The prior over nodes of these sizes."""
