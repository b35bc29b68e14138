"""A table's gaps by quadrature, row by row with as much effort as each needs, where the latents are one or two."""

from typing import Any

import jax
import numpy as np

from sbvi.core.precision import jit_reported
from sbvi.evaluation.quadrature import BATCH, FEW, floor_of
from sbvi.inference.grid_resampling import OnGrid, on_grid
from sbvi.inference.quadrature import EFFORTS, TOLERANCE, Effort
from sbvi.inference.resampling import Resampled

Array = jax.Array


class GridDraw:
    """A `Draw` of a model that `quadrature.serves`. A row whose log p(x_o) has not converged on any grid, or lies below
    what samples of q show, is filled from those.

    by_samples: the draws by q, whose estimates are the floor.
    """

    def __init__(self, model: Any, by_samples: Any, num_samples: int, draws: int):
        self.model, self.by_samples, self.num_samples, self.draws = model, by_samples, num_samples, draws
        self.efforts = EFFORTS[sum(model.latent_sizes().values())]
        self._compiled: dict[Effort, Any] = {}

    def __call__(self, params: Any, key: Array, x: Any) -> Resampled:
        """See `Resampled`; of a row by the grid all samples count, and k-hat is 0."""
        found = jax.device_get(self.by_samples(params, key, x))
        rows = np.asarray(x)
        floor = floor_of(found.log_likelihood, found.effective)
        made = {name: np.array(getattr(found, name)) for name in ("mean", "draws", "effective")}
        khat = None if found.khat is None else np.array(found.khat)
        left = np.arange(len(rows))
        for number, effort in enumerate(self.efforts):
            width = len(rows) if number == 0 else FEW if len(left) <= FEW else BATCH
            whole = self._rows(params, jax.random.fold_in(key, number), rows[left], effort, width)
            good = (whole.error <= TOLERANCE) & (whole.log_likelihood >= floor[left])
            done = left[good]
            made["mean"][done], made["draws"][:, done] = whole.mean[good], whole.draws[:, good]
            made["effective"][done] = self.num_samples
            if khat is not None:
                khat[done] = 0
            left = left[~good]
            if not len(left):
                break
        return found._replace(**made, khat=khat)

    def _rows(self, params: Any, key: Array, x: np.ndarray, effort: Effort, width: int) -> OnGrid:
        if effort not in self._compiled:
            self._compiled[effort] = jit_reported(
                lambda params, key, x: on_grid(self.model, params, key, x, self.draws, effort)
            )
        parts = []
        for start in range(0, len(x), width):
            index = np.arange(start, start + width) % len(x)
            part = jax.device_put(x[index])
            parts.append(jax.device_get(self._compiled[effort](params, jax.random.fold_in(key, start), part)))

        def joined(*values: Any) -> Any:
            axis = int(values[0].ndim > 2)  # of the draws rows come second
            return np.take(np.concatenate(values, axis), np.arange(len(x)), axis)

        return OnGrid(*map(joined, *parts))
