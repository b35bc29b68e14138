"""Batches of a training set that is streamed: a thread reads the next piece while the device works on this one.

The order is a function of (seed, epoch) (see `sbvi.data.streaming.WindowedOrder`), so that a resumed run reads
on exactly. Of several processes each reads the rows that its own devices work on.
"""

import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.placement import SINGLE, Placement
from sbvi.data import Batch, Dataset
from sbvi.data.streaming import WindowedOrder, shard_sizes, spans
from sbvi.data.traced import Traced
from sbvi.training.batches import Piece

Array = jax.Array

PIECE_BYTES = 1 << 25  # of examples in one dispatch; two such pieces are held at once


class StreamedBatches:
    """The interface of `ResidentBatches`, with the examples themselves among each dispatch's arrays."""

    def __init__(
        self, dataset: Dataset, batch_size: int, seed: int, dtype: Any = jnp.float32, placement: Placement = SINGLE
    ):
        placement.check(batch_size, "trainer.batch_size")
        self.batch_size, self.seed, self.placement = batch_size, seed, placement
        self.examples = len(dataset.train)
        self.prepare = Traced(dataset.preprocessing, True, dtype)
        self.x, self.labels = dataset.train.x, dataset.train.label
        self.width = dataset.event_size
        self.order = WindowedOrder(shard_sizes(self.x, self.examples), seed)
        self.identity = uuid.uuid4().hex  # pieces are this run's own: it never trains in one program with others
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._next: tuple[tuple[int, int, int], Future[Piece]] | None = None

    def length(self, longest: int) -> int:
        held = self.batch_size * self.width * self.x.dtype.itemsize
        return max(1, min(longest, PIECE_BYTES // held))

    def pieces(self, start: int, end: int, longest: int, ahead: int) -> Iterator[Piece]:
        length = self.length(longest)
        while start < end:
            stop = min(start + length, end)
            piece = self._taken((start, stop, length))
            following = (stop, min(stop + length, end if stop < end else ahead), length)
            if following[0] < following[1]:
                self._next = (following, self._reader.submit(self._read, *following))
            yield piece
            start = stop

    def _taken(self, wanted: tuple[int, int, int]) -> Piece:
        if self._next is not None:
            (known, future), self._next = self._next, None
            if known == wanted:
                return future.result()
            future.cancel()
        return self._read(*wanted)

    def _read(self, start: int, stop: int, length: int) -> Piece:
        flat = np.zeros(length * self.batch_size, np.int64)
        first, last = start * self.batch_size, stop * self.batch_size
        flat[: last - first] = np.concatenate([self.order.rows(*span) for span in spans(first, last, self.examples)])
        rows = flat.reshape(length, self.batch_size)
        rows[stop - start :] = rows[0]  # padding that is near what was read
        data = self.placement.made((length, self.batch_size, self.width), 1, lambda here: self._examples(rows[here]))
        label = None
        if self.labels is not None:
            label = self.placement.split(self.labels[rows.reshape(-1)].reshape(rows.shape), 1)
        return Piece(start, stop - start, (data, label), rows.astype(np.int32))

    def _examples(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.x[rows.reshape(-1)]).reshape(*rows.shape, self.width)

    def gather(self, operands: tuple[Array, Array | None], index: Array, position: Array, key: Array) -> Batch:
        data, label = operands
        x = self.placement.hold_split(self.prepare(key, self.placement.hold_split(data[position])))
        picked = None if label is None else label[position]
        return Batch(x, self.placement.hold_split(index), jnp.ones(index.shape, x.dtype), picked)

    def close(self) -> None:
        self._reader.shutdown(wait=False, cancel_futures=True)
