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
    """Whether the sum of an example's missing values lies in the middle of those of its draws (..., B, D); (B,).

    Sums of many values are nearly continuous where a single one may be 0 or 1, of which no interval holds nine tenths;
    and they feel how values hang together, which intervals of single ones do not.
    """
    sums = np.where(missing, draws, 0).sum(-1).reshape(-1, len(truth))
    low, high = np.quantile(sums, [(1 - MIDDLE) / 2, (1 + MIDDLE) / 2], axis=0)
    true = np.where(missing, truth, 0).sum(-1)
    found: np.ndarray = (low <= true) & (true <= high)
    return found
