"""The discriminative image circuit of Gens & Domingos (2012): classes are products of parts that slide over a grid.

A class c is a product over P parts, a part a sum over T templates, a template a sum over the places (i, j) where its
W x W window fits, of leaves exp(f . x_ij) of the features x_ij (W, W, K) within the window:

    log S_c(x) = b_c + sum_p log sum_t exp(b_cpt + log 1/L sum_ij exp(f_cpt . x_ij))

Leaves are any positive functions of x, since p(c | x) = S_c(x) / sum S_c(x) alone is asked for.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import PositiveInt, Probability, UserError, spec
from sbvi.models.circuit.sums import hard, soft
from sbvi.models.spec import ModelSpec
from sbvi.models.values import Array, DataFacts, DataSummary, Params

START = 0.01  # standard deviation of the first templates
LEAST = 1e-3  # least standard deviation that a feature is divided by


class BuiltParts:
    """params: `templates` (C P T, W W K), `shares` (C P, T, 1) and `classes` (C,), all free. Features are standardised
    by the numbers (D,) that `structure` keeps."""

    discrete = False

    def __init__(
        self, facts: DataFacts, structure: dict[str, Any], sizes: tuple[int, int], window: int, dropout: float
    ):
        self.facts, self.window, self.dropout = facts, window, dropout
        self.grid = (*facts.event_shape, 1)[:3]  # (H, W, K); images without channels have one
        self.parts, self.templates = sizes
        self.mean, self.spread = (np.asarray(structure[name], np.float32)[None] for name in ("mean", "spread"))

    def numbers(self, examples: int) -> dict[str, float]:
        return {}

    def init(self, seed: int, summary: DataSummary) -> Params:
        """Templates near zero, apart by noise."""
        count = self.facts.classes * self.parts
        size = self.window**2 * self.grid[2]
        noise = jax.random.normal(jax.random.key(seed), (count * self.templates, size), jnp.float32)
        return {
            "templates": START * noise,
            "shares": jnp.zeros((count, self.templates, 1), jnp.float32),
            "classes": jnp.zeros(self.facts.classes, jnp.float32),
        }

    def joint_log_probs(self, params: Params, x: Array, *, rule: str = "soft", key: Array | None = None) -> Array:
        """log S_c(x), (B, C), the numerator of p(c | x); with rule=hard sums over places and templates are maxima.

        key: draws the features that are left out, for training with dropout.
        """
        mean, spread = (jnp.asarray(numbers, x.dtype) for numbers in (self.mean, self.spread))
        values = ((x - mean) / spread).reshape(-1, *self.grid)
        if key is not None and self.dropout:
            kept = jax.random.bernoulli(key, 1 - self.dropout, values.shape)
            values = jnp.where(kept, values / (1 - self.dropout), jnp.zeros_like(values))
        height, width = (size - self.window + 1 for size in values.shape[1:3])
        steps = range(self.window)
        shifts = [values[:, i : i + height, j : j + width] for i in steps for j in steps]
        windows = jnp.stack(shifts, 3).reshape(len(x), height * width, -1)
        chosen = hard if rule == "hard" else soft
        leaves = (windows @ params["templates"].T).transpose(2, 0, 1)  # (C P T, B, places)
        even = jnp.full((leaves.shape[0], height * width, 1), -float(np.log(height * width)), leaves.dtype)
        placed = chosen(0, leaves, even)[..., 0].reshape(-1, self.templates, len(x)).transpose(0, 2, 1)
        parts = chosen(1, placed, jax.nn.log_softmax(params["shares"], axis=1))[..., 0]
        return jnp.sum(parts.reshape(self.facts.classes, self.parts, -1), 1).T + params["classes"][None]

    def class_log_probs(self, params: Params, x: Array) -> Array:
        return jax.nn.log_softmax(self.joint_log_probs(params, x), -1)


@spec
class Parts(ModelSpec):
    """Parts and their templates, of features on a grid."""

    builds: ClassVar[type] = BuiltParts
    default_objective: ClassVar[str] = "conditional_likelihood"
    of_training: ClassVar[tuple[str, ...]] = ("dropout",)

    parts: PositiveInt = 4
    """Parts of every class."""
    templates: PositiveInt = 4
    """Templates of every part."""
    window: PositiveInt = 3
    """Side of a template, in cells of the grid."""
    dropout: Probability = 0.5
    """Probability that a feature is left out of an example, in training."""

    @property
    def binary(self) -> bool:
        return False

    @property
    def labelled(self) -> bool:
        return True

    def check(self, facts: DataFacts) -> None:
        if len(facts.event_shape) not in (2, 3) or self.window > min(facts.event_shape[:2]):
            raise UserError(
                f"model.window={self.window} needs images or features on a grid, (height, width) or (height, width, "
                f"channels) of at least that many cells; the data has shape {facts.event_shape}."
            )
        if facts.classes < 2:
            raise UserError(f"model=parts needs labels of at least two classes; the data has {facts.classes}.")

    def least_parameters(self, facts: DataFacts) -> int:
        return self.parts * self.templates * self.window**2

    def learn_structure(self, summary: DataSummary) -> Any:
        """Mean and standard deviation of every feature at every place."""
        spread = np.maximum(summary.spread, LEAST)
        return {
            name: [float(f"{v:.6g}") for v in values] for name, values in (("mean", summary.mean), ("spread", spread))
        }

    def build(self, facts: DataFacts, structure: Any = None) -> BuiltParts:
        return BuiltParts(facts, structure, (self.parts, self.templates), self.window, self.dropout)
