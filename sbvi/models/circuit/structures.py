"""Structures: from facts of the data and settings to a plan of folded layers."""

from collections.abc import Sequence

import numpy as np

from sbvi.core import UserError
from sbvi.models.circuit.plan import PADDING, Edges, Outer, Plan, Product, Step, Sum


def mixture(variables: int, units: int, classes: int) -> Plan:
    """Mixtures of `units` products of leaves."""
    whole = Product(1, (Edges(0, np.arange(variables), np.zeros(variables, int)),))
    return Plan(np.arange(variables)[:, None], units, (whole, Sum(1, classes)))


def latent_tree(parent: Sequence[int], units: int, classes: int) -> Plan:
    """Each variable hangs from a latent of `units` states of its own; the latents form a tree (D.7). With leaves that
    are their latents' states, this is the tree over the variables themselves.

    parent: of each variable, -1 at the root. Levels go by depth, the deepest first; a level's nodes stand in the order
    of their parents, so that children of one parent follow one another.
    """
    levels = by_depth(parent)
    order = [node for level in reversed(levels) for node in level]
    place = {node: position for position, node in enumerate(order)}
    steps: list[Step] = []
    below: list[int] = []
    for level in reversed(levels):
        position = {node: p for p, node in enumerate(level)}
        edges = [Edges(0, np.array([place[node] for node in level]), np.arange(len(level)))]
        if below:
            edges.append(Edges(len(steps), np.arange(len(below)), np.array([position[parent[node]] for node in below])))
        steps.append(Product(len(level), tuple(edges)))
        steps.append(Sum(len(steps), units if parent[level[0]] >= 0 else classes))
        below = level
    return Plan(np.array(order)[:, None], units, tuple(steps))


def by_depth(parent: Sequence[int]) -> list[list[int]]:
    """Nodes of each depth, those of one parent together, in the order of their parents.

    Raises:
      UserError: these are no parents of a tree.
    """
    children: dict[int, list[int]] = {}
    for node, above in enumerate(parent):
        children.setdefault(int(above), []).append(node)
    levels = [children.get(-1, [])]
    while levels[-1]:
        levels.append([child for node in levels[-1] for child in children.get(node, [])])
    if len(levels[0]) != 1 or sum(map(len, levels)) != len(parent):
        raise UserError("The parents of a latent tree must have one root, -1, from which every variable hangs.")
    return levels[:-1]


def random(
    variables: int, replicas: int, depth: int, leaf_units: int, units: int, classes: int, layer: str, seed: int
) -> Plan:
    """Random tensorised circuit (RAT, Peharz et al. 2019): each replica halves a random order of the variables `depth`
    times. layer: cp joins equal units of two halves, tucker every pair of them.

    Raises:
      UserError: there are too few variables.
    """
    regions = 2 ** min(depth, variables)  # which are too many already
    if regions > variables:
        more = " or more" if depth > variables else ""
        raise UserError(
            f"model.depth={depth} makes {regions}{more} leaf regions of {variables} variables; it must be at most "
            f"{variables.bit_length() - 1}."
        )
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(replicas):
        rows += _halved(generator.permutation(variables), depth)
    width = max(map(len, rows))
    leaves = np.full((len(rows), width), PADDING)
    for row, region in zip(leaves, rows, strict=True):
        row[: len(region)] = region
    steps: list[Step] = []
    count = len(rows)
    for level in range(depth):
        count //= 2
        if layer == "tucker":
            steps.append(Outer(len(steps), 2 * np.arange(count), 2 * np.arange(count) + 1))
        else:
            steps.append(Product(count, (Edges(len(steps), np.arange(2 * count), np.repeat(np.arange(count), 2)),)))
        if level + 1 < depth:
            steps.append(Sum(len(steps), units))
    steps.append(Sum(len(steps), classes, fan=replicas))
    return Plan(leaves, leaf_units, tuple(steps))


def _halved(order: np.ndarray, depth: int) -> list[np.ndarray]:
    """Regions of a balanced binary split, siblings side by side."""
    if depth == 0:
        return [order]
    middle = len(order) // 2
    return _halved(order[:middle], depth - 1) + _halved(order[middle:], depth - 1)


def quad_tree(event_shape: Sequence[int], units: int, classes: int) -> Plan:
    """Blocks of an image: each has up to four quarters, down to single pixels, a pixel's channels together. Every block
    passes a layer of sums on its way up.

    Raises:
      UserError: the data is no image.
    """
    if len(event_shape) not in (2, 3):
        raise UserError(f"model.structure=quad_tree needs images, and the data has shape {tuple(event_shape)}.")
    height, width = event_shape[:2]
    channels = event_shape[2] if len(event_shape) == 3 else 1
    grids = [(height, width)]
    while grids[-1] != (1, 1):
        grids.append((-(-grids[-1][0] // 2), -(-grids[-1][1] // 2)))
    order = [(0, 0)]  # of the blocks of a level: quarters of one block follow one another
    parents: list[np.ndarray] = []
    for rows, columns in reversed(grids[:-1]):
        quarters, target = [], []
        for position, (i, j) in enumerate(order):
            for quarter in ((2 * i, 2 * j), (2 * i, 2 * j + 1), (2 * i + 1, 2 * j), (2 * i + 1, 2 * j + 1)):
                if quarter[0] < rows and quarter[1] < columns:
                    quarters.append(quarter)
                    target.append(position)
        order = quarters
        parents.append(np.array(target))
    leaves = np.array([[(i * width + j) * channels + c for c in range(channels)] for i, j in order])
    steps: list[Step] = []
    for target in reversed(parents):
        steps.append(Sum(len(steps), units))
        steps.append(Product(int(target[-1]) + 1, (Edges(len(steps), np.arange(len(target)), target),)))
    steps.append(Sum(len(steps), classes))
    return Plan(leaves, units, tuple(steps))
