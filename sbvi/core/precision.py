"""How exactly numbers that are reported are computed."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from sbvi.core.xla import for_cpu


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
