"""The loop's scalars as people are told them."""

import logging
import math
from collections.abc import Mapping

from sbvi.core.quantities import quantity, told

log = logging.getLogger(__name__)


class Shown:
    """Called with scalars of a step; warns where rows of probability 0 first show in them."""

    def __init__(self) -> None:
        self.warned = False

    def __call__(self, values: Mapping[str, float], step: int) -> dict[str, float]:
        known = {name: what for name in values if (what := quantity(name)) is not None}
        lost = [name for name, what in known.items() if what.of_rows and _beyond(values[name])]
        if lost:  # which a loss is made of: by itself it may be as large for its weights
            lost = [name for name, what in known.items() if what.unit in ("nats", "bits") and _beyond(values[name])]
        if lost and not self.warned:
            self.warned = True
            log.warning(
                "%s at step %d: infinite, since some rows have probability 0 in the model; nothing tells its gradients "
                "and expected counts how such rows came about.",
                ", ".join(lost),
                step,
            )
        return {name: told(value) if name in lost else value for name, value in values.items()}


def _beyond(value: float) -> bool:
    return math.isfinite(value) and not math.isfinite(told(value))
