"""The importance-weighted bound (Burda et al. 2016): L_S = E[log (1/S) sum_s w_s]."""

from collections.abc import Mapping

from sbvi.core import spec
from sbvi.objectives.multi_sample import MultiSample, multi_sample
from sbvi.objectives.view import Array, Report, View


@spec
class ImportanceWeighted(MultiSample):
    """Tighter with every sample; equal to the sampled free energy with one."""

    def __call__(self, view: View, numbers: Mapping[str, Array]) -> tuple[Array, Report]:
        weight, weighted = numbers["kl_weight"], self.kl_weight.changes
        return multi_sample(view, self.num_samples, 0.0, self.estimator, weight, self.temperature, weighted)
