"""What chains of draws say of themselves: effective sample sizes and R-hat (Vehtari et al. 2021), by BlackJAX."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np

LEAST = 4  # draws of a chain, or of each half of a single one, below which neither is told


class Summary(NamedTuple):
    """Of one quantity over all chains: mean, standard deviation, effective sample size, and R-hat; NaN where there
    are too few draws, or all are equal."""

    mean: float
    deviation: float
    effective: float
    rhat: float


def summarise(traces: Mapping[str, np.ndarray]) -> dict[str, Summary]:
    """traces: quantity -> (chains, draws). Halves of chains are compared, of a single one its quarters."""
    return {name: _summary(np.asarray(trace, np.float64)) for name, trace in traces.items()}


def _summary(trace: np.ndarray) -> Summary:
    effective = rhat = float("nan")
    if len(trace) == 1:  # halves stand for chains, and BlackJAX halves each of these
        half = trace.shape[1] // 2
        parts = trace[0, trace.shape[1] - 2 * half :].reshape(2, half)
    else:
        parts = trace
    if parts.shape[1] >= LEAST and np.ptp(parts) > 0:
        from blackjax.diagnostics import ess_bulk  # takes a second
        from blackjax.diagnostics import rhat as rank_rhat

        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            scaled = (parts - parts.mean()) / parts.std()  # its digits survive in float32
            effective, rhat = float(ess_bulk(scaled)), float(rank_rhat(scaled))
    return Summary(float(trace.mean()), float(trace.std()), effective, rhat)
