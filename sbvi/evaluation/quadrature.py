"""log p(x) of whole splits by quadrature: every example with little effort, and more for those that need it."""

import logging
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from sbvi.core.placement import SINGLE, Placement
from sbvi.core.precision import full_precision
from sbvi.data import Batch, Dataset
from sbvi.evaluation.batched import Batches, map_batches
from sbvi.inference.quadrature import EFFORTS, TOLERANCE, Effort, Integral, quadrature, tolerance

Array = jax.Array
log = logging.getLogger(__name__)

BATCH, FEW = 20, 4  # examples that are tried again at once; where no more than FEW are left, so many: padding costs
#: So many effective samples tell the error of their own estimate.
TELLING = 30
#: (params, x, integral, effort) -> what else is kept of each example, (B,) each; NAME_error is that of NAME, in nats.
Further = Callable[[Any, Array, Integral, Effort], dict[str, Array]]


def floor_of(log_likelihood: np.ndarray, effective: np.ndarray) -> np.ndarray:
    """What N estimates by importance sampling (N,), each of so many effective samples, show to lie below log p(x).

    Four standard errors, 1 / sqrt(effective) nats each, where these are known; else a single draw may be the whole
    estimate, of which P(estimate > log p(x) + t) <= exp(-t) is all that can be said (Markov): with t = log(100 N) it
    misleads for one of the N examples in one case of a hundred.
    """
    slack = np.maximum(0.05, 4 / np.sqrt(effective))
    return np.asarray(log_likelihood - np.where(effective >= TELLING, slack, np.log(100 * len(effective))))


def _unconverged(scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """NAME -> of which examples, (N,), NAME_error is too large."""
    names = [name for name in scores if f"{name}_error" in scores]
    return {name: ~(scores[f"{name}_error"] <= tolerance(scores[name])) for name in names}


def _wanting(scores: dict[str, np.ndarray]) -> np.ndarray:
    """Of which examples, (N,), something has not converged."""
    return np.any([~(scores["error"] <= TOLERANCE), *_unconverged(scores).values()], 0)


class Quadrature:
    """Compiled once for a model and a kind of data. Gives log_likelihood and its error, and what `further` does;
    `inputs` gives the model's input as it is scored."""

    def __init__(self, model: Any, dataset: Dataset, placement: Placement = SINGLE, further: Further = lambda *_: {}):
        self.model, self.further, self.placement = model, further, placement
        self.efforts = EFFORTS[sum(model.latent_sizes().values())]
        self._first = map_batches(self._batch, dataset, placement=placement)
        self.inputs = map_batches(lambda _, __, batch: batch.x, dataset, placement=placement)
        self._again: dict[Effort, Any] = {}

    def _batch(self, params: Any, _: Array, batch: Batch) -> dict[str, Array]:
        first = self.placement.by_parts(lambda params, x: self._scores(params, x, self.efforts[0]))
        return first(params, batch.x)

    def _scores(self, params: Any, x: Array, effort: Effort) -> dict[str, Array]:
        integral = quadrature(self.model, params, x, effort)
        return {"log_likelihood": integral.log_likelihood, "error": integral.error} | self.further(
            params, x, integral, effort
        )

    def __call__(
        self, params: Any, key: Array, batches: Batches, floor: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Per example, (N,).

        floor: what is known to lie below log p(x), as from samples, which see a peak between the points of a grid; see
        `floor_of`. Where the result is below it, more effort is made, and the error is what is missing at least.
        """
        where = self.placement.replicated(params)
        scores = {name: np.array(values) for name, values in self._first(where, key, batches).items()}
        least = np.full(len(scores["error"]), -np.inf) if floor is None else floor
        scores["error"] = np.maximum(scores["error"], least - scores["log_likelihood"])
        left = np.flatnonzero(_wanting(scores))
        if len(left):
            x = np.asarray(self.inputs(where, key, batches))[left]
            host = jax.device_get(params)
            for effort in self.efforts[1:]:
                for name, values in self._rows(host, x, effort).items():
                    scores[name][left] = values
                scores["error"][left] = np.maximum(scores["error"][left], least[left] - scores["log_likelihood"][left])
                again = _wanting({name: values[left] for name, values in scores.items()})
                left, x = left[again], x[again]
                if not len(left):
                    break
        self._warn(scores)
        return scores

    def _warn(self, scores: dict[str, np.ndarray]) -> None:
        missed = ~(scores["error"] <= TOLERANCE)
        if missed.any():
            log.warning(
                "The quadrature of %d of %d examples has not converged: their log-likelihood changes by more than %s "
                "nats from grid to grid, or lies below what samples show (%.3g at most).",
                missed.sum(),
                len(missed),
                TOLERANCE,
                float(scores["error"].max()),
            )
        for name, missed in _unconverged(scores).items():
            if missed.any():
                log.warning(
                    "The quadrature of %s has not converged for %d of %d examples: it may be off by %.3g nats at most.",
                    name,
                    missed.sum(),
                    len(missed),
                    float(scores[f"{name}_error"].max()),
                )

    def _rows(self, params: Any, x: np.ndarray, effort: Effort) -> dict[str, np.ndarray]:
        if effort not in self._again:
            self._again[effort] = jax.jit(lambda params, x: self._scores(params, x, effort))
        parts, width = [], FEW if len(x) <= FEW else BATCH
        for start in range(0, len(x), width):
            index = np.arange(start, start + width) % len(x)
            with full_precision():
                parts.append(jax.device_get(self._again[effort](params, jax.device_put(x[index]))))
        return {name: np.concatenate([part[name] for part in parts])[: len(x)] for name in parts[0]}
