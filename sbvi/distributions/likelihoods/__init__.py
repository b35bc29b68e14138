"""Likelihoods p(x | network outputs), one a module.

To add one: a module with a `spec` that is a `Likelihood`, a line in LIKELIHOODS, a file in `configs/likelihood/`, a row
in the contract test.
"""

from sbvi.core.plugins import extend
from sbvi.distributions.likelihoods.bernoulli import Bernoulli
from sbvi.distributions.likelihoods.categorical import Categorical
from sbvi.distributions.likelihoods.discretized_logistic import DiscretizedLogistic
from sbvi.distributions.likelihoods.gaussian import GaussianLikelihood
from sbvi.distributions.likelihoods.likelihood import Likelihood
from sbvi.distributions.likelihoods.logistic_mixture import LogisticMixture
from sbvi.distributions.likelihoods.mixed import Mixed
from sbvi.distributions.likelihoods.negative_binomial import NegativeBinomial
from sbvi.distributions.likelihoods.ordinal import Ordinal
from sbvi.distributions.likelihoods.pixel_cnn import PixelCNN
from sbvi.distributions.likelihoods.pixel_mixture import PixelMixture
from sbvi.distributions.likelihoods.poisson import Poisson
from sbvi.distributions.likelihoods.student_t import StudentT
from sbvi.distributions.likelihoods.whole import PARTS, whole

LIKELIHOODS: dict[str, type] = {
    "bernoulli": Bernoulli,
    "pixel_cnn": PixelCNN,
    "gaussian": GaussianLikelihood,
    "discretized_logistic": DiscretizedLogistic,
    "student_t": StudentT,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "categorical": Categorical,
    "ordinal": Ordinal,
    "mixed": Mixed,
    "logistic_mixture": LogisticMixture,
    "pixel_mixture": PixelMixture,
}
extend(LIKELIHOODS, "sbvi.likelihoods", PARTS)

__all__ = ["LIKELIHOODS", "Likelihood", "whole"]
