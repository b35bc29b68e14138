"""Active units (Burda et al. 2016): latents whose posterior mean moves with the data.

unit k is active when Var_x(E_q[xi_k | x]) > 0.01
"""

import numpy as np

THRESHOLD = 0.01


def active_units(means: dict[str, np.ndarray]) -> dict[str, int]:
    """Number of active latents of each node, from posterior means (N, K); where these are not finite a unit is none."""
    with np.errstate(invalid="ignore", over="ignore"):
        return {node: int((np.var(values, axis=0) > THRESHOLD).sum()) for node, values in means.items()}
