"""What is asked of an objective that an installed package adds, tried before anything is trained by it."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from sbvi.core.plugins import PARAMETERS, lacks_arrays, ours, wrong

#: Steps of the trial.
STEPS = 3


def whole(objective: Any, size: int) -> Any:
    """The objective, if it gives its numbers as they are asked for. Those of sbvi, which have tests of their own, are
    taken as they are; what it gives of a view is held to its shapes by `evaluated`. size: values of an example.

    Raises:
      UserError: what `numbers` or `companion` gives, and what it must.
    """
    if ours(type(objective)):
        return objective
    companion = objective.companion(jax.random.key(0), size)
    if companion is not None and lacks_arrays(companion):
        raise wrong(type(objective), "companion", companion, f"None, or parameters: {PARAMETERS}")
    found = objective.numbers(np.arange(STEPS), 10.0)
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise wrong(type(objective), "numbers", found, "a dict from names to arrays of one number for each step")
    for name, value in found.items():
        if not hasattr(value, "astype") or np.shape(value) != (STEPS,):
            must = f"an array of shape {(STEPS,)} as {name} for {STEPS} steps"
            raise wrong(type(objective), "numbers", value, must)
    return objective
