"""Scores of a model on a split: the bound during training, the likelihood at its end."""

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import PositiveInt, Seed, processes, spec
from sbvi.core.placement import SINGLE, Placement
from sbvi.core.precision import jit_reported
from sbvi.data import Batch, Dataset
from sbvi.evaluation.active_units import active_units
from sbvi.evaluation.baseline import independent_nll
from sbvi.evaluation.batched import batched, map_batches
from sbvi.evaluation.classification import scores
from sbvi.evaluation.columns import column_nll
from sbvi.evaluation.pieces import fitting
from sbvi.evaluation.quadrature import Quadrature, floor_of
from sbvi.evaluation.sharing import by_core
from sbvi.evaluation.standard_error import standard_error
from sbvi.evaluation.trust import trust
from sbvi.gradients import Paths
from sbvi.inference.geometric_mean import partition
from sbvi.inference.importance import even, importance_sampling
from sbvi.inference.quadrature import serves
from sbvi.models import require, require_any
from sbvi.models.capabilities import Bidirectional, Classifier, Density, Encoder, LatentVariable, Tabular, offers
from sbvi.models.values import impossible

Array = jax.Array
#: What is told with the standard error of its mean over examples.
WITH_ERRORS = ("nll", "elbo", "nll_geometric_bound", "effective_samples", "effective_samples_geometric")
#: What is told by other numbers than its mean (`sbvi.evaluation.trust`).
UNAVERAGED = ("khat", "quadrature_error")
Scores = Callable[[Any, Array, Batch], dict[str, Array]]


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
    """Validation examples scored during training, evenly spaced over the split; null for all."""
    test: bool = True
    """Whether the final test is made."""
    partition_samples: PositiveInt = 100_000
    """Draws behind the constant of p*, for models of which p and q are two opposite chains of layers."""
    seed: Seed = 1
    """Seed of the evaluation's draws; the same for every run, so that numbers compare."""


class Validator:
    """What an algorithm's scores say of the validation split, compiled once, the split kept on the device."""

    def __init__(self, scores: Scores, dataset: Dataset, settings: Evaluation, placement: Placement = SINGLE):
        self.dataset, self.settings, self.placement = dataset, settings, placement
        self.key = placement.replicated(jax.random.key(settings.seed))
        self._scores = map_batches(scores, dataset, placement=placement)
        self._validation: Any = None

    def __call__(self, params: Any) -> dict[str, float]:
        """Means over examples, named `validation/...`."""
        if self._validation is None:
            limit = self.settings.validation_limit
            self._validation = batched(self.dataset, "validation", 10 * self.settings.batch_size, limit, self.placement)
        scored = self._scores(params, self.key, self._validation)
        return {f"validation/{name}": float(np.mean(values, dtype=np.float64)) for name, values in scored.items()}


