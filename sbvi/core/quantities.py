"""What reported numbers are: their unit, and which way is better.

A scalar is named by where it comes from and what it is, `test/nll` or `validation/kl/layer_1`; the longest known part
from its end, or the part before a node's name, says what it is.
"""

import math
from collections.abc import Container
from typing import Literal, NamedTuple


class Quantity(NamedTuple):
    """unit: such as nats; empty for a pure number. better: which way is better, None for neither. of_rows: whether it
    is a mean over rows of logarithms of their probabilities, or of minus them."""

    unit: str
    better: Literal["lower", "higher"] | None
    of_rows: bool = False


#: How quantities without a bound are told over examples.
QUARTILES = ("lower_quartile", "median", "upper_quartile")

#: A mean over examples beyond it has the logarithm of 0 in it, which models write as -1e30 (`sbvi.models.values`).
LOST = 1e20

#: What the standard error of a quantity is called after.
ERROR = "_stderr"
#: What each column of a table has of its own, as in `test/nll/NAME`.
COLUMNS_HAVE = ("nll", "nll_stderr")
#: What validation scores runs by, those first that come with others: with a bound over samples comes an ELBO.
MONITORS = ("hybrid", "conditional_log_likelihood", "bound", "elbo", "log_likelihood")
#: Those of the labels given x, which ask nothing of p(x).
OF_LABELS_ALONE = ("conditional_log_likelihood",)
QUANTITIES: dict[str, Quantity] = {
    "nll": Quantity("nats", "lower", of_rows=True),
    "exact_nll": Quantity("nats", "lower", of_rows=True),
    "nll_independent": Quantity("nats", "lower", of_rows=True),
    "nll_by_samples": Quantity("nats", "lower", of_rows=True),
    "quadrature_error": Quantity("nats", "lower"),
    "nll_lower": Quantity("nats", "lower", of_rows=True),
    "nll_geometric": Quantity("nats", "lower", of_rows=True),
    "nll_geometric_bound": Quantity("nats", "lower", of_rows=True),
    "log_z2": Quantity("nats", "higher"),
    "elbo": Quantity("nats", "higher", of_rows=True),
    "bound": Quantity("nats", "higher", of_rows=True),
    "log_likelihood": Quantity("nats", "higher", of_rows=True),
    "log_evidence": Quantity("nats", "higher", of_rows=True),
    "conditional_log_likelihood": Quantity("nats", "higher", of_rows=True),
    "hybrid": Quantity("nats", "higher", of_rows=True),
    "kl": Quantity("nats", "lower"),
    "reverse_kl": Quantity("nats", "lower"),
    **{f"{kl}_{part}": Quantity("nats", "lower") for kl in ("kl", "reverse_kl") for part in QUARTILES},
    "kl_error": Quantity("nats", "lower"),
    "reverse_kl_error": Quantity("nats", "lower"),
    "gap": Quantity("nats", "lower"),
    "still_moving": Quantity("", "lower"),
    "loss": Quantity("nats", "lower"),
    "sleep": Quantity("nats", "lower"),
    "log_loss": Quantity("nats", "lower", of_rows=True),
    "log_loss_of_means": Quantity("nats", "lower", of_rows=True),
    "bits_per_dimension": Quantity("bits", "lower", of_rows=True),
    "rmse": Quantity("", "lower"),
    "rmse_of_means": Quantity("", "lower"),
    "effective_samples": Quantity("samples", "higher"),
    "effective_samples_geometric": Quantity("samples", "higher"),
    "effective_pool": Quantity("samples", "higher"),
    "khat": Quantity("", "lower"),
    "khat_above_0.7": Quantity("", "lower"),
    "active_units": Quantity("latents", None),
    "accepted": Quantity("", None),
    "accepted_local": Quantity("", None),
    "rhat": Quantity("", "lower"),
    "rhat_above_1.1": Quantity("", "lower"),
    "missing": Quantity("", None),
    "n": Quantity("entries", None),
    "mean": Quantity("", None),
    "variance_of_means": Quantity("", None),
    "share_drawn": Quantity("", "higher"),
    "bias": Quantity("", "lower"),
    "noise": Quantity("", "lower"),
    "variance_mean": Quantity("", "lower"),
    "variance_covariance": Quantity("", "lower"),
    "microseconds": Quantity("microseconds", "lower"),
    "temperature": Quantity("", None),
    "thermostat": Quantity("", None),
    "log_prior": Quantity("nats", "higher"),
    "chains": Quantity("chains", None),
    "calibration_error": Quantity("", "lower"),
    "accuracy": Quantity("", "higher"),
    "accuracy_of_modes": Quantity("", "higher"),
    "coverage": Quantity("", None),
    "width": Quantity("", "lower"),
    "learning_rate": Quantity("", None),
    "skipped_updates": Quantity("updates", "lower"),
    "examples_per_second": Quantity("examples/s", "higher"),
    "train_seconds": Quantity("s", "lower"),
    "wall_seconds": Quantity("s", "lower"),
}


def error_of(name: str) -> str:
    """What the standard error of a scalar of this name is called: of `test/nll/NAME` `test/nll_stderr/NAME`."""
    parts = name.split("/")
    place = 1 if len(parts) > 2 and parts[1] in COLUMNS_HAVE else len(parts) - 1
    return "/".join([*parts[:place], parts[place] + ERROR, *parts[place + 1 :]])


def quantity(name: str) -> Quantity | None:
    """What a scalar of this name is; None where it was never declared."""
    parts = name.split("/")
    if len(parts) > 2 and parts[1] in COLUMNS_HAVE:  # whatever its column is called
        parts = parts[1:2]
    for part in reversed(parts):
        if part in QUANTITIES:
            return QUANTITIES[part]
        if part.endswith(ERROR) and (of := QUANTITIES.get(part.removesuffix(ERROR))) is not None:
            return Quantity(of.unit, "lower")
    return None


def with_unit(name: str) -> str:
    """A scalar's name as axes have it: with its unit, where it has one."""
    known = quantity(name)
    return f"{name}, {known.unit}" if known is not None and known.unit else name


def monitor_of(names: Container[str]) -> str | None:
    """The validation scalar that a run which wrote these scalars is scored by, such as `validation/elbo`."""
    return next((f"validation/{name}" for name in MONITORS if f"validation/{name}" in names), None)


def told(mean: float) -> float:
    """A mean over examples of logarithms of probabilities, or of minus them, as it is told: infinite where one of the
    examples has probability 0."""
    return math.copysign(math.inf, mean) if abs(mean) > LOST else mean
