"""How good predicted probabilities of labels are."""

import numpy as np

BINS = 15


def scores(log_probs: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Accuracy, log-loss in nats, and expected calibration error, of log p(label | x) (N, C) and labels (N,).

    Calibration (Guo et al. 2017): by how much, on average over examples in bins of confidence, the share of hits
    differs from the mean confidence. Each is NaN where a probability is.
    """
    if np.isnan(log_probs).any():
        return dict.fromkeys(("accuracy", "log_loss", "calibration_error"), float("nan"))
    confidence, guess = np.exp(log_probs.max(1)), log_probs.argmax(1)
    hit = guess == label
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(hit[place == b].sum() - confidence[place == b].sum()) for b in range(BINS)]
    return {
        "accuracy": float(hit.mean()),
        "log_loss": float(-log_probs[np.arange(len(label)), label].mean()),
        "calibration_error": float(np.sum(gaps) / len(label)),
    }


def confusion(log_probs: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(C, C) counts: row the label, column the guess."""
    classes = log_probs.shape[1]
    cell = label.astype(int) * classes + log_probs.argmax(1)
    return np.bincount(cell, minlength=classes**2).reshape(classes, classes)