class Evaluator:
    """Scores a trained model on whole splits: compiles each kind of score once.

    anneals: whether `task=annealed` serves the model (`ModelSpec.moves_latents`), which a warning then names.
    """

    def __init__(
        self,
        model: Any,
        dataset: Dataset,
        settings: Evaluation,
        placement: Placement = SINGLE,
        *,
        anneals: bool = True,
    ):
        self.anneals = anneals
        self.model, self.dataset, self.settings, self.placement = model, dataset, settings, placement
        self.key = placement.replicated(jax.random.key(settings.seed))
        self._likelihoods: dict[tuple[int, bool], Any] = {}
        self._means: Any = None
        self._quadrature: Quadrature | None = None
        self._partition: Any = None

    @property
    def how(self) -> str:
        """How log p(x) is found, in words; "labels" of a model that knows p(label | x) alone."""
        if offers(self.model, Density):
            return "exact"
        if offers(self.model, Classifier) and not offers(self.model, LatentVariable):
            return "labels"
        # Of several processes each would try other rows again, and wait for the others.
        return "quadrature" if serves(self.model) and not processes.several() else "importance sampling"

    def likelihood(
        self, params: Any, split: str, num_samples: int | None = None, *, by_samples: bool = False
    ) -> dict[str, np.ndarray]:
        """Per example (N,), nats: nll; and of a model with latents elbo, log_likelihood, kl, kl/<node>, the
        effective sample size, and khat where there are samples enough for it. Of one or two continuous latents nll is
        by quadrature, with its quadrature_error, and what the samples say is nll_by_samples.

        by_samples: leave quadrature out.

        Raises:
          UserError: the model offers no way to its likelihood.
        """
        count = 0 if offers(self.model, Density) else num_samples or self.settings.num_samples
        batches = batched(self.dataset, split, self.settings.batch_size, None, self.placement)
        how = count, by_core(len(batches.x), self.placement)
        if how not in self._likelihoods:
            scores = self._importance(*how) if count else self._exact
            self._likelihoods[how] = map_batches(scores, self.dataset, placement=self.placement, what="likelihood")
        scored: dict[str, np.ndarray] = self._likelihoods[how](self.placement.replicated(params), self.key, batches)
        if by_samples or self.how != "quadrature":
            return scored
        if self._quadrature is None:
            self._quadrature = Quadrature(self.model, self.dataset, self.placement)
        exact = self._quadrature(params, self.key, batches, floor_of(-scored["nll"], scored["effective_samples"]))
        own = {"nll": -exact["log_likelihood"], "quadrature_error": exact["error"], "nll_by_samples": scored["nll"]}
        return scored | own

    def _exact(self, params: Any, key: Array, batch: Batch) -> dict[str, Array]:
        log_p = self.model.log_prob(params, key, batch.x).value
        return {"nll": jnp.where(impossible(log_p), jnp.inf, -log_p)}

    def _importance(self, count: int, single: bool) -> Scores:
        model = require_any(self.model, ((Density,), (LatentVariable,)), "The likelihood")
        chunk = even(count, self.settings.chunk)
        paths = Paths(rule=fitting(chunk, self.settings.batch_size, single))
        estimate = importance_sampling(partial(model.rollout, paths=paths), count, chunk)

        def scores(params: Any, key: Array, batch: Batch) -> dict[str, Array]:
            estimated = estimate(params, key, batch.x)
            named = {
                "nll": -estimated.log_likelihood,
                "elbo": estimated.elbo,
                "log_likelihood": estimated.expected_log_likelihood,
                "kl": sum(estimated.kl.values()),
                "effective_samples": estimated.effective,
            }
            if estimated.khat is not None:
                named["khat"] = estimated.khat
            if offers(model, Bidirectional):
                named["nll_geometric_bound"] = -estimated.geometric
                named["effective_samples_geometric"] = estimated.geometric_effective
            return named | {f"kl/{node}": value for node, value in estimated.kl.items()}

        return scores

    def partition(self, params: Any) -> tuple[float, float]:
        """2 log Z of the geometric mean of p and q, nats, and its standard error."""
        draws, batch = self.settings.partition_samples, self.settings.batch_size * self.settings.chunk
        if self._partition is None:
            self._partition = jit_reported(lambda params, key: partition(self.model, params, key, draws, batch))
        estimate = jax.device_get(self._partition(self.placement.replicated(params), self.key))
        return float(estimate.log_z2), float(estimate.stderr)

    def posterior_means(self, params: Any, split: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """node -> E_q[xi | x] and the variance of its error, (N, K) both."""
        if self._means is None:
            model = require(self.model, Encoder, "Posterior means")

            def means(params: Any, _: Array, batch: Batch) -> dict[str, tuple[Array, Array]]:
                return {node: (moments.mean, moments.error) for node, moments in model.encode(params, batch.x).items()}

            self._means = map_batches(means, self.dataset, placement=self.placement)
        batches = batched(self.dataset, split, 10 * self.settings.batch_size, None, self.placement)
        by_node: dict[str, tuple[np.ndarray, np.ndarray]] = self._means(
            self.placement.replicated(params), self.key, batches
        )
        return by_node

    @functools.cached_property
    def independent_nll(self) -> float | None:
        """-log p of the test split under independent dimensions, nats; see `sbvi.evaluation.baseline`. None where the
        model's log p is of which entries are missing too."""
        if offers(self.model, Tabular) and not self.model.at_random():
            return None
        return independent_nll(self.dataset, self.model.discrete)

    def _nats_a_level(self) -> float | None:
        """What turns -log p of a dimension into that of its whole-number level; None where there is none.

        A density of dequantised values (k + u) / (L + 1) bounds the levels' probability from below
        (Theis et al. 2016) once the unit is a level's width.
        """
        levels = self.dataset.levels
        if levels is None or self.dataset.binary:
            return None
        if self.model.discrete:
            return 0.0
        return float(np.log(levels + 1)) if self.dataset.dequantized else None

    def summary(
        self, params: Any, split: str, num_samples: int | None = None
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Means with standard errors and active units, named `<split>/...`; and the per-example arrays. Of quadrature
        the largest error. Of a model that only classifies `classification.scores`.

        Of a model of two opposite chains of layers also those of p* = sqrt(p q) / Z: `nll_geometric_bound`, which is
        -log p~(x), `log_z2`, and `nll_geometric`, -log p*(x), their sum.
        """
        if self.how == "labels":
            return self.of_labels(params, split)
        arrays = self.likelihood(params, split, num_samples)
        means = {name: float(np.mean(v, dtype=np.float64)) for name, v in arrays.items() if name not in UNAVERAGED}
        scalars = {f"{split}/{name}": value for name, value in means.items()} | trust(split, arrays, self.anneals)
        for name in [n for n in WITH_ERRORS if n in arrays]:
            scalars[f"{split}/{name}_stderr"] = standard_error(arrays[name])
        if offers(self.model, Bidirectional):
            log_z2, error = self.partition(params)
            scalars |= {f"{split}/log_z2": log_z2, f"{split}/log_z2_stderr": error}
            bound, spread = (scalars[f"{split}/nll_geometric_bound{end}"] for end in ("", "_stderr"))
            scalars[f"{split}/nll_geometric"] = bound + log_z2
            scalars[f"{split}/nll_geometric_stderr"] = float(np.hypot(spread, error))
        if (offset := self._nats_a_level()) is not None:
            nats = scalars[f"{split}/nll"] / self.dataset.event_size + offset
            scalars[f"{split}/bits_per_dimension"] = float(nats / np.log(2))
        if self.dataset.preprocessing.table is not None and offers(self.model, Tabular) and self.model.at_random():
            sizes = num_samples or self.settings.num_samples, self.settings.chunk, self.settings.batch_size
            by_column = column_nll(self.model, params, self.dataset, split, self.key, *sizes, self.placement)
            for name, (value, error) in by_column.items():
                scalars[f"{split}/nll/{name}"] = value
                if not np.isnan(error):  # of a single entry
                    scalars[f"{split}/nll_stderr/{name}"] = error
        if offers(self.model, Encoder):
            for node, active in active_units(self.posterior_means(params, split)).items():
                scalars[f"{split}/active_units/{node}"] = active
        if (exact := self.dataset.exact_log_likelihood) is not None:
            x = self.dataset.split(split).x
            scalars[f"{split}/exact_nll"] = float(-np.mean(exact(x)))
        return scalars, arrays

    def of_labels(self, params: Any, split: str) -> tuple[dict[str, float], dict[str, Any]]:
        """What a model with a class for every label says of them: `classification.scores`, named `<split>/...`, NaN
        where a row has probability 0 under every class; and log p(label | x), (N, C).

        Raises:
          UserError: the split has no labels.
        """
        label = self.dataset.labels(split, None, "The final test of a classifier")

        def predicted(params: Any, _: Array, batch: Batch) -> dict[str, Array]:
            return {"log_probs": self.model.class_log_probs(params, batch.x)}

        batches = batched(self.dataset, split, 10 * self.settings.batch_size, None, self.placement)
        made = map_batches(predicted, self.dataset, placement=self.placement)
        found: dict[str, np.ndarray] = made(self.placement.replicated(params), self.key, batches)
        return {f"{split}/{name}": value for name, value in scores(found["log_probs"], label).items()}, found
