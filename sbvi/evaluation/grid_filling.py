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

#: The error of log p(x_o), nats, above which more effort is made: means of what varies over decades are further off.
CLOSE = TOLERANCE / 10


class GridDraw:
    """A `Draw` of a model that `quadrature.serves`. A row is filled from samples of q where log p(x_o) by the grid lies
    below what they show, or is told no better than by them; and where it has no gap.

    by_samples: the draws by q, whose estimates are the floor.
    """

    def __init__(self, model: Any, by_samples: Any, num_samples: int, draws: int):
        self.model, self.by_samples, self.num_samples, self.draws = model, by_samples, num_samples, draws
        latents = sum(model.latent_sizes().values())
        # Along one axis the second costs no more than the samples, and means of what varies over decades want it.
        self.efforts = EFFORTS[latents][1:] if latents == 1 else EFFORTS[latents]
        self._compiled: dict[Effort, Any] = {}

    def __call__(self, params: Any, key: Array, x: Any) -> Resampled:
        """See `Resampled`. Of a row that is integrated k-hat is 0 and all samples count; where that has not converged,
        as many as would tell log p(x_o) so well, and k-hat is not known."""
        found = jax.device_get(self.by_samples(params, key, x))
        rows = np.asarray(x)
        floor = floor_of(found.log_likelihood, found.effective)
        made = {name: np.array(getattr(found, name)) for name in ("mean", "draws", "effective")}
        made["khat"] = np.full(len(rows), np.nan) if found.khat is None else np.array(found.khat)
        left = np.flatnonzero(np.isnan(rows).any(1))
        own = jax.random.fold_in(key, 3)  # the samples have 0 to 2
        for number, effort in enumerate(self.efforts):
            if not len(left):
                break
            width = len(rows) if number == 0 else FEW if len(left) <= FEW else BATCH
            whole = self._rows(params, jax.random.fold_in(own, number), rows[left], effort, width)
            converged, last = whole.error <= TOLERANCE, effort == self.efforts[-1]
            # The last is taken as it is where it tells more than q.
            enough = np.maximum(TOLERANCE, 1 / np.sqrt(found.effective[left])) if last else CLOSE
            good = (whole.error <= enough) & (whole.log_likelihood >= floor[left])
            done = left[good]
            made["mean"][done], made["draws"][:, done] = whole.mean[good], whole.draws[:, good]
            worth = np.minimum(self.num_samples, 1 / np.square(np.maximum(whole.error, TOLERANCE)))
            made["effective"][done] = np.where(converged, self.num_samples, worth)[good]
            made["khat"][done] = np.where(converged, 0, np.nan)[good]
            left = left[~good]
        return found._replace(**made)

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
