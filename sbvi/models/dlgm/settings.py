"""What a config chooses of a deep latent Gaussian model."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from sbvi.core import Choice, NonNegative, NonNegativeInt, Positive, PositiveInt, Probability, UserError, name_of, spec
from sbvi.distributions.likelihoods import LIKELIHOODS, Likelihood
from sbvi.distributions.priors import PRIORS, Standard
from sbvi.models.dlgm.model import BuiltDLGM, GaussianDLGM
from sbvi.models.spec import ModelSpec
from sbvi.models.values import DataFacts
from sbvi.networks.activations import ACTIVATIONS, ActivationName
from sbvi.networks.convolutions import Convolutions
from sbvi.networks.dense import NetworkName
from sbvi.networks.gaussian_networks import NoiseMatrix
from sbvi.posteriors import GAUSSIAN, POSTERIORS
from sbvi.posteriors.families import Diagonal


@spec
class DLGM(ModelSpec):
    """Sizes and choices of a deep latent Gaussian model."""

    builds: ClassVar[type] = GaussianDLGM
    of_real_values: ClassVar[str | None] = "likelihood=gaussian"
    of_training: ClassVar[tuple[str, ...]] = (
        *("initial_posterior_scale", "bit_flip", "input_dropout", "hidden_dropout", "extra_missing", "latent_noise"),
        "weight_prior_variance",
    )

    latents: tuple[PositiveInt, ...] = (200,)
    """Latents of each stochastic layer, the one nearest the data first."""
    hidden: tuple[PositiveInt, ...] | tuple[tuple[PositiveInt, ...], ...] = (200, 200)
    """Deterministic layers of every map T_l, from the layer above down; or one list for each map."""
    activation: ActivationName = "relu"
    """Activation of the generative model's deterministic layers."""
    network: NetworkName = "dense"
    """What the generative model's deterministic layers are: dense; gated, f(x W + b) * sigmoid(x V + c); residual,
    where a layer as wide as the one before it is a block x + A f(B f(x)); or residual_normalised, with x and B f(x)
    normalised by layer before each f, in the blocks of convolutions too."""
    activate_inputs: bool = False
    """Whether every map T_l begins with its activation; without deterministic layers this makes the
    non-linear Gaussian belief network, T_l(h) = A_l f(h) + b_l."""
    noise_matrix: NoiseMatrix = "full"
    """Form of the matrices G_l, which all start as the identity; or predicted: diagonal, of scales that T_l gives
    beside its mean from the layer above, and the identity at the top."""
    recognition_hidden: tuple[PositiveInt, ...] = (200, 200)
    """Deterministic layers of the recognition model, from the data up."""
    recognition_activation: ActivationName = "relu"
    """Activation of the recognition model's deterministic layers."""
    recognition_network: NetworkName = "dense"
    """What the recognition model's deterministic layers are, likewise."""
    recognition_shared: bool = True
    """One recognition trunk for all stochastic layers, or one network for each."""
    convolutions: tuple[PositiveInt, ...] = ()
    """Channels of convolutions between images and the deterministic layers of T_0 and of the recognition model, from
    the data up; each halves the image's sides. None: deterministic layers alone."""
    kernel: PositiveInt = 3
    """Side of the convolutions' kernels, at the halved sizes."""
    residual_blocks: NonNegativeInt = 0
    """Residual blocks of two convolutions at each halved size, x + C f(C' f(x)), in both networks."""
    initial_posterior_scale: Positive = 0.14
    """Standard deviation of the posterior at the start. From a wide start, ReLU networks learn to
    ignore the latents before these carry anything, and stay there."""
    bit_flip: Probability = 0.0
    """Probability that the recognition model sees a binary input flipped, in training."""
    input_dropout: Probability = 0.0
    """Probability that the recognition model sees an input as zero, in training."""
    hidden_dropout: Probability = 0.0
    """Probability that a unit of the generative model's dense layers is zero, in training: each row's own. Of residual
    layers the units within a block are; channels of convolutions are not."""
    missing_inputs: bool = True
    """Whether the recognition model of a table with gaps is told which entries are there."""
    extra_missing: Probability = 0.0
    """Probability that an entry of a table is taken for a missing one, in training, so that a model of complete rows
    learns to fill gaps."""
    latent_noise: NonNegative = 0.0
    """Standard deviation of Gaussian noise added to samples, in training."""
    weight_prior_variance: Positive | None = 1e6
    """kappa of the prior N(0, kappa I) on the generative parameters; null for none."""
    likelihood: Annotated[Any, Choice("likelihood", LIKELIHOODS)] = None
    """p(x | outputs); null for what the data set calls for."""
    posterior: Annotated[Any, Choice("posterior", POSTERIORS)] = Diagonal()
    """Family of q(xi | x)."""
    prior: Annotated[Any, Choice("prior", PRIORS)] = Standard()
    """p(xi)."""

    def __post_init__(self) -> None:
        if not self.latents:
            raise ValueError("latents=[] must name at least one stochastic layer")
        if self.hidden and isinstance(self.hidden[0], tuple) and len(self.hidden) != len(self.latents):
            raise ValueError(f"hidden lists {len(self.hidden)} maps for {len(self.latents)} stochastic layers")
        if self.prior.gaussian_posterior and not self.posterior.gaussian:
            raise UserError(f"This prior mixes Gaussian posteriors; allowed: posterior={', '.join(GAUSSIAN)}.")
        if self.hidden_dropout and not any(self.maps()) and not self.convolutions:
            raise ValueError(
                f"hidden_dropout={self.hidden_dropout} needs deterministic layers; allowed: hidden=[n, ...]"
            )
        if self.residual_blocks and not self.convolutions:
            raise ValueError(f"residual_blocks={self.residual_blocks} needs convolutions, at whose sizes they stand")
        if self.bit_flip and self.likelihood is not None and not self.likelihood.binary:
            raise UserError(f"model.bit_flip={self.bit_flip} needs binary data; use model.input_dropout.")
        if self.extra_missing and self.likelihood is not None and not self.by_column:
            raise UserError(f"model.extra_missing={self.extra_missing} needs likelihood=mixed, of a table by column.")
        if self.extra_missing and self.by_column and self.likelihood.missingness != "ignored":
            raise UserError(
                f"model.extra_missing={self.extra_missing} hides entries at random, which "
                f"likelihood.missingness=self_masking would take for a property of their values."
            )

    def idle(self) -> dict[str, str]:
        return {} if self.convolutions else {"kernel": "convolutions=[n, ...]"}

    def maps(self) -> list[tuple[int, ...]]:
        """The deterministic layers of T_0 .. T_{L-1}."""
        if self.hidden and isinstance(self.hidden[0], tuple):
            return list(self.hidden)
        return [self.hidden] * len(self.latents)  # type: ignore[list-item]

    @property
    def binary(self) -> bool:
        return bool(self.likelihood.binary)

    @property
    def discrete(self) -> bool:
        return bool(self.likelihood.discrete)

    @property
    def by_column(self) -> bool:
        return bool(self.likelihood is not None and self.likelihood.by_column)

    @property
    def scores_gaps(self) -> bool:
        return self.by_column and bool(self.likelihood.missingness != "ignored")

    @property
    def dequantizes(self) -> bool:
        return bool(self.likelihood.dequantize)

    @property
    def analytic_kl(self) -> bool:
        return bool(self.prior.analytic_kl and self.posterior.gaussian)

    @property
    def stochastic_layers(self) -> int:
        return 1 if self.posterior.joint else len(self.latents)

    @property
    def asks_recognition(self) -> bool:
        return bool(self.prior.gaussian_posterior)  # it is a mixture of that posterior

    @property
    def asks_generative(self) -> str:
        return str(getattr(self.posterior, "reads_layers", "")) if len(self.latents) > 1 else ""

    @property
    def joins_kl(self) -> str:
        return str(getattr(self.posterior, "joins_kl", "")) if len(self.latents) > 1 else ""

    def placing(self, structure: Any) -> dict[str, Any]:
        return dict(getattr(self.posterior, "placing", {}))

    @property
    def sample_noise(self) -> float:
        return self.latent_noise

    @property
    def hidden_noise(self) -> float:
        return self.hidden_dropout

    @property
    def kinks(self) -> str:
        used = self.activate_inputs or any(self.maps()) or self.convolutions
        if ACTIVATIONS[self.activation].smooth or not used:
            return ""
        allowed = ", ".join(sorted(name for name, entry in ACTIVATIONS.items() if entry.smooth))
        return f"a twice differentiable model.activation, and {self.activation} has kinks; allowed: {allowed}"

    def completed(self, likelihood: str) -> "DLGM":
        return self if self.likelihood is not None else replace(self, likelihood=LIKELIHOODS[likelihood]())

    def check(self, facts: DataFacts) -> None:
        check_likelihood(self.likelihood, facts)

    def check_begun(self) -> None:
        if (own := getattr(self.posterior, "check_sizes", None)) is not None:
            own(self.latents)

    def images(self, event_shape: Sequence[int]) -> Convolutions | None:
        """How networks meet data of this shape; None for deterministic layers alone.

        Raises:
          UserError: the data is no image that can be halved so often.
        """
        if not self.convolutions:
            return None
        return Convolutions.of(event_shape, self.convolutions, self.kernel, self.residual_blocks)

    def build(self, facts: DataFacts, structure: Any = None) -> BuiltDLGM:
        return GaussianDLGM(self, facts) if self.posterior.gaussian else BuiltDLGM(self, facts)


def check_likelihood(likelihood: Likelihood, facts: DataFacts) -> None:
    """Refuse data that a likelihood cannot be of.

    Raises:
      UserError: what the data holds, and what is needed.
    """
    if likelihood.by_column != (facts.table is not None):
        raise UserError(
            "likelihood=mixed is of the columns of dataset=table, found by kind (dataset.types=found), and no other is."
        )
    if facts.table is not None:
        return
    said = f"likelihood={name_of(LIKELIHOODS, likelihood)}"
    if likelihood.binary and not facts.binary:
        raise UserError(f"{said} needs binary data, and the data set is not binary.")
    if not likelihood.binary and facts.binary:
        why = f"{said} is of other values" if likelihood.discrete else f"the density of {said} has no bound"
        raise UserError(f"The data set holds 0 and 1 alone, for which {why}; use likelihood=bernoulli.")
    if facts.levels is None and getattr(likelihood, "levels", None) is not None:
        raise UserError(
            f"{said} needs whole numbers, and the data set holds {facts.units}; "
            "store whole numbers from 0, such as 0..255, or use likelihood=gaussian."
        )
    likelihood.check(facts.levels)
