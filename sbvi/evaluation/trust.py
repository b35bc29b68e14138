"""Whether a likelihood by importance sampling can be trusted, from the tails of its weights."""

import logging
from collections.abc import Mapping

import numpy as np

from sbvi.inference.psis import LIMIT

log = logging.getLogger(__name__)

#: The share of examples above LIMIT from which on a warning is due.
SHARE = 0.1


def trust(split: str, arrays: Mapping[str, np.ndarray]) -> dict[str, float]:
    """`<split>/khat_above_0.7`, the share of examples whose weights' tail is too heavy; nothing without khat (N,)."""
    if "khat" not in arrays:
        return {}
    share = float(np.mean(~(arrays["khat"] <= LIMIT)))
    if share > SHARE:
        log.warning(
            "%s: of %.0f %% of the examples k-hat is above %s, so that the negative log-likelihood may be too high by "
            "more than its standard error; take more importance samples (num_samples), task=annealed, or a richer "
            "posterior.",
            split,
            100 * share,
            LIMIT,
        )
    return {f"{split}/khat_above_{LIMIT}": share}
