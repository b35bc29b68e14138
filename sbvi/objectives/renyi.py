"""The variational Rényi bound (Li and Turner 2016), between the importance-weighted one and the ELBO."""

from sbvi.config import NonNegative, PositiveInt, spec
from sbvi.objectives.multi_sample import Estimator, multi_sample, refuse_free_bits
from sbvi.objectives.pieces import Array, KLWeight, Report, Roll


@spec
class Renyi:
    """alpha = 0 is the importance-weighted bound, alpha = 1 the sampled free energy."""

    num_samples: PositiveInt = 5
    """Samples S for each example."""
    alpha: NonNegative = 0.5
    """Order of the divergence."""
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
        return multi_sample(roll, self.num_samples, self.alpha, self.estimator, kl_weight)
