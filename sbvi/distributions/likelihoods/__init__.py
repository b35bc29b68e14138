"""Likelihoods p(x | network outputs), one a module.

To add one: a module with a `spec` that is a `Likelihood`, a line in LIKELIHOODS, a file in `configs/likelihood/`, a row
in the contract test.
"""

from sbvi.core.plugins import extend
from sbvi.distributions.likelihoods.bernoulli import Bernoulli
from sbvi.distributions.likelihoods.discretized_logistic import DiscretizedLogistic
from sbvi.distributions.likelihoods.gaussian import GaussianLikelihood
from sbvi.distributions.likelihoods.likelihood import Likelihood
from sbvi.distributions.likelihoods.logistic_mixture import LogisticMixture
from sbvi.distributions.likelihoods.pixel_cnn import PixelCNN

LIKELIHOODS: dict[str, type] = {
    "bernoulli": Bernoulli,
    "pixel_cnn": PixelCNN,
    "gaussian": GaussianLikelihood,
    "discretized_logistic": DiscretizedLogistic,
    "logistic_mixture": LogisticMixture,
}
extend(LIKELIHOODS, "sbvi.likelihoods")

__all__ = ["LIKELIHOODS", "Likelihood"]
