"""Many optimiser steps in one dispatch: the compiled heart of the loop."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from sbvi.algorithms import Algorithm
from sbvi.algorithms.algorithm import check_reported
from sbvi.core.xla import for_cpu
from sbvi.core.xla.finite import all_finite
from sbvi.training.batches import Batches

Array = jax.Array


#: Updates that are dropped in a row, after which nothing better is to be expected.
MOST_SKIPPED = 100


class ChunkResult(NamedTuple):
    """sums: each scalar summed over the steps that were taken; bad_step: the first step with a loss that
    is not finite, or -1; skipped: updates that were dropped. Where updates are dropped, first_good and last_good are
    the first and last steps whose own were not, and long_row is where MOST_SKIPPED in a row begin between the two; -1
    where there is none."""

    sums: dict[str, Array]
    bad_step: Array
    skipped: Array
    first_good: Array
    last_good: Array
    long_row: Array


def joined(results: Sequence[ChunkResult]) -> ChunkResult:
    """The result of chunks that followed one another."""
    first, *others = results
    for other in others:
        bad = jnp.where(first.bad_step >= 0, first.bad_step, other.bad_step)
        sums = {name: value + other.sums[name] for name, value in first.sums.items()}
        first = ChunkResult(sums, bad, first.skipped + other.skipped, *_good(first, other))
    return first


def _good(first: ChunkResult, other: ChunkResult) -> tuple[Array, Array, Array]:
    """first_good, last_good and long_row of the steps of two results that followed one another."""
    between = (first.last_good >= 0) & (other.first_good - first.last_good > MOST_SKIPPED)
    later = jnp.where(between, first.last_good + 1, other.long_row)
    return (
        jnp.where(first.first_good >= 0, first.first_good, other.first_good),
        jnp.where(other.last_good >= 0, other.last_good, first.last_good),
        jnp.where(first.long_row >= 0, first.long_row, later),
    )


class Chunk(Protocol):
    """A compiled chunk: to a state and a ChunkResult, or, of several runs side by side, to as many of each."""

    def __call__(self, *arguments: Any) -> tuple[Any, Any]: ...

    def lower(self, *arguments: Any) -> Any:
        """As a jitted function's; the arguments may be shapes."""
        ...


def compile_chunk(algorithm: Algorithm, batches: Batches, *, skip_bad: bool = False) -> Chunk:
    """`chunk_function`, compiled."""
    return compiled(chunk_function(algorithm, batches, skip_bad=skip_bad))


def compiled(function: Callable[..., tuple[Any, Any]]) -> Chunk:
    """A chunk's function, jitted; the state's memory is handed on from chunk to chunk.

    On a CPU one program serves every number of steps. Elsewhere each number has its own, since a loop whose length a
    program does not know has the accelerator wait for the host after every step.
    """
    return jax.jit(function, donate_argnums=0) if for_cpu() else ByLength(function)


class ByLength:
    """A chunk's function with a program for each number of steps; told to take none, it compiles that of all."""

    def __init__(self, function: Callable[..., tuple[Any, Any]]):
        self._jitted = jax.jit(function, donate_argnums=0, static_argnums=6)

    def lower(self, *arguments: Any) -> Any:
        """As a jitted function's: of as many steps as the arguments have room for."""
        return self._jitted.lower(*arguments[:6], jax.tree.leaves(arguments[2])[0].shape[-2])

    def __call__(self, *arguments: Any) -> tuple[Any, Any]:
        *words, count = arguments
        if count:
            result: tuple[Any, Any] = self._jitted(*words, int(count))
            return result
        lowered = self.lower(*arguments)
        lowered.compile()  # which the first call of this length then finds
        results = lowered.out_info[1]  # of one run, or of several side by side
        return words[0], jax.tree.map(_of_no_steps, results, is_leaf=lambda value: isinstance(value, ChunkResult))


def _of_no_steps(result: ChunkResult) -> ChunkResult:
    none: ChunkResult = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), result)
    return jax.tree.map(lambda s: s - 1, none)._replace(sums=none.sums, skipped=none.skipped)


def chunk_function(
    algorithm: Algorithm, batches: Batches, *, skip_bad: bool = False
) -> Callable[..., tuple[Any, ChunkResult]]:
    """A function of (state, operands, indices (C, B), hypers (C,) each, key, start, count).

    It runs `count` <= C steps; the number is an argument, so one program serves every length. The key
    of a step is a function of (key, step), so that the stream goes on bit for bit after a resume.
    skip_bad: leave the state as it was where a step's loss or new state is not finite.
    """

    def chunk(
        state: Any, operands: Any, indices: Array, hypers: dict[str, Array], key: Array, start: Array, count: Array
    ) -> tuple[Any, ChunkResult]:
        # Under jax_debug_nans this runs without being traced, on NumPy's arrays.
        hypers = {name: jnp.asarray(values) for name, values in hypers.items()}
        indices = jnp.asarray(indices)

        @jax.jit  # traced once for its shapes and for the loop
        def step(position: Array, state: Any) -> tuple[Any, dict[str, Array]]:
            step_key = jax.random.fold_in(key, start + position)
            data_key, model_key = jax.random.fold_in(step_key, 0), jax.random.fold_in(step_key, 1)
            batch = batches.gather(operands, indices[position], position, data_key)
            hyper = {name: values[position] for name, values in hypers.items()}
            state, info = algorithm.step(state, batch, model_key, hyper)
            check_reported(info, algorithm.monitor)
            return batches.placement.hold_replicated(state), info.scalars

        def body(position: Array, carry: tuple[Any, ChunkResult]) -> tuple[Any, ChunkResult]:
            state, result = carry
            after, scalars = step(position, state)
            good = jnp.isfinite(scalars["loss"])
            now, nowhere = start + position, jnp.int32(-1)
            skipped, row = result.skipped, (nowhere, nowhere, nowhere)
            if skip_bad:
                good &= all_finite(after)
                after = jax.tree.map(lambda new, old: jnp.where(good, new, old), after, state)
                scalars = {name: jnp.where(good, value, jnp.zeros_like(value)) for name, value in scalars.items()}
                skipped = skipped + (~good).astype(jnp.int32)
                at = jnp.where(good, now, nowhere)
                row = _good(result, result._replace(first_good=at, last_good=at, long_row=nowhere))
            bad = (result.bad_step < 0) & ~good & (not skip_bad)
            sums = {name: result.sums[name] + value for name, value in scalars.items()}
            return after, ChunkResult(sums, jnp.where(bad, now, result.bad_step), skipped, *row)

        shapes = jax.eval_shape(lambda s: step(jnp.int32(0), s)[1], state)
        zeros = {name: jnp.zeros(s.shape, s.dtype) for name, s in shapes.items()}
        nowhere = jnp.int32(-1)
        none = ChunkResult(zeros, nowhere, jnp.int32(0), nowhere, nowhere, nowhere)
        ended = jax.lax.fori_loop(0, count, body, (state, none))
        return batches.placement.hold_replicated(ended)

    return chunk
