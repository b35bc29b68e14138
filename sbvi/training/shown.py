"""The loop's scalars as people are told them."""

import logging
import math
from collections.abc import Mapping

from sbvi.core.quantities import quantity, told

log = logging.getLogger(__name__)


class Shown:
    """Called with scalars of a step; warns where rows of probability 0 first show in them.

    monitor: the scalar by which training is judged, of rows too, be it of an installed package's.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor, self.warned = monitor, False

    def __call__(self, values: Mapping[str, float], step: int) -> dict[str, float]:
        beyond = [name for name, value in values.items() if _beyond(value)]
        lost = [name for name in beyond if self._of_rows(name)]
        if lost:  # which a loss is made of: by itself it may be as large for its weights
            lost = [name for name in beyond if self._of_rows(name) or _in_units(name)]
        if lost and not self.warned:
            self.warned = True
            log.warning(
                "%s at step %d: infinite, since some rows have probability 0 in the model; nothing tells its gradients "
                "and expected counts how such rows came about.",
                ", ".join(lost),
                step,
            )
        return {name: told(value) if name in lost else value for name, value in values.items()}

    def _of_rows(self, name: str) -> bool:
        what = quantity(name)
        return name.rpartition("/")[2] == self.monitor if what is None else what.of_rows


def _in_units(name: str) -> bool:
    what = quantity(name)
    return what is not None and what.unit in ("nats", "bits")


def _beyond(value: float) -> bool:
    return math.isfinite(value) and not math.isfinite(told(value))
