"""What chains of draws say of themselves: effective sample sizes and R-hat of each quantity."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from sbvi.inference.convergence import convergence


class Summary(NamedTuple):
    """Of one quantity over all chains: mean, standard deviation, effective sample size, and R-hat; NaN where there
    are too few draws, or all are equal."""

    mean: float
    deviation: float
    effective: float
    rhat: float


def summarise(traces: Mapping[str, np.ndarray]) -> dict[str, Summary]:
    """traces: quantity -> (chains, draws)."""
    return {name: _summary(np.asarray(trace, np.float64)) for name, trace in traces.items()}


def _summary(trace: np.ndarray) -> Summary:
    effective = rhat = float("nan")
    if np.ptp(trace) > 0 and (found := convergence(trace[..., None, None])) is not None:
        rhat, effective = float(found.rhat[0]), float(found.effective[0])
    return Summary(float(trace.mean()), float(trace.std()), effective, rhat)
