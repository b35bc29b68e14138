"""Posteriors q(z | x) that a recognition network conditions on x: samplers that return values with their density.

To add one: a module with a `spec` that is a `PosteriorSpec`; a line in POSTERIORS; a file in `configs/posterior/`; a
row in the contract test.
"""

from sbvi.core.plugins import extend
from sbvi.posteriors.chain import Hierarchical, TopDown
from sbvi.posteriors.coupling import Coupling
from sbvi.posteriors.families import Diagonal, Full, JointRankOne, LowRank, RankOne
from sbvi.posteriors.inverse_autoregressive import InverseAutoregressive
from sbvi.posteriors.planar import Planar
from sbvi.posteriors.posterior import Conditional, Draws, Moments, Posterior, PosteriorSpec

#: Independent Gaussians by the structure of their covariance.
GAUSSIAN: dict[str, type] = {
    "diagonal": Diagonal,
    "rank_one": RankOne,
    "low_rank": LowRank,
    "full": Full,
    "joint_rank_one": JointRankOne,
}

POSTERIORS: dict[str, type] = GAUSSIAN | {
    "planar": Planar,
    "inverse_autoregressive": InverseAutoregressive,
    "coupling": Coupling,
    "hierarchical": Hierarchical,
    "top_down": TopDown,
}
extend(POSTERIORS, "sbvi.posteriors", ("gaussian", "joint", "build"))

__all__ = ["GAUSSIAN", "POSTERIORS", "Conditional", "Draws", "Moments", "Posterior", "PosteriorSpec"]
