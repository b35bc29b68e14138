"""The importance-weighted bound (Burda et al. 2016): L_S = E[log (1/S) sum_s w_s]."""

from sbvi.core import spec
from sbvi.objectives.multi_sample import MultiSample, multi_sample
from sbvi.objectives.pieces import Array, Report, Roll


@spec
class ImportanceWeighted(MultiSample):
    """Tighter with every sample; equal to the sampled free energy with one."""

    def __call__(self, roll: Roll, kl_weight: Array) -> tuple[Array, Report]:
        return multi_sample(roll, self.num_samples, 0.0, self.estimator, kl_weight)
