"""The training set, on the device or streamed to it, and the order in which steps read it.

The order is a function of (seed, epoch) alone: one permutation an epoch, made on the host, laid end to
end; step s reads positions s B .. (s + 1) B of that stream, so no example is left out.
"""

import functools
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.placement import SINGLE, Placement
from sbvi.data import Batch, Dataset
from sbvi.data.streaming import spans
from sbvi.data.traced import Traced

Array = jax.Array


class Piece(NamedTuple):
    """What one dispatch reads: `steps` steps from `start`; rows of `indices` (length, B) beyond them are padding."""

    start: int
    steps: int
    operands: tuple[Array, Array | None]
    indices: np.ndarray


class Batches(Protocol):
    """Where the loop's batches come from."""

    batch_size: int
    placement: Placement

    def pieces(self, start: int, end: int, longest: int, ahead: int) -> Iterator[Piece]:
        """Dispatches for the steps start .. end, each of at most `longest`; steps up to `ahead` come next."""
        ...

    def length(self, longest: int) -> int:
        """Steps that a dispatch's arrays have room for."""
        ...

    def gather(self, operands: Any, index: Array, position: Array, key: Array) -> Batch:
        """Traced: the batch at row `position` of a piece, whose examples are at `index` (B,)."""
        ...

    @property
    def identity(self) -> str:
        """What two runs must share to read the same data."""
        ...

    def close(self) -> None:
        """Nothing more will be read."""
        ...


class ResidentBatches:
    """Batches gathered inside the compiled program from a training set that lives on the device."""

    def __init__(
        self, dataset: Dataset, batch_size: int, seed: int, dtype: Any = jnp.float32, placement: Placement = SINGLE
    ):
        placement.check(batch_size, "trainer.batch_size")
        self.batch_size, self.seed, self.placement = batch_size, seed, placement
        self.examples = len(dataset.train)
        self.prepare = Traced(dataset.preprocessing, True, dtype)
        self.data, self.label = placement.replicated(dataset.resident)
        self._permutations: dict[int, np.ndarray] = {}

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch not in self._permutations:
            if len(self._permutations) > 4:
                self._permutations.clear()
            order = np.random.default_rng([self.seed, epoch]).permutation(self.examples)
            self._permutations[epoch] = order.astype(np.int32)
        return self._permutations[epoch]

    def indices(self, start: int, count: int, length: int) -> np.ndarray:
        """Positions read by steps start .. start + count, padded with zeros to (length, B), int32."""
        first, last = start * self.batch_size, (start + count) * self.batch_size
        pieces = [self._permutation(epoch)[begin:end] for epoch, begin, end in spans(first, last, self.examples)]
        indices = np.zeros(length * self.batch_size, np.int32)
        indices[: count * self.batch_size] = np.concatenate(pieces)
        return indices.reshape(length, self.batch_size)

    def operands(self) -> tuple[Array, Array | None]:
        """The arrays that the compiled program reads."""
        return self.data, self.label

    def length(self, longest: int) -> int:
        return longest

    def pieces(self, start: int, end: int, longest: int, ahead: int) -> Iterator[Piece]:
        yield Piece(start, end - start, self.operands(), self.indices(start, end - start, longest))

    def close(self) -> None: ...

    @functools.cached_property
    def identity(self) -> str:
        return hashlib.sha256(np.asarray(self.data).tobytes()).hexdigest()

    def gather(self, operands: tuple[Array, Array | None], index: Array, position: Array, key: Array) -> Batch:
        data, label = operands
        index = self.placement.hold_split(index)
        x = self.prepare(key, data.at[index].get(mode="promise_in_bounds"))
        x = self.placement.hold_split(x)
        picked = None if label is None else label.at[index].get(mode="promise_in_bounds")
        return Batch(x, index, jnp.ones(index.shape, x.dtype), picked)
