"""Float64 inside, whatever the process's default is.

Message passing subtracts precisions that agree to many digits, which float32 cannot hold. `in_float64` runs a
function with JAX's 64-bit types on for this thread and hands back NumPy arrays, so that nothing of it reaches the
caller's arrays: the default of the process is never set.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np

P = ParamSpec("P")
T = TypeVar("T")


def in_float64(function: Callable[P, T]) -> Callable[P, T]:
    """`function` with 64-bit types on while it runs; JAX arrays among its results become NumPy arrays."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with jax.enable_x64(True):
            return jax.tree.map(_on_host, function(*args, **kwargs))

    return run


def _on_host(leaf: Any) -> Any:
    return np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf
