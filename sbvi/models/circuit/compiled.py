"""A circuit built by hand as folded layers: nodes of one height are one array.

Every node is one unit. Products gather children from any lower layer; a layer of sums first copies its children side by
side, padded to the widest with copies of the first child of weight zero.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from sbvi.core import UserError
from sbvi.models.circuit import algebra
from sbvi.models.circuit.gaussian_leaves import Gaussian
from sbvi.models.circuit.leaf import Leaf
from sbvi.models.circuit.plan import Edges, Plan, Product, Step, Sum
from sbvi.models.circuit.sums import TINY
from sbvi.models.values import IMPOSSIBLE

Place = tuple[int, int]  # which of the values, and which of its nodes


@dataclass(frozen=True)
class Compiled:
    """plan, and its parameters: log-weights of each sum layer (nodes, inputs, 1). leaf: the family's name. leaves: the
    nodes of the leaf layer. levels: the greatest whole number of a categorical leaf, 1 of Bernoulli ones."""

    plan: Plan
    leaf: str
    leaves: tuple[algebra.Leaf, ...]
    levels: int
    weights: tuple[np.ndarray, ...]

    @property
    def variables(self) -> int:
        return int(self.plan.leaves.max()) + 1


def compiled(root: algebra.Node) -> Compiled:
    """The folded layers of a circuit.

    Raises:
      UserError: see `algebra.graph`; or leaves are of several families, or a sum has a weight below the least that it
        can tell beside its greatest child.
    """
    made = algebra.graph(root)
    for place, node in enumerate(made.nodes):
        if isinstance(node, algebra.Sum) and min(node.weights) < TINY:
            raise UserError(f"{made.names[place]} has the weight {min(node.weights):g}; allowed: at least {TINY:g}.")
    leaves = [node for node in made.nodes if not isinstance(node, algebra.Product | algebra.Sum)]
    family, levels = _family(leaves, made)
    places: dict[int, Place] = {id(leaf): (0, row) for row, leaf in enumerate(leaves)}
    heights: dict[int, int] = {id(leaf): 0 for leaf in leaves}
    by_height: dict[int, list[Any]] = defaultdict(list)
    for node in made.nodes:
        if isinstance(node, algebra.Product | algebra.Sum):
            heights[id(node)] = 1 + max(heights[id(child)] for child in node.children)
            by_height[heights[id(node)]].append(node)
    steps: list[Step] = []
    weights: list[np.ndarray] = []

    def mix(sums: list[tuple[tuple[float, ...], list[Place]]]) -> int:
        """A layer of sums, and the gathering before it; which of the values it is."""
        fan = max(len(children) for _, children in sums)
        logs = np.full((len(sums), fan, 1), IMPOSSIBLE)
        gathered: list[list[Place]] = []
        for row, (shares, children) in enumerate(sums):
            logs[row, : len(children), 0] = np.log(shares)
            gathered += [[child] for child in children] + [[children[0]]] * (fan - len(children))
        steps.extend([_product(gathered), Sum(len(steps) + 1, 1, fan)])
        weights.append(logs)
        return len(steps)

    for height in sorted(by_height):
        products = [node for node in by_height[height] if isinstance(node, algebra.Product)]
        sums = [node for node in by_height[height] if isinstance(node, algebra.Sum)]
        if products:
            steps.append(_product([[places[id(child)] for child in node.children] for node in products]))
            places |= {id(node): (len(steps), row) for row, node in enumerate(products)}
        if sums:
            value = mix([(node.weights, [places[id(child)] for child in node.children]) for node in sums])
            places |= {id(node): (value, row) for row, node in enumerate(sums)}
    if places[id(root)] != (len(steps), 0) or not isinstance(root, algebra.Sum):
        mix([((1.0,), [places[id(root)]])])
    plan = Plan(np.array([[leaf.variable] for leaf in leaves]), 1, tuple(steps))
    return Compiled(plan, family, tuple(leaves), levels, tuple(weights))


def _product(children: list[list[Place]]) -> Product:
    """A layer of products of nodes at these places."""
    by_source: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for target, places in enumerate(children):
        for source, row in places:
            by_source[source].append((row, target))
    edges = [Edges(source, *np.array(pairs).T) for source, pairs in sorted(by_source.items())]
    return Product(len(children), tuple(edges))


def _family(leaves: list[Any], made: algebra.Graph) -> tuple[str, int]:
    """The one family of the leaves, and the greatest level."""
    first = type(leaves[0])
    for leaf in leaves:
        if type(leaf) is not first:
            raise UserError(
                f"{made.names[made.place[id(leaf)]]} is a {type(leaf).__name__} leaf beside {first.__name__} ones; "
                f"allowed: leaves of one family."
            )
    if first is not algebra.Categorical:
        return first.__name__.lower(), 1
    return "categorical", max(len(leaf.probabilities) for leaf in leaves) - 1


def first_parameters(made: Compiled, family: Leaf, levels: int) -> dict[str, Any]:
    """The parameters that a `BuiltCircuit` of this family starts from, float64.

    levels: the greatest whole number of the data.

    Raises:
      UserError: a Gaussian leaf's variance is not between its bounds.
    """
    return {
        "sums": list(made.weights),
        "classes": np.zeros(1),
        "leaves": {name: value[:, None, None] for name, value in _leaves(made, family, levels).items()},
    }


def _leaves(made: Compiled, family: Leaf, levels: int) -> dict[str, np.ndarray]:
    """Free parameters of each leaf, (leaves, ...)."""
    if isinstance(family, Gaussian):
        gaussians = [leaf for leaf in made.leaves if isinstance(leaf, algebra.Gaussian)]
        variance = np.array([leaf.variance for leaf in gaussians])
        outside = variance[(variance <= family.least) | (variance >= family.most)]
        if len(outside):
            raise UserError(
                f"A Gaussian leaf has variance {outside[0]:g} in the units of what the model sees; allowed: between "
                f"model.least_variance={family.least:g} and model.most_variance={family.most:g}."
            )
        share = (variance - family.least) / (family.most - family.least)
        return {"mean": np.array([leaf.mean for leaf in gaussians]), "width": np.log(share) - np.log1p(-share)}
    if made.leaf == "bernoulli":
        p = np.array([leaf.p for leaf in made.leaves if isinstance(leaf, algebra.Bernoulli)])
        return {"logit": _log(p) - _log(1 - p)}
    table = np.zeros((len(made.leaves), levels + 1))
    for row, leaf in zip(table, made.leaves, strict=True):
        assert isinstance(leaf, algebra.Categorical)
        row[: len(leaf.probabilities)] = leaf.probabilities
    return {"weights": _log(table)}


def _log(p: np.ndarray) -> np.ndarray:
    """log p, with that of 0 a number that can be added."""
    return np.where(p > 0, np.log(np.maximum(p, np.finfo(p.dtype).tiny)), IMPOSSIBLE)
