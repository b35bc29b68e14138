"""The loop's scalars as people are told them."""

import logging
import math
from collections.abc import Mapping

from sbvi.core.quantities import told

log = logging.getLogger(__name__)


class Shown:
    """Called with scalars of a step; warns where rows of probability 0 first show in them."""

    def __init__(self) -> None:
        self.warned = False

    def __call__(self, values: Mapping[str, float], step: int) -> dict[str, float]:
        shown = {name: told(value) for name, value in values.items()}
        lost = [name for name, value in values.items() if math.isfinite(value) and not math.isfinite(shown[name])]
        if lost and not self.warned:
            self.warned = True
            log.warning(
                "%s at step %d: infinite, since some rows have probability 0 in the model; nothing tells its gradients "
                "and expected counts how such rows came about.",
                ", ".join(lost),
                step,
            )
        return shown
