"""What an objective sees: a model with its parameters, a key, a batch and noise already given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sbvi.core import UserError
from sbvi.data import Batch
from sbvi.gradients import STANDARD, Paths
from sbvi.models.rollout import Noise, Rollout
from sbvi.models.values import LogProb, class_scores, scores

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
        found = self.model.log_prob(self.params, self.key, self.batch.x)
        return scores(self.model, found, self.batch.x.shape[0])

    def class_log_probs(self) -> Array:
        """log p(label | x), (B, C); for classifiers."""
        found = self.model.class_log_probs(self.params, self.batch.x)
        return class_scores(self.model, found, self.batch.x.shape[0])


def evaluated(
    objective: Callable[[View, Mapping[str, Array]], tuple[Array, Report]], view: View, numbers: Mapping[str, Array]
) -> tuple[Array, Report]:
    """What an objective makes of a view: a loss () to differentiate, and parts (B,), of which the mean is reported.
    A loss of another shape has no gradient, and parts that stand for several examples would be averaged to no value.

    Raises:
      UserError: what has another shape, and the shape that it must have.
    """
    name, examples, made = type(objective).__name__, view.batch.x.shape[0], objective(view, numbers)
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], Mapping)):
        found = " and ".join(type(each).__name__ for each in (made if isinstance(made, tuple) else (made,)))
        raise UserError(f"objective {name} gives {found}; it must give a loss, and a dict of the parts to report.")
    loss, report = made
    if _shape(loss) != ():
        raise UserError(f"objective {name} gives a loss {_told(loss)}; it must be one number, such as a mean.")
    for part, value in report.items():
        if _shape(value) != (examples,):
            raise UserError(
                f"objective {name} reports {part} {_told(value)} for {examples} examples; it must be {(examples,)}: "
                f"one number for each."
            )
    return loss, dict(report)


def _shape(value: Any) -> tuple[int, ...] | None:
    """Of an array or a number; None of anything else, some of which JAX would call a scalar."""
    return tuple(jnp.shape(value)) if isinstance(value, int | float) or hasattr(value, "shape") else None


def _told(value: Any) -> str:
    shape = _shape(value)
    return f"that is a {type(value).__name__}" if shape is None else f"of the shape {shape}"
