"""Going over a split in compiled batches: ragged ones are padded, and what was padded is dropped."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.placement import SINGLE, Placement
from sbvi.core.precision import as_here, full_precision
from sbvi.core.watch import compiling, counted
from sbvi.data import Batch, Dataset
from sbvi.data.traced import Traced
from sbvi.evaluation.sharing import ONE_CORE, by_core, cores, piece_size

Array = jax.Array


class Batches(NamedTuple):
    """A split on the device: stored values (M, B, D), labels (M, B) or None, how many of a batch's B are not there for
    the devices' sake, and how many examples are real."""

    x: Array
    label: Array | None
    width: int
    size: int


def batched(
    dataset: Dataset, split: str, batch_size: int, limit: int | None = None, placement: Placement = SINGLE
) -> Batches:
    """A split, or `limit` examples evenly spaced over it, in batches, each divided over the devices; padding repeats
    the first example. Which examples share a batch, and so their random numbers, does not depend on the devices."""
    whole = dataset.evaluated(split, limit)
    stored = whole.x[:]
    count = len(stored)
    width = min(batch_size, count)
    padded = -(-width // placement.devices) * placement.devices
    index = np.zeros((-(-count // width), padded), int)
    real = np.arange(index.shape[0] * width)
    index[:, :width] = np.where(real < count, real, 0).reshape(-1, width)
    label = None if whole.label is None else placement.split(whole.label[index], 1)
    return Batches(placement.split(stored.reshape(count, -1)[index], 1), label, width, count)


def map_batches(
    function: Callable[[Any, Array, Batch], Any],
    dataset: Dataset,
    dtype: Any = jnp.float32,
    placement: Placement = SINGLE,
    what: str = "",
) -> Callable[[Any, Array, Batches], Any]:
    """Map (params, key, batch of B) -> pytree of (B, ...) over all batches in one program, at full precision.

    The key of a batch is a function of its position, so numbers compare across time and runs.
    Returns host arrays (N, ...).

    Args:
      what: the name of long work, which is then done in some twenty dispatches of as many batches each where that is
        possible, told (`sbvi.core.watch`), and shared among the cores (`sbvi.evaluation.sharing`).
    """
    prepare = Traced(dataset.preprocessing, False, dtype)
    turn = threading.Lock()  # of runs in several threads one compiles, and the others find it done

    def scanned(params: Any, key: Array, first: Array, x: Array, label: Array | None, count: int) -> Any:
        if count < x.shape[0]:
            x, label = jax.tree.map(lambda whole: jax.lax.dynamic_slice_in_dim(whole, first, count), (x, label))
        index = jnp.arange(x.shape[1], dtype=jnp.int32)

        def one(carry: None, row: tuple[Array, Array, Array | None]) -> tuple[None, Any]:
            position, stored, own = row
            batch_key = jax.random.fold_in(key, position)
            seen = prepare(batch_key, stored)
            batch = Batch(seen, position * x.shape[1] + index, jnp.ones(index.shape, seen.dtype), own)
            return carry, function(params, batch_key, batch)

        by_batch = jax.lax.scan(one, None, (first + jnp.arange(x.shape[0], dtype=jnp.int32), x, label))[1]
        return placement.hold_replicated(by_batch)  # every process reads all of it

    together = jax.jit(scanned, static_argnums=5)
    alone = jax.jit(scanned, static_argnums=5, compiler_options=ONE_CORE)

    def shared(starts: list[int], params: Any, key: Array, batches: Batches, each: int) -> list[Any]:
        """The pieces that begin at these batches, each by the core that is free, through one compiled program."""
        compiling(what, len(starts))
        compiled = alone.lower(params, key, np.int32(0), batches.x, batches.label, each).compile()

        def piece(start: int) -> Any:
            return jax.device_get(compiled(params, key, np.int32(start), batches.x, batches.label))

        pool = ThreadPoolExecutor(cores())
        try:
            pieces = [pool.submit(as_here(piece), start) for start in starts]
            return [future.result() for future in counted(what, pieces)]
        finally:
            pool.shutdown(cancel_futures=True)

    def run(params: Any, key: Array, batches: Batches) -> Any:
        count = len(batches.x)
        single = bool(what) and by_core(count, placement)
        each = piece_size(count, cores() if single else 1) if what else count
        starts = [min(start, count - each) for start in range(0, count, each)]
        with turn, full_precision():
            if single and cores() > 1:
                parts = shared(starts, params, key, batches, each)
            else:
                program = partial(alone if single else together, params, key)
                if what:
                    compiling(what, len(starts))
                # Whoever calls a program waits until it is compiled, and not until it has run.
                first = program(np.int32(0), batches.x, batches.label, each)
                parts = [
                    jax.device_get(program(np.int32(start), batches.x, batches.label, each) if start else first)
                    for start in (counted(what, starts) if what else starts)
                ]
                del first
        surplus = each * len(starts) - count  # batches of the last piece that the one before has, too
        parts[-1] = jax.tree.map(lambda values: values[surplus:], parts[-1])
        joined = parts[0] if len(parts) == 1 else jax.tree.map(lambda *values: np.concatenate(values), *parts)
        return jax.tree.map(lambda a: a[:, : batches.width].reshape(-1, *a.shape[2:])[: batches.size], joined)

    return run
