"""What every posterior offers: built over the nodes of a model, then given x, then drawn from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from flax import nnx

from sbvi.distributions.gaussian import Array, Gaussian
from sbvi.distributions.priors import Prior
from sbvi.gradients import Gate, Integrand, Paths

Nodes = dict[str, Array]

#: Makes a recognition network: x (B, D) to raw outputs (B, n) for each of the heads, whose output biases are given.
Recognition = Callable[[Sequence[Array], nnx.Rngs], Any]


class Draws(NamedTuple):
    """S samples of q for B examples.

    latents: node -> (S, B, K).  values: the integrand there, (S, B), with the gradient rule's derivative.
    gate: see `Gate`; None unless the paths ask for one.
    """

    latents: Nodes
    values: Array
    gate: Gate | None


class Conditional(Protocol):
    """q(z | x) for a batch of x."""

    def sample(self, key: Array, num_samples: int, integrand: Integrand, paths: Paths) -> Draws:
        """Samples, and the integrand at them."""

    def draw(self, key: Array, num_samples: int) -> Nodes:
        """Samples alone, node -> (S, B, K)."""

    def log_prob(self, latents: Nodes, *, detached: bool = False) -> Nodes:
        """log q at latents (S, B, K), node -> (S, B); detached: without the derivative in q's own parameters."""

    def kl(self, prior: Prior, params: Any) -> Nodes | None:
        """KL(q || p), node -> (B,), where it has a closed form."""

    def gaussians(self) -> Mapping[str, Gaussian]:
        """The nodes' Gaussians."""


class Posterior(Protocol):
    """A posterior over the nodes of a model; nodes: node -> K."""

    nodes: dict[str, int]

    def init(self, key: Array) -> Any:
        """The recognition parameters."""

    def given(self, params: Any, x: Array) -> Conditional:
        """q(z | x) for x (B, D)."""


class PosteriorSpec(Protocol):
    """What a config chooses."""

    def build(self, latents: Sequence[int], initial_scale: float, recognition: Recognition) -> Posterior:
        """The posterior over stochastic layers of these sizes; initial_scale: its first standard deviation."""
