"""The importance-weighted bound (Burda et al. 2016): L_S = E[log (1/S) sum_s w_s]."""

from sbvi.config import NonNegative, PositiveInt, spec
from sbvi.objectives.multi_sample import Estimator, multi_sample, refuse_free_bits
from sbvi.objectives.pieces import Array, KLWeight, Report, Roll


@spec
class ImportanceWeighted:
    """Tighter with every sample; equal to the sampled free energy with one."""

    num_samples: PositiveInt = 5
    """Importance samples S for each example."""
    estimator: Estimator = "standard"
    """How its gradient is estimated."""
    free_bits: NonNegative = 0.0
    """Must be 0: a bound over several samples has no KL term of its own for each layer."""
    kl_weight: KLWeight = KLWeight()
    """Factor of log p(xi) - log q(xi | v) in the weights over training."""

    monitor = "bound"

    def __post_init__(self) -> None:
        refuse_free_bits(self.free_bits)

    def __call__(self, roll: Roll, kl_weight: Array) -> tuple[Array, Report]:
        return multi_sample(roll, self.num_samples, 0.0, self.estimator, kl_weight)
