"""A circuit as folded layers: what is computed level by level on arrays (nodes, B, units) of log-densities.

values[0] are the leaves; every step appends one array. A unit of a node is a function of the variables in the node's
scope; units of one node share it. Products must join disjoint scopes (decomposability), sums equal ones (smoothness):
`check` refuses a plan that breaks either, so that marginals and conditionals are exact.
"""

from dataclasses import dataclass

import numpy as np

from sbvi.core import UserError

PADDING = -1


@dataclass(frozen=True)
class Edges:
    """source: which of the values; child (E,) and target (E,), sorted by target: which of its nodes goes where."""

    source: int
    child: np.ndarray
    target: np.ndarray


@dataclass(frozen=True)
class Product:
    """Node by node the products of children, unit by unit: all have the same number of units, or one."""

    nodes: int
    edges: tuple[Edges, ...]


@dataclass(frozen=True)
class Outer:
    """Products of every unit of a left child with every unit of a right one: (nodes, B, I J)."""

    source: int
    left: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Sum:
    """Each node's `units` mixtures of all units of `fan` children that follow one another in the source."""

    source: int
    units: int
    fan: int = 1


Step = Product | Outer | Sum


@dataclass(frozen=True)
class Plan:
    """leaves (n, s): the variables of each leaf region, PADDING where a region has fewer; leaf_units: its units.

    The last step's single node has one unit for each class.
    """

    leaves: np.ndarray
    leaf_units: int
    steps: tuple[Step, ...]

    def sizes(self) -> list[tuple[int, int]]:
        """(nodes, units) of every value."""
        sizes = [(len(self.leaves), self.leaf_units)]
        for step in self.steps:
            if isinstance(step, Product):
                sizes.append((step.nodes, max(sizes[e.source][1] for e in step.edges)))
            elif isinstance(step, Outer):
                sizes.append((len(step.left), sizes[step.source][1] ** 2))
            else:
                sizes.append((sizes[step.source][0] // step.fan, step.units))
        return sizes

    def sums(self) -> list[tuple[int, int, int]]:
        """(nodes, inputs, units) of the weights of every Sum, in order."""
        sizes = self.sizes()
        return [
            (sizes[step.source][0] // step.fan, step.fan * sizes[step.source][1], step.units)
            for step in self.steps
            if isinstance(step, Sum)
        ]


def check(plan: Plan, variables: int) -> None:
    """Refuse a plan that is not smooth, not decomposable, or does not cover all variables.

    Raises:
      UserError: the step and node at fault.
    """
    scopes = [[frozenset(v for v in row if v != PADDING) for row in plan.leaves.tolist()]]
    for position, step in enumerate(plan.steps, 1):
        own: list[frozenset[int]] = []
        if isinstance(step, Sum):
            below = scopes[step.source]
            for node in range(len(below) // step.fan):
                group = below[node * step.fan : (node + 1) * step.fan]
                if len(set(group)) != 1:
                    raise UserError(f"Sum {node} of layer {position} has children of different scopes: not smooth.")
                own.append(group[0])
        else:
            parts = _parts(step)
            for node, children in enumerate(parts):
                scope = [scopes[source][child] for source, child in children]
                whole = frozenset().union(*scope)
                if sum(map(len, scope)) != len(whole):
                    raise UserError(
                        f"Product {node} of layer {position} has children that share a variable: not decomposable."
                    )
                own.append(whole)
        scopes.append(own)
    if len(scopes[-1]) != 1 or scopes[-1][0] != frozenset(range(variables)):
        raise UserError(f"The root must be one node over all {variables} variables.")


def _parts(step: Product | Outer) -> list[list[tuple[int, int]]]:
    """(source, child) of every node's children."""
    if isinstance(step, Outer):
        return [[(step.source, a), (step.source, b)] for a, b in zip(step.left, step.right, strict=True)]
    children: list[list[tuple[int, int]]] = [[] for _ in range(step.nodes)]
    for edges in step.edges:
        for child, target in zip(edges.child, edges.target, strict=True):
            children[target].append((edges.source, int(child)))
    return children
