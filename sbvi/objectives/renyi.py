"""The variational Rényi bound (Li and Turner 2016), between the importance-weighted one and the ELBO."""

from collections.abc import Mapping

from sbvi.core import NonNegative, spec
from sbvi.objectives.multi_sample import MultiSample, multi_sample
from sbvi.objectives.view import Array, Report, View


@spec
class Renyi(MultiSample):
    """alpha = 0 is the importance-weighted bound, alpha = 1 the sampled free energy."""

    alpha: NonNegative = 0.5
    """Order of the divergence."""

    def __call__(self, view: View, numbers: Mapping[str, Array]) -> tuple[Array, Report]:
        weight, weighted = numbers["kl_weight"], self.kl_weight.changes
        return multi_sample(view, self.num_samples, self.alpha, self.estimator, weight, self.temperature, weighted)
