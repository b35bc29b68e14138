"""Training on a table in memory, without a directory: what `sbvi.sklearn` stands on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from sbvi.algorithms import ALGORITHMS
from sbvi.core import UserError, build
from sbvi.data import Dataset, Preprocessing, Split
from sbvi.data.sources.table import Known
from sbvi.evaluation import Evaluation, Validator
from sbvi.models import MODELS
from sbvi.runs.assembly import data_facts, summarise
from sbvi.training import ResidentBatches
from sbvi.training.chunk import compile_chunk

if TYPE_CHECKING:
    import pandas

#: Steps of one dispatch, after which the held-out rows are scored.
CHUNK = 100


@dataclass(frozen=True)
class Fitted:
    """A model of a table: how it is read, the built model and its parameters."""

    preprocessing: Preprocessing
    model: Any
    params: Any
    best_step: int
    validation: float


@dataclass(frozen=True)
class Fit:
    """How a table is learned. model, objective, optimizer: settings, as in a config."""

    model: Mapping[str, Any]
    objective: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    steps: int
    batch_size: int
    validation: float
    columns: Mapping[str, str | tuple[str, ...]] | None = None
    seed: int = 0

    def __call__(self, frame: "pandas.DataFrame") -> Fitted:
        """Train on a frame; of all steps those parameters are kept that score held-out rows best.

        Raises:
          UserError: the frame or the settings are wrong, or the loss stopped being a number.
        """
        dataset = self._dataset(frame)
        spec = build(MODELS, "model", self.model)
        facts = data_facts(dataset)
        spec.check(facts)
        chosen = {"name": "gradient_ascent", "objective": self.objective, "optimizer": self.optimizer}
        algorithm_spec: Any = build(ALGORITHMS, "algorithm", chosen)
        algorithm_spec = algorithm_spec.completed(spec)
        algorithm_spec.check(spec)
        summary = summarise(dataset, spec.summary_rows)
        model = spec.build(facts, None)
        algorithm = algorithm_spec.build(model, len(dataset.train))
        batches = ResidentBatches(dataset, self.batch_size, self.seed)
        chunk = compile_chunk(algorithm, batches)
        validator = Validator(algorithm.scores, dataset, Evaluation())
        state, key = algorithm.init(self.seed, summary), jax.random.key(self.seed)
        best: tuple[float, int, Any] = (-np.inf, 0, None)
        per_epoch = len(dataset.train) / self.batch_size
        for start in range(0, self.steps, CHUNK):
            count = min(CHUNK, self.steps - start)
            steps = np.minimum(np.arange(start, start + CHUNK), self.steps)
            hypers = algorithm.hypers(steps, per_epoch, self.steps)
            indices = batches.indices(start, count, CHUNK)
            state, found = chunk(state, batches.operands(), indices, hypers, key, np.int32(start), np.int32(count))
            if (bad := int(found.bad_step)) >= 0:
                raise UserError(f"The loss stopped being a number at step {bad}; a lower learning rate may help.")
            params = algorithm.eval_params(state)
            score = validator(params)[f"validation/{algorithm.monitor}"]
            if score > best[0] or best[2] is None:
                best = score, start + count, jax.device_get(params)
        return Fitted(dataset.preprocessing, model, best[2], best[1], best[0])

    def _dataset(self, frame: "pandas.DataFrame") -> Dataset:
        known = Known.of(frame, self.columns or {}, "the table")
        order = np.random.default_rng(self.seed).permutation(len(frame))
        held = max(1, round(self.validation * len(frame)))
        train, validation = known.numbers[order[held:]], known.numbers[order[:held]]
        made = known.preprocessing(train, "deviation")
        first, second = (Split(made.store(part, "the table")) for part in (train, validation))
        return Dataset("table", first, second, second, made)
