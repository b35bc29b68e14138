"""Warnings about runs that are probably not what was meant."""

import logging
from collections.abc import Mapping
from typing import Any

from sbvi.core.spec import fields
from sbvi.data import Dataset
from sbvi.training import Plan

log = logging.getLogger(__name__)

#: A field that algorithms may have -> the setting that most decides how far they come.
SETTINGS = {"optimizer": "optimizer.learning_rate", "pseudocount": "algorithm.pseudocount"}
#: Before a node of the model: how many of its units are active.
ACTIVE = "test/active_units/"


def tell_large_batches(plan: Plan) -> None:
    """Warn of batches that exceed the training set."""
    size = plan.trainer.batch_size
    if size > plan.examples:
        log.warning(
            "trainer.batch_size=%d is more than the %d training examples: every step sees some of them several times, "
            "and the %d steps are %.1f epochs.",
            size,
            plan.examples,
            plan.total_steps,
            plan.total_steps / plan.steps_per_epoch,
        )


def tell_inactive(scalars: Mapping[str, float], algorithm: Any) -> None:
    """Warn of stochastic layers that carry nothing of x, and say what lets them begin, where the algorithm's settings
    have it."""
    none = [name.removeprefix(ACTIVE) for name, value in scalars.items() if name.startswith(ACTIVE) and value == 0]
    if none:
        weighted = hasattr(getattr(algorithm, "objective", None), "kl_weight")
        log.warning(
            "No unit of %s is active: x hardly moves its posterior means; train it for longer%s.",
            " and of ".join(none),
            ", or let it begin by objective.kl_weight.warmup_epochs" if weighted else "",
        )


def tell_baseline(scalars: Mapping[str, float], dataset: Dataset, algorithm: type) -> None:
    """Warn of a test likelihood below that of independent dimensions, and name a setting of the algorithm's, of which
    this is the spec, that may be at fault."""
    reached, baseline = scalars["test/nll"], scalars["test/nll_independent"]
    if round(reached, 2) > round(baseline, 2):  # as they are told
        log.warning(
            "test/nll is %.2f, worse than the %.2f of independent %s, each with a distribution of its own: this model "
            "has learned less than that; train it for longer%s.",
            reached,
            baseline,
            "pixels" if len(dataset.event_shape) > 1 else "columns",
            next((f", or with another {key}" for field, key in SETTINGS.items() if field in fields(algorithm)), ""),
        )
