"""What a config chooses of stochastic gradient MCMC."""

import dataclasses
from typing import Annotated, Any, Literal

from sbvi.algorithms.algorithm import AlgorithmSpec, check_halves, check_weighed, needs
from sbvi.algorithms.nais import proposals
from sbvi.algorithms.optimizer import Optimizer
from sbvi.algorithms.schedules import Schedule
from sbvi.algorithms.sgmcmc import SGMCMC
from sbvi.core import (
    Fraction,
    NonNegative,
    NonNegativeInt,
    Part,
    Positive,
    PositiveInt,
    Probability,
    Share,
    UserError,
    fields,
    spec,
)
from sbvi.inference.sgmcmc import KERNELS, Kernel
from sbvi.inference.sgmcmc.priors import GaussianPrior, ParameterPrior, StudentPrior
from sbvi.models.capabilities import LatentVariable, PosteriorDensity
from sbvi.models.spec import ModelSpec

PRIORS: dict[str, type] = {"student_t": StudentPrior, "gaussian": GaussianPrior}
OF_KERNELS = ("friction", "pace", "integrator", "integration_steps", "smoothing", "floor")
OF_PRIORS = {"prior_scale": "scale", "prior_degrees": "degrees"}


@spec
class SGMCMCSpec(AlgorithmSpec):
    """Draws of the generative parameters from their posterior, with a recognition model that follows them."""

    kernel: Literal["thermostat", "sgnht", "sghmc", "sgld", "psgld"] = "thermostat"
    """What moves the parameters: a thermostat for each of them, one for all, friction alone, Langevin dynamics, or
    that with a preconditioner."""
    learning_rate: Positive = 0.005
    """Step size for each example: the gradient of the log posterior is multiplied by learning_rate / N."""
    schedule: Schedule = Schedule()
    """Factor on it over training."""
    friction: Fraction | None = None
    """Share of momentum lost in a step, of thermostat, sgnht and sghmc; null for the kernel's own."""
    pace: Positive | None = None
    """How fast thermostats move, in the authors' learning_rate / N a step, of thermostat; null for the kernel's own."""
    integrator: Literal["explicit", "symplectic"] | None = None
    """By which momentum parameters move, that before the step or that after it, of thermostat; null for the kernel's
    own."""
    integration_steps: PositiveInt | None = None
    """Moves between two draws of the momenta, of sghmc; null for the kernel's own."""
    smoothing: Probability | None = None
    """Decay of the mean square gradient, of psgld; null for the kernel's own."""
    floor: Positive | None = None
    """What is added to the root of it, of psgld; null for the kernel's own."""
    num_samples: PositiveInt = 5
    """Samples K of the recognition model for each example."""
    proposal: Literal["inclusive", "pathwise"] | None = None
    """How the recognition model learns from them; null for pathwise where samples are smooth in noise, else
    inclusive."""
    dreams: Share = 0.0
    """Share of dreams (xi, v) ~ p in the recognition model's gradient, as reweighted wake-sleep has them."""
    repetitions: PositiveInt = 1
    """Moves on each mini-batch."""
    parameter_prior: Literal["student_t", "gaussian"] = "student_t"
    """The prior on every generative parameter, in place of the model's weight prior."""
    prior_scale: Positive | None = None
    """Its scale; null for 0.0953471 of student_t, 1 of gaussian."""
    prior_degrees: Positive | None = None
    """Degrees of freedom of student_t; null for 2.2."""
    posterior_temperature: Positive = 1.0
    """T: draws are from the 1/T-th power of the posterior; below 1 they lie nearer to its mode."""
    chains: PositiveInt = 1
    """Chains, side by side in one program."""
    burn_in: NonNegativeInt | None = None
    """Steps before draws are kept; null for until validation has stopped to rise, or half the run."""
    burn_in_validations: PositiveInt = 10
    """Validations without a better value after which the burn-in is over, where validation tells."""
    thinning: PositiveInt | None = None
    """Steps from draw to draw; null for an epoch's."""
    tuning_epochs: NonNegative = 10.0
    """Epochs in which the recognition model is fitted to the mean of the draws."""
    optimizer: Annotated[Optimizer, Part("optimizer", Optimizer)] = Optimizer()
    """The recognition model's optimiser."""

    def __post_init__(self) -> None:
        for key in OF_KERNELS:
            if getattr(self, key) is not None and key not in fields(KERNELS[self.kernel]):
                having = ", ".join(name for name, kind in KERNELS.items() if key in fields(kind))
                raise ValueError(f"{key} has no use with kernel={self.kernel}; it is of kernel={having}")
        if self.prior_degrees is not None and self.parameter_prior != "student_t":
            raise ValueError(f"prior_degrees has no use with parameter_prior={self.parameter_prior}")

    def completed(self, model: ModelSpec) -> "SGMCMCSpec":
        kernel, prior = KERNELS[self.kernel](), PRIORS[self.parameter_prior]()
        open_ = {key: getattr(kernel, key) for key in OF_KERNELS if key in fields(type(kernel))}
        open_ |= {key: getattr(prior, own) for key, own in OF_PRIORS.items() if own in fields(type(prior))}
        open_["proposal"] = proposals(model)[0]
        return dataclasses.replace(self, **{key: value for key, value in open_.items() if getattr(self, key) is None})

    def check(self, model: ModelSpec) -> None:
        for capability in (LatentVariable, PosteriorDensity):
            needs(model, capability, "algorithm=sgmcmc")
        check_halves(model, "algorithm=sgmcmc")
        if model.asks_recognition:
            raise UserError(
                "algorithm=sgmcmc draws generative parameters while the recognition model follows, and this prior is "
                "made of that, so that there is no posterior to draw from; allowed: prior=standard, mixture or flow."
            )
        self._check_prior(model)
        if self.proposal not in proposals(model):
            raise UserError(
                f"algorithm.proposal={self.proposal} needs samples that are smooth functions of noise, which this "
                f"model's latents are not; allowed: {', '.join(proposals(model))}."
            )
        if self.proposal == "inclusive":
            check_weighed(self.num_samples, self.dreams)
        if model.sample_noise:
            raise UserError(
                f"model.latent_noise={model.sample_noise} moves samples off the recognition model, by whose own draws "
                f"algorithm=sgmcmc integrates latents out; allowed: model.latent_noise=0."
            )
        if model.hidden_noise:
            raise UserError(
                f"model.hidden_dropout={model.hidden_noise} changes the likelihood at every step, and algorithm=sgmcmc "
                f"draws from the posterior of one; allowed: model.hidden_dropout=0."
            )

    def _check_prior(self, model: Any) -> None:
        """Refuse a weight prior that was given: the parameter prior stands in its place."""
        own = next((field for field in dataclasses.fields(model) if field.name == "weight_prior_variance"), None)
        if own is not None and (given := getattr(model, own.name)) not in (None, own.default):
            raise UserError(
                f"model.weight_prior_variance={given} has no effect with algorithm=sgmcmc, which draws under "
                f"algorithm.parameter_prior; allowed: {own.default or 'null'}, and algorithm.prior_scale."
            )

    def build(self, model: Any, examples: int) -> SGMCMC:
        own = {key: getattr(self, key) for key in OF_KERNELS if getattr(self, key) is not None}
        if self.kernel == "psgld":
            own["terms"] = examples / self.posterior_temperature
        kernel: Kernel = KERNELS[self.kernel](**own)
        said = {own: getattr(self, key) for key, own in OF_PRIORS.items() if getattr(self, key) is not None}
        prior: ParameterPrior = PRIORS[self.parameter_prior](**said)
        return SGMCMC(model, self, kernel, prior, examples)
