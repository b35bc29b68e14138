"""Values that models take and give: parameters, what is known of the data, samples, moments, densities."""

from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal, NamedTuple, Protocol

import jax
import numpy as np

from sbvi.core.plugins import wrong
from sbvi.data.tabular.columns import Column

Array = jax.Array
Params = Any
Latents = dict[str, Array]
Kind = Literal["exact", "lower_bound", "unnormalised"]

#: log 0 that can be added and multiplied; what is below half of it is the logarithm of 0.
IMPOSSIBLE = -1e30


def impossible(log_p: Any) -> Any:
    """Whether these are logarithms of 0, (N,) of bool."""
    return log_p <= IMPOSSIBLE / 2


class LatentParams(NamedTuple):
    """Parameters of a model with latents: theta^g of the generative model, theta^r of the recognition model, and the
    prior's own, empty where it has none."""

    generative: Any
    recognition: Any
    prior: Any = ()


class DataFacts(NamedTuple):
    """What a model must know of its data before it is built; run.json keeps it.

    event_shape: shape of one example.  binary: every value is 0 or 1.  levels: values are whole numbers 0..levels,
    scaled to [0, 1]; None for real values.  classes: number of labels, 0 without labels.  table: a table's columns,
    each of its own kind and with gaps, NaN in what a model sees; None for other data.  units: the source's, in words.
    """

    event_shape: tuple[int, ...]
    binary: bool
    levels: int | None = None
    classes: int = 0
    table: tuple[Column, ...] | None = None
    units: str = "real numbers"

    @property
    def event_size(self) -> int:
        """D, the number of values in one example."""
        return prod(self.event_shape)


class Rows(Protocol):
    """n rows of data, (k, D) where k of them are asked for: a NumPy array, or what makes its rows then."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


class DataSummary(NamedTuple):
    """What of the training data parameters and structures start from.

    x: n rows as the model sees them, an even sample of the training split.  label: (n,) or None.
    mean, spread: (D,) over these rows.  examples: N, the size of the training split.
    location, scale: (D,) or of all values, of which the source is location + scale * x.
    """

    x: Rows
    label: np.ndarray | None
    mean: np.ndarray
    spread: np.ndarray
    examples: int
    location: np.ndarray | float = 0.0
    scale: np.ndarray | float = 1.0


class Samples(NamedTuple):
    """Draws of x and their means given what was drawn before them, both (num, D)."""

    mean: Array
    value: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LogProb:
    """log p(x), (B,), nats; kind says whether it is exact, a lower bound (in expectation), or lacks its constant."""

    value: Array
    kind: Kind = field(metadata={"static": True})


def scores(model: Any, found: Any, examples: int) -> LogProb:
    """What a model's `log_prob` gave for so many examples, if it is one number for each.

    Raises:
      UserError: what it is, and what it must be.
    """
    value = found.value if isinstance(found, LogProb) else found
    if not isinstance(found, LogProb) or getattr(value, "shape", None) != (examples,):
        raise wrong(type(model), "log_prob", value, f"a LogProb of shape {(examples,)} for {examples} examples")
    return found


def class_scores(model: Any, found: Any, examples: int) -> Array:
    """What a model's `class_log_probs` gave for so many examples, if it is a number for each and every class.

    Raises:
      UserError: what it is, and what it must be.
    """
    if getattr(found, "shape", None) != (shape := (examples, model.facts.classes)):
        raise wrong(type(model), "class_log_probs", found, f"an array of shape {shape} for {examples} examples")
    log_probs: Array = found
    return log_probs


class Affine(NamedTuple):
    """z W + b + N(0, noise^2): weights (inputs, outputs), bias (outputs,); noise: a standard deviation, 0 for none."""

    weights: np.ndarray
    bias: np.ndarray
    noise: float = 0.0


#: Numbers of a step: the precisions of the weight prior, over N, on the generative part and on a layered prior's.
WEIGHT_PRIORS = ("prior_precision", "upper_precision")


def weighed(params: Params) -> Params:
    """The parameters that a weight prior is on: the generative model's, or all of a model without latents."""
    return params.generative if isinstance(params, LatentParams) else params


def generative_part(params: LatentParams) -> LatentParams:
    """All parameters but the recognition model's."""
    return params._replace(recognition=())


def with_weighed(params: Params, part: Params) -> Params:
    """The parameters with another such part."""
    return params._replace(generative=part) if isinstance(params, LatentParams) else part
