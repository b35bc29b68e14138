"""A short training without validation or checkpoints, from given parameters: what is killed in it is done again."""

from typing import Any

import jax
import numpy as np

from sbvi.algorithms import Algorithm
from sbvi.training.batches import Batches
from sbvi.training.chunk import compile_chunk
from sbvi.training.plan import Plan

STREAM = 1 << 20  # apart from the keys of training, which are folded with steps


class Tuner:
    """Trains parameters for some epochs with an algorithm, compiled once; the order of the data is its own."""

    def __init__(self, algorithm: Algorithm, batches: Batches, plan: Plan, epochs: float, seed: int):
        self.algorithm, self.batches, self.plan = algorithm, batches, plan
        self.steps = round(epochs * plan.steps_per_epoch)
        key = jax.random.fold_in(jax.random.key(seed), STREAM)
        self.key = batches.placement.replicated(key)
        self._chunk = compile_chunk(algorithm, batches)

    def __call__(self, params: Any) -> Any:
        """Parameters that were trained from these."""
        if not self.steps:
            return params
        # The chunk takes its state's memory, and these parameters are the caller's.
        state = self.algorithm.with_params(None, jax.tree.map(lambda leaf: leaf.copy(), params))
        state = self.batches.placement.replicated(state)
        start = 0
        while start < self.steps:
            end = min(start + self.plan.chunk, self.steps)
            for piece in self.batches.pieces(start, end, self.plan.chunk, min(end + self.plan.chunk, self.steps)):
                steps = np.minimum(np.arange(piece.start, piece.start + len(piece.indices)), self.steps)
                hypers = self.algorithm.hypers(steps, self.plan.steps_per_epoch, self.steps)
                numbers = (np.int32(piece.start), np.int32(piece.steps))
                state, _ = self._chunk(state, piece.operands, piece.indices, hypers, self.key, *numbers)
            start = end
        return self.algorithm.eval_params(state)
