"""Whether a training set lives on the device or is streamed to it, and in what order it is read then."""

import logging
from collections.abc import Iterator
from typing import ClassVar

import jax
import numpy as np

from sbvi.core import spec
from sbvi.core.memory import available, gib

log = logging.getLogger(__name__)

SHARE = 0.25  # of the device's memory; a larger training set is streamed
WINDOW = 1 << 16  # examples that are shuffled among themselves
PIECE = 4096  # of an array without shards, what is moved as one


@spec
class Streamed:
    """What every data set can be told of where it lives.

    binarizations: the ways that its values can become binary ones, for a sentence.
    """

    binarizations: ClassVar[str] = "auto, static, dynamic, threshold"

    stream: bool | None = None
    """Read the training set piece by piece; null does so where it exceeds a quarter of the device's memory."""

    @property
    def likelihood(self) -> str:
        """The likelihood that the values call for, where none is chosen."""
        return "bernoulli"


def device_memory() -> int:
    """Bytes of the first device."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        limit = (device.memory_stats() or {}).get("bytes_limit")
        if limit:
            return int(limit)
    return available()


def streams(wanted: bool | None, size: int) -> bool:
    """Whether to stream a training set of `size` bytes."""
    if wanted is not None:
        return wanted
    if size <= SHARE * (there := device_memory()):
        return False
    log.info("The training set, %s, exceeds a quarter of %s: it is streamed.", gib(size), gib(there))
    return True


def spans(first: int, last: int, size: int) -> Iterator[tuple[int, int, int]]:
    """The places first .. last of a stream of blocks of `size`: (block, first, last within it) for each block met."""
    while first < last:
        block, offset = divmod(first, size)
        take = min(size - offset, last - first)
        yield block, offset, offset + take
        first += take


class WindowedOrder:
    """The order of an epoch, a function of (seed, epoch): shards in a random order, laid end to end, and shuffled
    within windows. Nothing longer than a window is ever made."""

    def __init__(self, shard_sizes: list[int], seed: int, window: int = WINDOW):
        self.sizes, self.seed, self.window = np.asarray(shard_sizes), seed, window
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        self.examples = int(self.sizes.sum())
        self._cached: dict[tuple[int, int], np.ndarray] = {}

    def rows(self, epoch: int, first: int, last: int) -> np.ndarray:
        """Positions in the training set read at places first .. last of an epoch, int64."""
        pieces = [np.zeros(0, np.int64)]
        for number, begin, end in spans(first, last, self.window):
            pieces.append(self._shuffled(epoch, number)[begin:end])
        return np.concatenate(pieces)

    def _shuffled(self, epoch: int, number: int) -> np.ndarray:
        key = (epoch, number)
        if key not in self._cached:
            if len(self._cached) > 3:
                self._cached.clear()
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.sizes))
            ends = np.cumsum(self.sizes[order])
            places = np.arange(number * self.window, min((number + 1) * self.window, self.examples))
            shard = np.searchsorted(ends, places, side="right")
            rows = self.starts[order[shard]] + places - (ends[shard] - self.sizes[order[shard]])
            self._cached[key] = np.random.default_rng([self.seed, epoch, number]).permutation(rows)
        return self._cached[key]


def shard_sizes(x: object, count: int) -> list[int]:
    """Sizes of an array's shards; an array without any is cut into pieces."""
    sizes: list[int] | None = getattr(x, "shard_sizes", None)
    return sizes or [min(PIECE, count - start) for start in range(0, count, PIECE)]
