"""What objectives share: the weight of the KL term over training, and the parts of the bound."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from sbvi.core import NonNegative, spec
from sbvi.models.rollout import Rollout
from sbvi.objectives.view import Array, Report


@spec
class KLWeight:
    """The factor of the KL term: rises linearly from `start` to `beta`, then stays."""

    beta: NonNegative = 1.0
    """Final factor; 1 makes the objective a bound on the log-likelihood."""
    start: NonNegative = 0.0
    """Factor at the first step of a warm-up."""
    warmup_epochs: NonNegative = 0.0
    """Length of the warm-up; 0 for none."""

    def idle(self) -> dict[str, str]:
        return {} if self.warmup_epochs else {"start": "warmup_epochs above 0"}

    @property
    def changes(self) -> bool:
        """Whether the factor is ever another than 1."""
        return self.beta != 1 or (self.warmup_epochs > 0 and self.start != 1)

    def at(self, steps: np.ndarray, steps_per_epoch: float) -> np.ndarray:
        """The factor at each step."""
        if not self.warmup_epochs:
            return np.full(steps.shape, self.beta)
        progress = np.minimum(1.0, steps / (self.warmup_epochs * steps_per_epoch))
        return self.start + (self.beta - self.start) * progress


@spec
class LayeredKLWeight(KLWeight):
    """The same for each stochastic layer, whose warm-ups may begin one after the other from the data upwards."""

    layer_epochs: NonNegative = 0.0
    """Epochs by which the warm-up of a layer begins after that of the one below it; till then its factor is `start`."""

    def __post_init__(self) -> None:
        if self.layer_epochs and not self.warmup_epochs:
            raise ValueError(f"layer_epochs={self.layer_epochs} delays a warm-up; set warmup_epochs, or leave it at 0")

    def numbers(self, steps: np.ndarray, steps_per_epoch: float) -> dict[str, np.ndarray]:
        """What a step must be told for `of`."""
        weight = {"kl_weight": self.at(steps, steps_per_epoch)}
        return weight | {"kl_epochs": steps / steps_per_epoch} if self.layer_epochs else weight

    def of(self, numbers: Mapping[str, Array], layer: int) -> Array:
        """The factor of a layer, 0 being the one nearest the data."""
        if layer == 0 or "kl_epochs" not in numbers:
            return numbers["kl_weight"]
        progress = (numbers["kl_epochs"] - layer * self.layer_epochs) / self.warmup_epochs
        return self.start + (self.beta - self.start) * jnp.clip(progress, 0.0, 1.0)


def node_kl(rollout: Rollout, how: str) -> dict[str, Array]:
    """KL of each node, (B,): in closed form, or the mean of log q - log p over the samples."""
    if how == "analytic" and rollout.kl is not None:
        return rollout.kl
    return {node: jnp.mean(rollout.log_posterior[node] - prior, axis=0) for node, prior in rollout.log_prior.items()}


def parts(rollout: Rollout, kl: dict[str, Array]) -> Report:
    """The evidence lower bound and what it is made of, each (B,) in nats."""
    log_likelihood = jnp.mean(rollout.log_likelihood, axis=0)
    total = sum(kl.values(), start=jnp.zeros_like(log_likelihood))
    report = {"elbo": log_likelihood - total, "log_likelihood": log_likelihood, "kl": total}
    return report | {f"kl/{node}": value for node, value in kl.items()}
