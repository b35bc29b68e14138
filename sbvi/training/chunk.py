"""Many optimiser steps in one dispatch: the compiled heart of the loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.algorithms import Algorithm
from sbvi.training.batches import ResidentBatches

Array = jax.Array


class ChunkResult(NamedTuple):
    """sums: each scalar summed over the steps; bad_step: the first step with a loss that is not
    finite, or -1."""

    sums: dict[str, Array]
    bad_step: Array


def compile_chunk(algorithm: Algorithm, batches: ResidentBatches) -> Callable[..., tuple[Any, ChunkResult]]:
    """A jitted function of (state, operands, indices (C, B), hypers (C,) each, key, start, count).

    It runs `count` <= C steps; the number is an argument, so one program serves every length. The key
    of a step is a function of (key, step), so that the stream goes on bit for bit after a resume.
    """

    def chunk(
        state: Any, operands: Any, indices: Array, hypers: dict[str, Array], key: Array, start: Array, count: Array
    ) -> tuple[Any, ChunkResult]:
        @jax.jit  # traced once for its shapes and for the loop
        def step(position: Array, state: Any) -> tuple[Any, dict[str, Array]]:
            step_key = jax.random.fold_in(key, start + position)
            data_key, model_key = jax.random.fold_in(step_key, 0), jax.random.fold_in(step_key, 1)
            batch = batches.gather(operands, indices[position], data_key)
            hyper = {name: values[position] for name, values in hypers.items()}
            state, info = algorithm.step(state, batch, model_key, hyper)
            return state, info.scalars

        def body(position: Array, carry: tuple[Any, ChunkResult]) -> tuple[Any, ChunkResult]:
            state, result = carry
            state, scalars = step(position, state)
            bad = (result.bad_step < 0) & ~jnp.isfinite(scalars["loss"])
            sums = {name: result.sums[name] + value for name, value in scalars.items()}
            return state, ChunkResult(sums, jnp.where(bad, start + position, result.bad_step))

        shapes = jax.eval_shape(lambda s: step(jnp.int32(0), s)[1], state)
        zeros = {name: jnp.zeros(s.shape, s.dtype) for name, s in shapes.items()}
        return jax.lax.fori_loop(0, count, body, (state, ChunkResult(zeros, jnp.int32(-1))))

    return jax.jit(chunk, donate_argnums=0)
