"""What models offer: capabilities, each a protocol that evaluation, tasks, algorithms and `load_run` ask for.

A model is a set of pure functions of parameters, a key and data x (B, D). It implements the protocols that it can and
no others; whoever needs one calls `require`, which says in one sentence what is missing and which models would serve.
Everything is in nats.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp

from sbvi.distributions.gaussian import Gaussian
from sbvi.distributions.priors import Prior
from sbvi.gradients import STANDARD, Composite, Paths
from sbvi.models.rollout import Noise, Rollout
from sbvi.models.values import Affine, Array, DataFacts, DataSummary, Latents, LogProb, Params, Samples
from sbvi.posteriors import Conditional, Moments


class Model(Protocol):
    """What every built model has."""

    facts: DataFacts
    discrete: bool  # p is of whole levels of x, not a density

    def init(self, seed: int, summary: DataSummary) -> Params:
        """The first parameters, a function of the seed and the data's summary."""

    def numbers(self, examples: int) -> dict[str, float]:
        """Numbers that every training step takes, such as the strength of noise and of the weight prior; those that
        are zero may be left out."""


@runtime_checkable
class Generative(Protocol):
    """Draws data."""

    def sample(self, params: Params, key: Array, num: int) -> Samples:
        """num draws of x with their means."""


@runtime_checkable
class Density(Protocol):
    """Knows log p(x) by itself."""

    def log_prob(self, params: Params, key: Array, x: Array) -> LogProb:
        """log p(x) for x (B, D). An exact density does not look at the key."""


@runtime_checkable
class Encoder(Protocol):
    """Says where x lies in latent space."""

    def encode(self, params: Params, x: Array) -> dict[str, Moments]:
        """Moments of q(latents | x) at every stochastic node."""


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
class Tabular(Protocol):
    """Of a table by column (`facts.table`), a LatentVariable whose x has NaN where an entry is missing."""

    def at_random(self) -> bool:
        """Whether a missing entry says nothing by being missing, so that any may be hidden."""

    def column_log_probs(self, params: Params, latents: Latents, x: Array) -> Array:
        """log p(x_d | z) of every entry, (S, B, D) for latents (S, B, K), in nats of the columns' own units; 0 where
        one is missing."""

    def column_means(self, params: Params, latents: Latents) -> Array:
        """E[x | z] of every entry in the columns' own units, less `sbvi.data.columns.centres`, (..., D)."""

    def missing_columns(self, params: Params, key: Array, latents: Latents) -> Samples:
        """Of every entry given z and that it is missing, (..., D): its mean in the columns' own units, less
        `sbvi.data.columns.centres`, and a draw as the model sees it."""


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
class Classifier(Protocol):
    """Predicts the label."""

    def class_log_probs(self, params: Params, x: Array) -> Array:
        """log p(label | x), (B, C), each row a normalised distribution."""


@runtime_checkable
class PartialClassifier(Protocol):
    """Predicts the label from any set of values."""

    def class_log_probs_given(self, params: Params, x: Array, observed: Array) -> Array:
        """log p(label | x_o), (B, C); observed (B, D) bool; what stands elsewhere in x is not looked at."""


@runtime_checkable
class LabelledDensity(Protocol):
    """Knows log p(x, label) for every label."""

    def joint_log_probs(self, params: Params, x: Array, *, rule: str = "soft", key: Array | None = None) -> Array:
        """(B, C), of a model of labels alone up to a term that all labels share. rule: soft, or hard, that of the most
        probable latents, whose gradient goes through these alone. key: draws the regularising noise of training; None
        for none."""


@runtime_checkable
class Marginals(Protocol):
    """Exact marginals and conditionals over any set of values."""

    def marginal_log_prob(self, params: Params, x: Array, observed: Array) -> LogProb:
        """log p(x_o), observed (B, D) bool; what stands elsewhere in x is not looked at."""

    def conditional(self, params: Params, key: Array, x: Array, observed: Array) -> Samples:
        """A draw of the rest from p(x_m | x_o), and E[x_m | x_o]; observed values as they are; both (B, D)."""


@runtime_checkable
class MostProbable(Protocol):
    """Finds the most probable rest."""

    def most_probable(self, params: Params, x: Array, observed: Array) -> Array:
        """x with what is not observed at its most probable values given the rest, (B, D), or an approximation that the
        model's own words describe."""


@runtime_checkable
class Imputing(Protocol):
    """Fills in missing values by a method of its own, draws from p(x_m | x_o) or close to it."""

    def impute(self, params: Params, key: Array, x: Array, observed: Array, num: int) -> Samples:
        """num draws of completed data and their means, both (num, B, D)."""


@runtime_checkable
class Layered(Protocol):
    """Its deterministic network is a stack of layers, for message passing."""

    def layers(self, params: Params) -> Sequence[Affine | str]:
        """From latents to the likelihood's outputs: affine maps, and names of activations between them.

        Raises:
          UserError: a part is no such layer; the sentence names it.
        """


@runtime_checkable
class Mixing(Protocol):
    """Learns by expectation maximisation: statistics are sums over examples, and maximising them is closed form."""

    def statistics(self, params: Params, x: Array, mask: Array) -> Any:
        """Expected sufficient statistics of the latents' posterior, summed over examples weighed by mask (B,)."""

    def maximise(self, params: Params, statistics: Any, pseudocount: float) -> Params:
        """The parameters that maximise the expected complete log-likelihood of the statistics."""


@runtime_checkable
class Recentring(Protocol):
    """Learns by expectation maximisation from statistics about a centre, which the parameters have."""

    def recentred(self, statistics: Any, before: Params, after: Params) -> Any:
        """Statistics about the centre of some parameters as those about the centre of others."""


@runtime_checkable
class HardMixing(Protocol):
    """Learns by hard expectation maximisation: the latents' most probable state stands for their posterior."""

    def hard_statistics(self, params: Params, x: Array, mask: Array) -> Any:
        """Sufficient statistics of the latents' most probable state, summed over examples weighed by mask (B,)."""


def offers(model: Any, capability: type) -> bool:
    """Whether a built model, or the class of one, has a capability."""
    return issubclass(model if isinstance(model, type) else type(model), capability)
