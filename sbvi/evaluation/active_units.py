"""Active units (Burda et al. 2016): latents whose posterior mean moves with the data.

unit k is active when Var_x(E_q[xi_k | x]) > 0.01

A mean that is itself estimated from samples has noise of its own, which would count: with 64 samples of a latent that
says nothing of x, 1 / 64 > 0.01. Its variance, the average of what each mean's error is, is taken off.
"""

import numpy as np

THRESHOLD = 0.01


def variance_of_means(mean: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Var_x(E_q[xi | x]), (K,), without bias from posterior means (N, K) whose errors have the variances (N, K)."""
    with np.errstate(invalid="ignore", over="ignore"):
        result: np.ndarray = np.var(mean, axis=0, ddof=min(1, len(mean) - 1)) - np.mean(error, axis=0)
        return result


def active_units(means: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, int]:
    """Number of active latents of each node, from posterior means and the variances of their errors, (N, K) both;
    where these are not finite a unit is none. Nothing of a single example, whose means cannot vary."""
    several = {node: pair for node, pair in means.items() if len(pair[0]) > 1}
    return {node: int((variance_of_means(*pair) > THRESHOLD).sum()) for node, pair in several.items()}
