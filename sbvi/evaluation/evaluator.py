"""Scores of a model on a split: the bound during training, the likelihood at its end."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import NonNegativeInt, PositiveInt, spec
from sbvi.core.placement import SINGLE, Placement
from sbvi.data import Dataset
from sbvi.evaluation.active_units import active_units
from sbvi.evaluation.batched import batched, map_batches
from sbvi.evaluation.pieces import fitting
from sbvi.evaluation.trust import trust
from sbvi.inference.importance import even, importance_sampling
from sbvi.models import STANDARD, BuiltDLGM, Paths
from sbvi.objectives import Objective

Array = jax.Array


@spec
class Evaluation:
    """How models are scored."""

    num_samples: PositiveInt = 500
    """Importance samples S for each example in the final test."""
    chunk: PositiveInt = 20
    """Importance samples held in memory at once."""
    batch_size: PositiveInt = 100
    """Examples in each batch of an evaluation."""
    validation_limit: PositiveInt | None = None
    """Validation examples scored during training; null for all."""
    test: bool = True
    """Whether the final test is made."""
    seed: NonNegativeInt = 1
    """Seed of the evaluation's draws; the same for every run, so that numbers compare."""


class Evaluator:
    """Compiles each kind of score once, and keeps the splits on the device."""

    def __init__(
        self,
        model: BuiltDLGM,
        objective: Objective,
        dataset: Dataset,
        settings: Evaluation,
        placement: Placement = SINGLE,
    ):
        self.model, self.objective, self.dataset, self.settings = model, objective, dataset, settings
        self.placement = placement
        self.key = placement.replicated(jax.random.key(settings.seed))
        self._bound = map_batches(self._bound_parts, dataset, placement=placement)
        self._means = map_batches(self._posterior_means, dataset, placement=placement)
        self._estimates: dict[int, Any] = {}
        self._validation: Any = None

    def _bound_parts(self, params: Any, key: Array, x: Array) -> dict[str, Array]:
        def roll(num_samples: int, paths: Paths = STANDARD) -> Any:
            return self.model.rollout(params, key, x, num_samples)

        return self.objective(roll, jnp.ones((), x.dtype))[1]

    def _posterior_means(self, params: Any, key: Array, x: Array) -> dict[str, Array]:
        return {node: q.mean for node, q in self.model.encode(params, x).items()}

    def validate(self, params: Any) -> dict[str, float]:
        """The objective's parts on the validation split, means over examples."""
        if self._validation is None:
            self._validation = batched(
                self.dataset,
                "validation",
                10 * self.settings.batch_size,
                self.settings.validation_limit,
                self.placement,
            )
        found = self._bound(params, self.key, self._validation)
        return {f"validation/{name}": float(np.mean(values, dtype=np.float64)) for name, values in found.items()}

    def likelihood(self, params: Any, split: str, num_samples: int | None = None) -> dict[str, np.ndarray]:
        """Per example (N,): nll, elbo, log_likelihood, kl/<node>, nats; effective sample size, and khat where there are
        samples enough for it."""
        settings = self.settings
        count = num_samples or settings.num_samples
        if count not in self._estimates:
            chunk = even(count, settings.chunk)
            paths = Paths(rule=fitting(chunk, settings.batch_size, self.placement))
            estimate = importance_sampling(partial(self.model.rollout, paths=paths), count, chunk)
            self._estimates[count] = map_batches(estimate, self.dataset, placement=self.placement)
        batches = batched(self.dataset, split, settings.batch_size, None, self.placement)
        found = self._estimates[count](self.placement.replicated(params), self.key, batches)
        named = {
            "nll": -found.log_likelihood,
            "elbo": found.elbo,
            "log_likelihood": found.expected_log_likelihood,
            "kl": sum(found.kl.values()),
            "effective_samples": found.effective,
        }
        if found.khat is not None:
            named["khat"] = found.khat
        return named | {f"kl/{node}": value for node, value in found.kl.items()}

    def posterior_means(self, params: Any, split: str) -> dict[str, np.ndarray]:
        """node -> E_q[xi | x], (N, K)."""
        found: dict[str, np.ndarray] = self._means(
            self.placement.replicated(params),
            self.key,
            batched(self.dataset, split, 10 * self.settings.batch_size, None, self.placement),
        )
        return found

    def _nats_a_level(self) -> float | None:
        """What turns -log p of a dimension into that of its whole-number level; None where there is none.

        A density of dequantised values (k + u) / (L + 1) bounds the levels' probability from below
        (Theis et al. 2016) once the unit is a level's width.
        """
        levels = self.dataset.levels
        if levels is None or self.dataset.binary:
            return None
        if self.model.likelihood.discrete:
            return 0.0
        return float(np.log(levels + 1)) if self.dataset.dequantized else None

    def summary(self, params: Any, split: str, num_samples: int | None = None) -> tuple[dict[str, float], dict]:
        """Means with standard errors and active units, named `<split>/...`; and the per-example arrays."""
        arrays = self.likelihood(params, split, num_samples)
        count = len(arrays["nll"])
        means = {name: float(np.mean(v, dtype=np.float64)) for name, v in arrays.items() if name != "khat"}
        scalars = {f"{split}/{name}": value for name, value in means.items()} | trust(split, arrays)
        for name in ("nll", "elbo"):
            spread = float(np.std(arrays[name], dtype=np.float64))
            scalars[f"{split}/{name}_stderr"] = spread / np.sqrt(max(1, count - 1))
        if (offset := self._nats_a_level()) is not None:
            nats = scalars[f"{split}/nll"] / self.dataset.event_size + offset
            scalars[f"{split}/bits_per_dimension"] = float(nats / np.log(2))
        for node, active in active_units(self.posterior_means(params, split)).items():
            scalars[f"{split}/active_units/{node}"] = active
        if (exact := self.dataset.exact_log_likelihood) is not None:
            x = self.dataset.split(split).x
            scalars[f"{split}/exact_nll"] = float(-np.mean(exact(x)))
        return scalars, arrays
