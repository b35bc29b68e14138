"""What models with latent variables offer: rollouts, the joint density, posteriors and their layers."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp

from sbvi.distributions.gaussian import Gaussian
from sbvi.distributions.priors import Prior
from sbvi.gradients import STANDARD, Composite, Paths
from sbvi.models.rollout import Noise, Rollout
from sbvi.models.values import Affine, Array, Latents, Params, Samples
from sbvi.posteriors import Conditional


@runtime_checkable
class LatentVariable(Protocol):
    """p(x, z) with a recognition model q(z | x), over stochastic nodes."""

    def latent_sizes(self) -> dict[str, int]:
        """Stochastic node -> number of latents K."""

    def rollout(
        self,
        params: Params,
        key: Array,
        x: Array,
        num_samples: int,
        *,
        noise: Noise | None = None,
        paths: Paths = STANDARD,
    ) -> Rollout:
        """S samples of q for x (B, D), scored."""

    def sample_joint(self, params: Params, key: Array, num: int, dtype: Any = jnp.float32) -> tuple[Latents, Samples]:
        """(z, x) ~ p: node -> (num, K), and x with its means."""

    def factorises(self) -> bool:
        """Whether the values of x are independent given z."""

    def observe(self, params: Params, key: Array, latents: Latents) -> Samples:
        """E[x | z] and a draw of x, both (..., D), for latents (..., K)."""

    def decode(self, params: Params, latents: Latents) -> Array:
        """E[x | z], (..., D)."""

    def log_joint(self, params: Params, latents: Latents, x: Array) -> Array:
        """log p(x, z) for latents (S, B, K) and x (B, D): (S, B)."""

    def node_prior(self) -> Prior:
        """The prior over the nodes."""

    def prior_params(self, params: Params) -> Any:
        """What the prior's functions take: its parameters, prepared."""


@runtime_checkable
class PosteriorDensity(Protocol):
    """q can be drawn from and scored anywhere: what chains and annealing need."""

    def posterior(self, params: Params, x: Array) -> Conditional:
        """q(z | x) for x (B, D)."""


@runtime_checkable
class NoisyPosterior(Protocol):
    """Its rollouts put noise on what the recognition network reads of x, which is not x itself."""

    def noisy_posterior(self, params: Params, key: Array, x: Array, noise: Noise) -> Conditional:
        """The q that a rollout of x (B, D) with this key and noise draws from."""


@runtime_checkable
class ObservedDensity(Protocol):
    """Knows how well latents explain a part of the data, with a gradient in them: what local moves of chains need."""

    def log_observed(self, params: Params, latents: Latents, x: Array, observed: Array) -> Array:
        """log p(x_o, z) for latents (S, B, K), x (B, D) and observed (B, D) bool, up to a constant of the row: (S, B).
        What stands elsewhere in x has no part in its changes with z."""


@runtime_checkable
class GaussianRecognition(Protocol):
    """q is a product of Gaussians whose parameters a network gives: what gradient rules and covariances need."""

    def gaussians(self, params: Params, x: Array) -> dict[str, Gaussian]:
        """q at every node."""

    def recognise(self, params: Params, x: Array) -> dict[str, Array]:
        """The network's raw outputs at each node, (B, n): first the mean (B, K)."""

    def posteriors(self, raw: dict[str, Array]) -> dict[str, Gaussian]:
        """The Gaussians that raw outputs stand for."""

    def expected(self, params: Params, x: Array) -> Composite:
        """log p(x | z), the integrand of the expectation that gradient rules serve."""


@runtime_checkable
class Bidirectional(Protocol):
    """p and q are chains of layers in opposite directions over the same latents: what p* ~ sqrt(p q) is sampled by.

    Level 0 is x, level l of 1..L the node `layer_l` of a LatentVariable. Each conditional has
    `draw(key, given, shape)`, `log_prob(given, value)` and `unit.factorised`.
    """

    def down(self, params: Params, level: int) -> Any:
        """p(h_level | h_{level+1}), level of 0..L; at L nothing is given."""

    def up(self, params: Params, level: int) -> Any:
        """q(h_level | h_{level-1}), level of 1..L."""


@runtime_checkable
class Layered(Protocol):
    """Its deterministic network is a stack of layers, for message passing."""

    def layers(self, params: Params) -> Sequence[Affine | str]:
        """From latents to the likelihood's outputs, each its value's mean or a bit's log-odds: affine maps, and names
        of activations between them.

        Raises:
          UserError: a part is no such layer, or the outputs are something else; the sentence names it.
        """


@runtime_checkable
class Tabular(Protocol):
    """Of a table by column (`facts.table`), a LatentVariable whose x has NaN where an entry is missing."""

    def at_random(self) -> bool:
        """Whether a missing entry says nothing by being missing, so that any may be hidden."""

    def column_log_probs(self, params: Params, latents: Latents, x: Array) -> Array:
        """log p(x_d | z) of every entry, (S, B, D) for latents (S, B, K), in nats of the columns' own units; 0 where
        one is missing."""

    def column_means(self, params: Params, latents: Latents) -> Array:
        """E[x | z] of every entry in the columns' own units, less `sbvi.data.tabular.columns.centres`, (..., D)."""

    def missing_columns(self, params: Params, key: Array, latents: Latents) -> Samples:
        """Of every entry given z and that it is missing, (..., D): its mean in the columns' own units, less
        `sbvi.data.tabular.columns.centres`, and a draw as the model sees it."""
