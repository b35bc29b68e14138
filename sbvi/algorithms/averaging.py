"""An exponential moving average of parameters that starts at zero, and the same without that start's bias.

    a_n = a_{n-1} + r (p_n - a_{n-1}),   a_0 = 0;   the average is a_n / c_n,   c_n = 1 - (1 - r)^n

with the rate r = 1 - decay. One number, r as the step's floats hold it, serves the update and c_n: of decays near 1
float32 keeps few digits, and what is left of two roundings would disagree. Steps r |p - a| below the last digit of a
are lost, so that float32 holds an average to about 6e-8 / r of itself: 6e-5 at a decay of 0.999, 6 % at 0.999999 once
it has made a million updates and more.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def rate_of(decay: float | None) -> float:
    """r of a decay, to be rounded once; 0 for none."""
    return 0.0 if decay is None else 1 - decay


def init(params: Any) -> Any:
    """a_0."""
    return jax.tree.map(jnp.zeros_like, params)


def update(average: Any, params: Any, rate: Array) -> Any:
    """a_{n+1} from a_n and p_{n+1}; rate: scalar r."""
    return jax.tree.map(lambda a, p: a + rate * (p - a), average, params)


def debiased(average: Any, rate: float, updates: int) -> Any:
    """a_n / c_n for n > 0, in the dtypes of a."""

    def divided(a: Array) -> Array:
        held = np.float64(a.dtype.type(rate))
        return a / jnp.asarray(1 - (1 - held) ** updates, a.dtype)

    return jax.tree.map(divided, average)
