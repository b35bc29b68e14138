"""Training on a table in memory, without a directory: what `sbvi.sklearn` stands on."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np

from sbvi.algorithms import ALGORITHMS
from sbvi.core import UserError, build
from sbvi.data import Dataset, Preprocessing, Split
from sbvi.data.sources.table import Known
from sbvi.data.tabular.kinds import Told
from sbvi.evaluation import Evaluation, Validator
from sbvi.evaluation.hidden_entries import Places, Prediction, predicting
from sbvi.models import MODELS
from sbvi.runs.assembly import data_facts, summarise
from sbvi.training import ResidentBatches
from sbvi.training.chunk import compile_chunk

if TYPE_CHECKING:
    import pandas

#: params -> how well they say what was held out, and what they say of each entry.
Score = Callable[[Any], tuple[float, Prediction | None]]

#: Steps of one dispatch, after which what is held out is scored, and how often that is at most.
CHUNK, SCORES = 100, 25


@dataclass(frozen=True)
class Member:
    """Parameters, and how well they say what was held out of their training: mean nats of a row, or of an entry."""

    params: Any
    step: int
    score: float
    predicted: Prediction | None = None


@dataclass(frozen=True)
class Fitted:
    """Models of a table that differ in their parameters alone. held: the table as they see it, (N, D)."""

    preprocessing: Preprocessing
    model: Any
    members: tuple[Member, ...]
    held: np.ndarray


@dataclass(frozen=True)
class Fit:
    """How a table is learned.

    model, objective, optimizer: settings, as in a config.
    held_out: share of what is held out of training, by which parameters are chosen among the steps.
    by: whether that is rows, or entries, of which every member misses others.
    members: how often the table is learned, each time from other parameters.
    """

    model: Mapping[str, Any]
    objective: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    steps: int
    batch_size: int
    held_out: float
    by: Literal["rows", "entries"] = "rows"
    members: int = 1
    columns: Mapping[Any, Told] | None = None
    seed: int = 0

    def __call__(self, frame: "pandas.DataFrame") -> Fitted:
        """Train on a frame; of all steps those parameters are kept that score best what is held out.

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
        chunk: Any = None
        members = []
        predict = predicting(model) if self.by == "entries" else None
        for place in range(self.members):
            seed = (self.seed + 1000 * place) % (2**31 - 1)
            own = dataset
            score: Score
            if predict is None:
                score = _by_rows(algorithm, dataset)
            else:
                places = Places.of(dataset.train.x[:], self.held_out, seed)
                own = replace(dataset, train=Split(places.without(dataset.train.x[:])))
                score = functools.partial(_by_entries, predict, jax.random.key(seed), places)
            batches = ResidentBatches(own, self.batch_size, seed)
            chunk = chunk or compile_chunk(algorithm, batches)  # one program serves all
            members.append(self._climb(algorithm, chunk, batches, algorithm.init(seed, summary), score))
        return Fitted(dataset.preprocessing, model, tuple(members), dataset.train.x[:])

    def _climb(
        self,
        algorithm: Any,
        chunk: Any,
        batches: ResidentBatches,
        state: Any,
        score: Score,
    ) -> Member:
        best: Member | None = None
        key = jax.random.key(batches.seed)
        length = max(CHUNK, -(-self.steps // SCORES))
        for start in range(0, self.steps, length):
            count = min(length, self.steps - start)
            steps = np.minimum(np.arange(start, start + length), self.steps)
            hypers = algorithm.hypers(steps, batches.examples / self.batch_size, self.steps)
            indices = batches.indices(start, count, length)
            state, chunk_result = chunk(
                state, batches.operands(), indices, hypers, key, np.int32(start), np.int32(count)
            )
            if (bad := int(chunk_result.bad_step)) >= 0:
                raise UserError(f"The loss stopped being a number at step {bad}; a lower learning rate may help.")
            params = algorithm.eval_params(state)
            value, predicted = score(params)
            if best is None or value >= best.score:
                best = Member(jax.device_get(params), start + count, value, predicted)
        assert best is not None
        return best

    def _dataset(self, frame: "pandas.DataFrame") -> Dataset:
        how = "columns={NAME: KIND}; the estimator's documentation lists the kinds"
        known = Known.of(frame, self.columns or {}, "the table", correct=how)
        order = np.random.default_rng(self.seed).permutation(len(frame))
        held = max(1, round(self.held_out * len(frame)))
        train, validation = known.numbers[order[held if self.by == "rows" else 0 :]], known.numbers[order[:held]]
        made = known.preprocessing(train, "deviation")
        first, second = (Split(made.store(part, "the table")) for part in (train, validation))
        return Dataset("table", first, second, second, made)


def _by_entries(predict: Any, key: jax.Array, places: Places, params: Any) -> tuple[float, Prediction]:
    scored: tuple[float, Prediction] = predict(params, key, places)
    return scored


def _by_rows(algorithm: Any, dataset: Dataset) -> Score:
    validator = Validator(algorithm.scores, dataset, Evaluation())

    def score(params: Any) -> tuple[float, Prediction | None]:
        return validator(params)[f"validation/{algorithm.monitor}"], None

    return score
