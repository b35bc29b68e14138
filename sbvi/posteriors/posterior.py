"""What every posterior offers: built over the nodes of a model, then given x, then drawn from."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from sbvi.distributions.gaussian import Array
from sbvi.distributions.priors import Prior
from sbvi.gradients import Gate, Integrand, Paths
from sbvi.networks.keys import Keys

Nodes = dict[str, Array]

#: Makes a recognition network: x (B, D) to raw outputs (B, n) for each of the heads, whose output biases are given.
Recognition = Callable[[Sequence[Array], Keys], Any]


class Draws(NamedTuple):
    """S samples of q for B examples.

    latents: node -> (S, B, K).  values: the integrand there, (S, B), with the gradient rule's derivative.
    gate: see `Gate`; None unless the paths ask for one.
    log_posterior: node -> log q there, (S, B), where the way of drawing knows it with its derivatives; None where
      `Conditional.log_prob` is to be asked.
    """

    latents: Nodes
    values: Array
    gate: Gate | None
    log_posterior: Nodes | None = None


class Moments(NamedTuple):
    """Of q at one stochastic node, (B, K): of discrete latents the mean is the probability of 1.

    error: variance of the mean as an estimate from samples, independent between examples; 0 where the mean is exact.
    """

    mean: Array
    variance: Array
    error: Array


#: Samples behind the moments of posteriors that have them in no closed form.
MOMENT_SAMPLES = 64


def sampled_moments(q: "Conditional") -> dict[str, Moments]:
    """Moments of MOMENT_SAMPLES samples, the same ones at every call."""
    drawn = q.draw(jax.random.key(0), MOMENT_SAMPLES)
    spread = {node: jnp.var(z, axis=0, ddof=1) for node, z in drawn.items()}
    return {n: Moments(jnp.mean(z, 0), spread[n], spread[n] / MOMENT_SAMPLES) for n, z in drawn.items()}


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

    def moments(self) -> dict[str, Moments]:
        """Moments of every node given x alone: exact, or of MOMENT_SAMPLES samples."""

    def rows(self) -> Any:
        """What there is a row of for each example: a pytree of arrays (B, ...)."""

    def with_rows(self, rows: Any) -> "Conditional":
        """The same for other examples."""


#: Mean and log-scale of p(a_l | a_{l+1}), (S, B, K_l), for activations a_l = mean + exp(log-scale) xi_l, those of the
#: top layer its noise; the log-scale is None for 0, where a_l is in units of xi_l. Of the generative parameters, l - 1
#: and a_{l+1}.
LayerGiven = Callable[[Any, int, Array], tuple[Array, Array | None]]


@runtime_checkable
class ReadsLayers(Protocol):
    """A conditional that may ask where p puts a layer given those above."""

    def with_layers(self, layer_given: LayerGiven, generative: Any) -> Conditional:
        """The same, told so."""


class Posterior(Protocol):
    """A posterior over the nodes of a model; nodes: node -> K."""

    nodes: dict[str, int]

    def init(self, key: Array) -> Any:
        """The recognition parameters."""

    def given(self, params: Any, x: Array) -> Conditional:
        """q(z | x) for x (B, D)."""


class PosteriorSpec(Protocol):
    """What a config chooses. gaussian: its nodes are independent Gaussians given x, so that a KL to N(0, I) has a
    closed form and gradient rules serve. joint: it has one node over all layers, and not one for each. A spec may have
    reads_layers: the setting by which q has parameters of the generative model in it, as its conditional `ReadsLayers`;
    empty where it has none. joins_kl: the setting by which only the sum of its layers' terms is a KL. placing: settings
    that say what its parameters mean, where shapes do not tell, by their keys."""

    gaussian: ClassVar[bool]
    joint: ClassVar[bool]

    def build(self, latents: Sequence[int], initial_scale: float, recognition: Recognition) -> Posterior:
        """The posterior over stochastic layers of these sizes; initial_scale: its first standard deviation."""
