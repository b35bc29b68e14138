"""How exactly numbers that are reported are computed."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp

from sbvi.core.xla import for_cpu

P = ParamSpec("P")
T = TypeVar("T")


def in_float32(function: Callable[P, T]) -> Callable[P, T]:
    """A function that makes 32-bit arrays whatever the process's default is (`jax_enable_x64`), which it leaves as it
    was: for what users call, since runs are of float32 alone."""

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        with jax.enable_x64(False):
            return function(*args, **kwargs)

    return called


def as_here(function: Callable[P, T]) -> Callable[P, T]:
    """A function for another thread to call, where arrays are then of as many bits as in this one."""
    wide = bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        with jax.enable_x64(wide):
            return function(*args, **kwargs)

    return called


def methods_in_float32(cls: type) -> None:
    """Have every method that a class itself defines be `in_float32`; of those that yield, each step."""
    for name, value in list(vars(cls).items()):
        if inspect.isgeneratorfunction(value):
            setattr(cls, name, _stepwise(value))
        elif inspect.isfunction(value):
            setattr(cls, name, in_float32(value))


def _stepwise(function: Callable[P, Generator[T]]) -> Callable[P, Generator[T]]:
    """Between its steps, where its caller works, the default stands."""

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> Generator[T]:
        with contextlib.closing(function(*args, **kwargs)) as steps:
            ended: Any = object()
            step = in_float32(lambda: next(steps, ended))
            while (value := step()) is not ended:
                yield value

    return called


def full_precision() -> contextlib.AbstractContextManager[None]:
    """Within it, what is traced multiplies matrices in all digits of its dtype: accelerators take fewer by default
    (TF32 or bfloat16), which can move a log-likelihood by tenths of a nat. A CPU takes all of them anyway."""
    if for_cpu():
        return contextlib.nullcontext()
    return jax.default_matmul_precision("highest")


def jit_reported(function: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
    """`jax.jit` of what makes reported numbers: traced in full precision. settings: as of `jax.jit`."""
    compiled = jax.jit(function, **settings)

    @functools.wraps(compiled)
    def called(*arguments: Any) -> Any:
        with full_precision():
            return compiled(*arguments)

    return called


def in_full(a: jax.Array, b: jax.Array) -> jax.Array:
    """a @ b in all digits of its dtype, in training too: for products whose differences are far smaller than they."""
    return jnp.matmul(a, b, precision="highest")
