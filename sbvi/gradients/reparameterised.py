"""Differentiation along the sample's path: xi = mu + R eps (PAPER eq. 10).

    d/dmu E[f] = E[g],   d/dR E[f] = E[g eps^T],   g = df/dxi

Unbiased, at the cost of one back-propagation; the rule for every differentiable f.
"""

from collections.abc import Mapping

from sbvi.core import spec
from sbvi.distributions.gaussian import Gaussian
from sbvi.gradients.rule import Array, Integrand, Nodes, draw


@spec
class Reparameterised:
    """The default rule."""

    def __call__(self, key: Array, q: Mapping[str, Gaussian], f: Integrand, num_samples: int) -> tuple[Nodes, Array]:
        points = draw(key, q, num_samples)
        return points, f(points)
