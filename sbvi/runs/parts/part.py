"""What all parts of a loaded run stand on: its model and parameters, and compiled functions over batches of rows."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.precision import jit_reported, methods_in_float32
from sbvi.data import Preprocessing
from sbvi.models import require

#: Rows that a compiled function takes at a time.
BATCH = 500


class Part:
    """One thing that `LoadedRun` offers; the parts are its base classes."""

    model: Any
    params: Any
    preprocessing: Preprocessing
    event_shape: tuple[int, ...]
    _compiled: dict[Any, Any]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        methods_in_float32(cls)

    def _able(self, capability: type, what: str) -> Any:
        return require(self.model, capability, f"{what}()")

    def _jitted(self, name: Any, function: Any, fixed: int | None = None) -> Any:
        if name not in self._compiled:
            self._compiled[name] = jit_reported(function, static_argnums=fixed)
        return self._compiled[name]

    def _batches(self, function: Any, values: Any, size: int = BATCH) -> Any:
        """Apply a compiled function to at most `size` rows at a time."""
        count = len(jax.tree.leaves(values)[0])
        results = []
        for start in range(0, count, size):
            part = jax.tree.map(lambda v, s=start: jnp.asarray(v[s : s + size]), values)
            results.append(jax.device_get(function(part, start // size)))
        return jax.tree.map(lambda *parts: np.concatenate(parts), *results)
