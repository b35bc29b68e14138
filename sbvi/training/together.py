"""Runs that train in one program: points of a sweep whose compiled step is the same, `vmap`ped.

Each run keeps its own loop, in a thread of its own. Where a loop dispatches a chunk of steps it waits
here until every other live run does; then runs whose programs are equal, word for word, go through one
batched call, and the others one after the other. A run that ends, stops early or fails leaves; the
others go on. What a run computes differs from the same run alone by the order of sums at most.
"""

import functools
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sbvi.algorithms import Algorithm
from sbvi.training.batches import Batches
from sbvi.training.chunk import ChunkResult, chunk_function, compile_chunk, compiled

#: Of a chunk's arguments (state, operands, indices, hypers, key, start, count): which differ from run to
#: run. A count of its own for each would make every step copy the state of those that are done.
_OWN = (True, False, True, True, True, True, False)


@dataclass(eq=False)
class _Call:
    """One run's chunk, waiting. program: what it must share with those it is batched with; position: its place
    among them, whoever came first, since the last bits of a number can depend on its row."""

    program: str
    position: int
    solo: Callable[..., Any]
    pure: Callable[..., Any]
    arguments: tuple[Any, ...]
    result: Any = None
    error: BaseException | None = None
    done: bool = False


class Together:
    """A meeting place for `runs` loops. Each must end with `leave`, however it ends."""

    def __init__(self, runs: int):
        self._live = runs
        self._changed = threading.Condition()
        self._waiting: list[_Call] = []
        self._batched: dict[str, Callable[..., Any]] = {}
        self.batched_calls = 0

    def compile_chunk(
        self, algorithm: Algorithm, batches: Batches, *, skip_bad: bool = False, position: int = 0
    ) -> Callable[..., tuple[Any, ChunkResult]]:
        """As `sbvi.training.chunk.compile_chunk`, for the run at a position."""
        pure = chunk_function(algorithm, batches, skip_bad=skip_bad)
        solo = compile_chunk(algorithm, batches, skip_bad=skip_bad)
        if jax.config.jax_debug_nans or batches.placement.mesh is not None:  # type: ignore[attr-defined]
            return self._meeting(lambda _: "", position, solo, pure)
        known: list[str] = []

        def program(arguments: tuple[Any, ...]) -> str:
            if not known:
                text = solo.lower(*arguments).as_text()
                known.append(hashlib.sha256(text.encode()).hexdigest())
            return f"{known[0]} {batches.identity} {int(arguments[-1])}"

        return self._meeting(program, position, solo, pure)

    def _meeting(
        self,
        program: Callable[[tuple[Any, ...]], str],
        position: int,
        solo: Callable[..., Any],
        pure: Callable[..., Any],
    ) -> Callable[..., Any]:
        def chunk(*arguments: Any) -> Any:
            call = _Call(program(arguments), position, solo, pure, arguments)
            with self._changed:
                self._waiting.append(call)
                self._serve()
                while not call.done:
                    self._changed.wait()
            if call.error is not None:
                raise call.error
            return call.result

        return chunk

    def leave(self) -> None:
        """One run fewer to wait for."""
        with self._changed:
            self._live -= 1
            self._serve()

    def _serve(self) -> None:
        """If nobody is missing, run what waits."""
        if not self._waiting or len(self._waiting) < self._live:
            return
        calls, self._waiting = sorted(self._waiting, key=lambda call: call.position), []
        for group in _alike(calls):
            try:
                self._run(group)
            except BaseException as error:
                for call in group:
                    call.error = error
            for call in group:
                call.done = True
        self._changed.notify_all()

    def _run(self, group: list[_Call]) -> None:
        if len(group) == 1:
            group[0].result = group[0].solo(*group[0].arguments)
            return
        kind = group[0].program.split()[0]
        if kind not in self._batched:
            self._batched[kind] = compiled(functools.partial(_side_by_side, group[0].pure))
        columns = zip(*(call.arguments for call in group), strict=True)
        arguments = [column if own else column[0] for own, column in zip(_OWN, columns, strict=True)]
        states, results = self._batched[kind](*arguments)
        self.batched_calls += 1
        for call, *result in zip(group, states, results, strict=True):
            call.result = tuple(result)


def _side_by_side(function: Callable[..., Any], *arguments: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """A chunk's function of several runs, each argument of their own a sequence, whose count may be a number known to
    the program. Rows are put together and taken apart in here: leaf by leaf outside, eight runs took an H200 four
    times as long."""
    *each, count = arguments
    stacked = [
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *argument) if own else argument
        for own, argument in zip(_OWN[:-1], each, strict=True)
    ]
    axes = tuple(0 if own else None for own in _OWN[:-1])
    ended = jax.vmap(functools.partial(function, count=count), in_axes=axes)(*stacked)
    apart = [jax.tree.map(lambda leaf, n=number: leaf[n], ended) for number in range(len(each[0]))]
    return tuple(state for state, _ in apart), tuple(result for _, result in apart)


def _alike(calls: list[_Call]) -> list[list[_Call]]:
    """Calls of equal programs together; one without a program alone."""
    groups: dict[Any, list[_Call]] = {}
    for call in calls:
        groups.setdefault(call.program or id(call), []).append(call)
    return list(groups.values())
