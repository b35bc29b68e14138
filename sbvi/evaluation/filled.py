"""How far values that a chain filled in are from the true ones, over missing places alone; arrays (B, D)."""

import numpy as np

#: Of the draws, between whose ends the truth is to be found as often.
MIDDLE = 0.9


def squares(guess: np.ndarray, truth: np.ndarray, missing: np.ndarray) -> float:
    """Sum of squared errors."""
    return float(np.sum(((guess - truth) ** 2)[missing], dtype=np.float64))


def log_losses(guess: np.ndarray, truth: np.ndarray, missing: np.ndarray) -> float:
    """Sum of log-losses of Bernoulli means against 0 or 1, nats."""
    p = np.clip(guess, 1e-6, 1 - 1e-6)
    return float(-np.sum((truth * np.log(p) + (1 - truth) * np.log1p(-p))[missing], dtype=np.float64))


def within(draws: np.ndarray, truth: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Whether the sum of an example's missing values lies in the middle of those of its draws (..., B, D); (B,) of
    0 to 1, a part where sums are equal.

    The true sum's place among M draws is a uniform one of M + 1 where both have one law, whatever M, and of all places
    between equal sums where such tie: so the mean is MIDDLE exactly. Sums of many values feel how values hang together,
    which intervals of single ones do not.
    """
    sums = np.where(missing, draws, 0).sum(-1).reshape(-1, len(truth))
    true = np.where(missing, truth, 0).sum(-1)
    places = len(sums) + 1
    low, high = (sums < true).sum(0) / places, ((sums <= true).sum(0) + 1) / places
    shared = np.minimum(high, (1 + MIDDLE) / 2) - np.maximum(low, (1 - MIDDLE) / 2)
    inside: np.ndarray = np.maximum(shared, 0) / (high - low)
    return inside
