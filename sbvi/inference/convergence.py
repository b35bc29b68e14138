"""Whether chains of one law agree, and what their correlated draws are worth (Vehtari et al. 2021,
[arXiv 1903.08008](https://arxiv.org/abs/1903.08008)).

Each chain is split in halves, so that a drift within a chain counts as a disagreement, and draws are replaced by the
normal scores of their ranks among all draws, so that heavy tails and units do not count. R-hat compares the variance of
all halves together with that within them (Gelman and Rubin 1992), of the scores of the draws and of those of their
distances from the median, and goes to 1; the larger one is told. The effective sample size is the number of independent
draws of the same standard error of the scores' mean (the paper's bulk-ESS), by BlackJAX.

Everything here is NumPy in float64: ranks by XLA on a CPU take twenty times as long as by SciPy.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

#: R-hat above this says that chains of a few hundred draws have not met.
LIMIT = 1.1
#: Draws of a chain below which its halves say nothing.
LEAST = 4


class Convergence(NamedTuple):
    """By example, (B,). rhat: no unit. effective: draws; of several quantities the worst is told."""

    rhat: np.ndarray
    effective: np.ndarray


def convergence(values: np.ndarray) -> Convergence | None:
    """Of P quantities of C chains of T draws each, (C, T, B, P); None for fewer than LEAST draws."""
    if values.shape[1] < LEAST:
        return None
    return Convergence(rhat(values).max(-1), effective(values).min(-1))


def rhat(values: np.ndarray) -> np.ndarray:
    """R-hat of quantities of C chains of T draws each, at least LEAST: (C, T, ...) -> (...).

    A quantity that is the same in every draw of several chains has R-hat 1; in a single chain, which never moved,
    infinity, as one has that is not a number somewhere.
    """
    values = np.asarray(values, np.float64)
    halves = _halves(values)
    centre = np.median(halves, (0, 1))
    with np.errstate(invalid="ignore"):  # infinite values, whose distance from an infinite median is not a number
        apart = np.abs(halves - centre)
    found = np.maximum(*(_reduction(_scores(each)) for each in (halves, apart)))
    found = np.where(_still(halves), 1.0 if len(values) > 1 else np.inf, found)
    return np.where(np.isnan(found), np.inf, found)


def effective(values: np.ndarray) -> np.ndarray:
    """Effective sample sizes of quantities of C chains of T draws each, at least LEAST: (C, T, ...) -> (...).

    One that is the same in every draw has all draws of several chains, and one draw of a single chain.
    """
    values = np.asarray(values, np.float64)
    halves = _halves(values)
    drawn = halves.shape[0] * halves.shape[1]
    flat = _scores(halves).reshape(*halves.shape[:2], -1).astype(np.float32)
    found = np.asarray(_by_autocorrelation()(flat), np.float64).reshape(halves.shape[2:])
    return np.where(_still(halves), float(drawn) if len(values) > 1 else 1.0, found)


def _halves(values: np.ndarray) -> np.ndarray:
    """(C, T, ...) -> (2 C, T // 2, ...); of an odd T the draw in the middle is left out."""
    half = values.shape[1] // 2
    return np.concatenate([values[:, :half], values[:, values.shape[1] - half :]])


def _scores(halves: np.ndarray) -> np.ndarray:
    """Normal scores of the ranks among all draws of a quantity, at Blom's places; equal draws have one rank."""
    from scipy.special import ndtri
    from scipy.stats import rankdata  # takes most of a second, which a run that needs none should not wait

    flat = halves.reshape(halves.shape[0] * halves.shape[1], -1)
    return ndtri((rankdata(flat, axis=0) - 3 / 8) / (len(flat) + 1 / 4)).reshape(halves.shape)


def _reduction(scores: np.ndarray) -> np.ndarray:
    """The potential scale reduction of C chains of T draws, (C, T, ...) -> (...): 1 where nothing moves, infinity where
    chains stand still apart from one another."""
    draws = scores.shape[1]
    within, between = scores.var(1, ddof=1).mean(0), draws * scores.mean(1).var(0, ddof=1)
    stuck = np.ptp(scores, 1).max(0) == 0  # whose variance rounding may have made more than zero
    ratio = between / np.where(stuck, 1.0, within)
    return np.where(stuck, np.where(_still(scores), 1.0, np.inf), np.sqrt((ratio + draws - 1) / draws))


def _still(values: np.ndarray) -> np.ndarray:
    """Which quantities, (C, T, ...) -> (...), are the same in every draw."""
    return values.max((0, 1)) == values.min((0, 1))


@cache
def _by_autocorrelation() -> Any:
    """BlackJAX's effective sample size of (C, T, Q) scores, compiled once for each shape."""
    import jax  # both take a second, which a run that needs none should not wait
    from blackjax import diagnostics

    return jax.jit(lambda scores: diagnostics.effective_sample_size(scores).reshape(-1))
