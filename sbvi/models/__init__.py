"""Models: generative and recognition networks, one model a module.

To add one: a module with a `spec` whose `build(event_shape, likelihood, posterior)` gives an object
with `init`, `rollout` and what else it can do (`encode`, `decode`, `sample`, ...); a line in MODELS;
a file in `configs/model/`; a row in the contract test.
"""

from sbvi.models.dlgm import DLGM, BuiltDLGM, DLGMParams
from sbvi.models.rollout import STANDARD, Noise, Params, Paths, Rollout

MODELS: dict[str, type] = {"dlgm": DLGM}

__all__ = ["DLGM", "MODELS", "STANDARD", "BuiltDLGM", "DLGMParams", "Noise", "Params", "Paths", "Rollout"]
