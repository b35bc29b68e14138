"""Posteriors q(z | x) that a recognition network conditions on x: samplers that return values with their density.

To add one: a module with a `spec` that is a `PosteriorSpec`; a line in POSTERIORS; a file in `configs/posterior/`; a
row in the contract test.
"""

from sbvi.core.plugins import extend
from sbvi.posteriors.families import Diagonal, Full, JointRankOne, LowRank, RankOne
from sbvi.posteriors.posterior import Conditional, Draws, Posterior, PosteriorSpec

POSTERIORS: dict[str, type] = {
    "diagonal": Diagonal,
    "rank_one": RankOne,
    "low_rank": LowRank,
    "full": Full,
    "joint_rank_one": JointRankOne,
}
extend(POSTERIORS, "sbvi.posteriors")

__all__ = ["POSTERIORS", "Conditional", "Draws", "Posterior", "PosteriorSpec"]
