"""The program of a run's first chunk, compiled by a thread while its first state is made."""

import threading
from typing import Any

import jax
import numpy as np

from sbvi.algorithms import Algorithm
from sbvi.core.precision import as_here
from sbvi.training.batches import ResidentBatches
from sbvi.training.chunk import Chunk, compile_chunk
from sbvi.training.plan import Plan


class CompiledAhead:
    """Stands for `compile_chunk`, of which it hands back what it has compiled meanwhile.

    Compilation does not hold the interpreter's lock. What goes wrong here goes wrong again where the chunk first runs.
    state: the shapes of the algorithm's state. words: what the chunk takes, of its shapes.
    """

    def __init__(self, algorithm: Algorithm, batches: ResidentBatches, plan: Plan, state: Any):
        self._chunk = compile_chunk(algorithm, batches, skip_bad=plan.trainer.on_nan == "skip")
        self.words = (state, *_words(algorithm, batches, plan))
        self._thread = threading.Thread(target=as_here(self._compile))
        self._thread.start()

    def _compile(self) -> None:
        try:
            self._chunk.lower(*self.words).compile()
        except BaseException:  # said where the chunk runs
            return

    def __call__(self, *_: Any, **__: Any) -> Chunk:
        """The chunk of the algorithm and batches that this was made with."""
        self._thread.join()
        return self._chunk


def _words(algorithm: Algorithm, batches: ResidentBatches, plan: Plan) -> tuple[Any, ...]:
    """What a chunk takes besides the state, of the right shapes."""
    steps = np.arange(plan.chunk)
    hypers = algorithm.hypers(steps, plan.steps_per_epoch, plan.total_steps)
    indices = np.zeros((plan.chunk, batches.batch_size), np.int32)
    return batches.operands(), indices, hypers, jax.random.key(batches.seed), np.int32(0), np.int32(0)
