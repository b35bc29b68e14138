"""Fits the recognition model alone to generative parameters that stay as they are, such as the mean of many draws."""

from typing import Any, NamedTuple

import jax
import numpy as np

from sbvi.algorithms.algorithm import Array, Hyper, Info
from sbvi.algorithms.ascent import Ascent, State, typed
from sbvi.algorithms.gradient_ascent import objective_scores
from sbvi.algorithms.nais import Proposal, gradients
from sbvi.algorithms.optimizer import Optimizer
from sbvi.data import Batch
from sbvi.models.values import WEIGHT_PRIORS, DataSummary, LatentParams, generative_part
from sbvi.objectives import ImportanceWeighted


class TuningState(NamedTuple):
    """generative: what stays, without recognition parameters; ascent: these with their optimiser's state."""

    generative: LatentParams
    ascent: State


class ProposalTuning:
    """num_samples: K samples for each example; proposal: how they are learned from, beside a share of dreams
    (`sbvi.algorithms.nais`)."""

    monitor = "bound"

    def __init__(
        self,
        model: Any,
        num_samples: int,
        proposal: Proposal,
        optimizer: Optimizer,
        examples: int,
        dreams: float = 0.0,
    ):
        self.model, self.num_samples, self.proposal, self.examples = model, num_samples, proposal, examples
        self.dreams = dreams
        self.ascent = Ascent(model, optimizer, examples)

    def init(self, seed: int, summary: DataSummary) -> TuningState:
        return self.fresh(self.model.init(seed, summary))

    def fresh(self, params: LatentParams) -> TuningState:
        return TuningState(generative_part(params), self.ascent.fresh(params.recognition))

    def with_params(self, state: TuningState, params: LatentParams) -> TuningState:
        return self.fresh(params)

    def eval_params(self, state: TuningState) -> LatentParams:
        return state.generative._replace(recognition=self.ascent.eval_params(state.ascent))

    def keeps(self, score: float, best: float) -> bool:
        return True

    def hypers(self, steps: np.ndarray, steps_per_epoch: float, total_steps: int) -> dict[str, np.ndarray]:
        hypers = self.ascent.hypers(steps, steps_per_epoch, total_steps)
        return {name: value for name, value in hypers.items() if name not in WEIGHT_PRIORS}

    def step(self, state: TuningState, batch: Batch, key: Array, hyper: Hyper) -> tuple[TuningState, Info]:
        hyper, noise = typed(hyper, batch.x.dtype)
        params = state.generative._replace(recognition=state.ascent.params)
        count = self.num_samples
        grads = gradients(self.model, params, key, batch.x, count, self.proposal, noise, self.dreams)
        ascent = self.ascent.update(state.ascent, negative(grads.recognition), hyper)
        return state._replace(ascent=ascent), Info({"loss": -grads.report["bound"]} | grads.report)

    def scores(self, params: Any, key: Array, batch: Batch) -> dict[str, Array]:
        return objective_scores(ImportanceWeighted(num_samples=self.num_samples), self.model, params, key, batch)


def negative(tree: Any) -> Any:
    """-tree: a gradient to descend of one to climb."""
    return jax.tree.map(lambda leaf: -leaf, tree)
