"""Likelihoods p(x | network outputs), one a module.

To add one: a module with a `spec` that is a `Likelihood`, a line in LIKELIHOODS, a file in `configs/likelihood/`, a row
in the contract test.
"""

from sbvi.core.plugins import extend
from sbvi.distributions.likelihoods.bernoulli import Bernoulli
from sbvi.distributions.likelihoods.discretized_logistic import DiscretizedLogistic
from sbvi.distributions.likelihoods.gaussian import GaussianLikelihood
from sbvi.distributions.likelihoods.likelihood import Likelihood

LIKELIHOODS: dict[str, type] = {
    "bernoulli": Bernoulli,
    "gaussian": GaussianLikelihood,
    "discretized_logistic": DiscretizedLogistic,
}
extend(LIKELIHOODS, "sbvi.likelihoods")

__all__ = ["LIKELIHOODS", "Likelihood"]
