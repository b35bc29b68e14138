"""The families of leaves by their names."""

from sbvi.models.circuit.discrete_leaves import Binomial, Categorical, Indicator
from sbvi.models.circuit.gaussian_leaves import Gaussian
from sbvi.models.circuit.leaf import Leaf


def leaf_of(name: str, levels: int, least: float, most: float) -> Leaf:
    """A family by its name."""
    families: dict[str, Leaf] = {
        "bernoulli": Binomial(1),
        "binomial": Binomial(levels),
        "categorical": Categorical(levels),
        "gaussian": Gaussian(least, most),
        "indicator": Indicator(levels),
    }
    return families[name]
