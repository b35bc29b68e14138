"""Programs that run once, such as the one that makes a run's first parameters.

XLA spends most of the time of such a program on making it fast. Without that it is compiled in less than half the time
(experiment=benchmark: 0.5 in place of 1.3 s of the processor). Uniform numbers have the same bits either way; normal
ones, whose polynomials are then not fused, differ in their last.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
T = TypeVar("T")


def jit_once(function: Callable[P, T]) -> Callable[P, T]:
    """`jax.jit` of a function that is called once: compiled without optimisation on a CPU, unless within another."""

    def compiled(**options: Any) -> Callable[P, T]:
        return jax.jit(function, **options)

    plain, quick = compiled(), compiled(compiler_options={"xla_backend_optimization_level": 0})

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((args, kwargs)))
        return (plain if traced or jax.default_backend() != "cpu" else quick)(*args, **kwargs)

    return run
