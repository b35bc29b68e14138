"""The variational Rényi bound (Li and Turner 2016), between the importance-weighted one and the ELBO."""

from sbvi.core import NonNegative, spec
from sbvi.objectives.multi_sample import MultiSample, multi_sample
from sbvi.objectives.pieces import Array, Report, Roll


@spec
class Renyi(MultiSample):
    """alpha = 0 is the importance-weighted bound, alpha = 1 the sampled free energy."""

    alpha: NonNegative = 0.5
    """Order of the divergence."""

    def __call__(self, roll: Roll, kl_weight: Array) -> tuple[Array, Report]:
        return multi_sample(roll, self.num_samples, self.alpha, self.estimator, kl_weight)
