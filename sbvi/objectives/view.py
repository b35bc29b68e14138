"""What an objective sees: a model with its parameters, a key, a batch and noise already given."""

from dataclasses import dataclass
from typing import Any

import jax

from sbvi.data import Batch
from sbvi.gradients import STANDARD, Paths
from sbvi.models.rollout import Noise, Rollout
from sbvi.models.values import LogProb

Array = jax.Array
Report = dict[str, Array]


@dataclass(frozen=True)
class View:
    """values_only: nothing is differentiated, so that every rule is the plain Monte-Carlo value.
    companion: parameters of the objective's own, such as a baseline's, where it has any."""

    model: Any
    params: Any
    key: Array
    batch: Batch
    noise: Noise | None = None
    values_only: bool = False
    companion: Any = None

    def rollout(self, num_samples: int, paths: Paths = STANDARD) -> Rollout:
        """S samples of the recognition model, scored; for models with latents."""
        paths = STANDARD if self.values_only else paths
        rollout: Rollout = self.model.rollout(
            self.params, self.key, self.batch.x, num_samples, noise=self.noise, paths=paths
        )
        return rollout

    def log_prob(self) -> LogProb:
        """log p(x), (B,); for models that know it."""
        log_prob: LogProb = self.model.log_prob(self.params, self.key, self.batch.x)
        return log_prob

    def class_log_probs(self) -> Array:
        """log p(label | x), (B, C); for classifiers."""
        log_probs: Array = self.model.class_log_probs(self.params, self.batch.x)
        return log_probs
