"""Gaussians by the structure of their covariance, and likelihoods.

To add a posterior family: a module with a Gaussian and a `spec` that says how many network outputs
it needs and makes the Gaussian of them; a line in POSTERIORS; a file in `configs/posterior/`; a row
in the contract test. A likelihood likewise, with LIKELIHOODS and `configs/likelihood/`.
"""

from typing import Protocol

import numpy as np

from sbvi.distributions.diagonal import Diagonal
from sbvi.distributions.full import Full
from sbvi.distributions.gaussian import Array, Gaussian
from sbvi.distributions.likelihoods.bernoulli import Bernoulli
from sbvi.distributions.likelihoods.discretized_logistic import DiscretizedLogistic
from sbvi.distributions.likelihoods.gaussian import GaussianLikelihood
from sbvi.distributions.likelihoods.likelihood import Likelihood
from sbvi.distributions.low_rank import LowRank
from sbvi.distributions.rank_one import JointRankOne, RankOne


class PosteriorFamily(Protocol):
    """How a recognition network's outputs become a Gaussian; `joint`: one over all layers."""

    @property
    def joint(self) -> bool: ...

    def outputs(self, size: int) -> int: ...

    def initial_outputs(self, size: int, scale: float) -> np.ndarray:
        """Output biases that make every latent's standard deviation `scale`."""

    def distribution(self, outputs: Array, size: int) -> Gaussian: ...


POSTERIORS: dict[str, type] = {
    "diagonal": Diagonal,
    "rank_one": RankOne,
    "low_rank": LowRank,
    "full": Full,
    "joint_rank_one": JointRankOne,
}

LIKELIHOODS: dict[str, type] = {
    "bernoulli": Bernoulli,
    "gaussian": GaussianLikelihood,
    "discretized_logistic": DiscretizedLogistic,
}

__all__ = ["LIKELIHOODS", "POSTERIORS", "Gaussian", "Likelihood", "PosteriorFamily"]
