"""Chow-Liu trees (Chow & Liu 1968): of all trees over the variables, the one of greatest likelihood.

It is a maximum spanning tree of the mutual information of every two variables, here from counts with one added to each
cell of each two variables' table.
"""

from typing import NamedTuple

import numpy as np

ROWS = 20_000  # of one product; sums of so many ones are exact in float32
DIGITS = 13  # decimals of an information, in nats, that are not rounding


class PairCounts(NamedTuple):
    """single: (D, S) how often variable d is in state s. pair: (D, S, D, S) of two variables. rows: N."""

    single: np.ndarray
    pair: np.ndarray
    rows: int


def pair_counts(states: np.ndarray, number: int) -> PairCounts:
    """Counts of whole-number states 0..number-1, (N, D)."""
    count, size = states.shape
    upper = np.zeros((size, number - 1, size, number - 1))
    single = np.zeros((size, number - 1))
    for start in range(0, count, ROWS):
        part = states[start : start + ROWS]
        hot = np.stack([part == s for s in range(1, number)], -1).astype(np.float32).reshape(len(part), -1)
        single += hot.sum(0, dtype=np.float64).reshape(size, number - 1)
        upper += (hot.T @ hot).astype(np.float64).reshape(upper.shape)
    # What is in no state from 1 up is in state 0.
    single = np.concatenate([count - single.sum(1, keepdims=True), single], 1)
    pair = np.zeros((size, number, size, number))
    pair[:, 1:, :, 1:] = upper
    pair[:, 1:, :, 0] = single[:, 1:, None] - upper.sum(3)
    pair[:, 0, :, 1:] = pair[:, 1:, :, 0].transpose(2, 0, 1)
    pair[:, 0, :, 0] = single[:, 0, None] - pair[:, 0, :, 1:].sum(2)
    return PairCounts(single, pair, count)


def joint(counts: PairCounts) -> np.ndarray:
    """Probabilities of every two variables' states, (D, S, D, S), with one added to each cell of their table. The
    marginals that they imply agree: (n + S) / (N + S^2)."""
    number = counts.single.shape[1]
    return (counts.pair + 1) / (counts.rows + number**2)


def mutual_information(counts: PairCounts) -> np.ndarray:
    """Of every two variables, (D, D), nats; the diagonal is without meaning."""
    number = counts.single.shape[1]
    both = joint(counts)
    alone = (counts.single + number) / (counts.rows + number**2)
    information = np.zeros((len(alone), len(alone)))
    for s in range(number):
        for t in range(number):
            p = both[:, s, :, t]
            information += p * (np.log(p) - np.log(alone[:, s])[:, None] - np.log(alone[:, t])[None])
    return information


def tree(information: np.ndarray) -> np.ndarray:
    """parent (D,), -1 at the root: the maximum spanning tree of (D, D) weights, rooted at its centre, so that it is as
    shallow as can be."""
    size = len(information)
    if size == 1:
        return np.array([-1])
    near: list[list[int]] = [[] for _ in range(size)]
    for a, b in _spanning(information):
        near[a].append(b)
        near[b].append(a)
    one_end = _walk(near, 0)[0][-1]
    order, parent = _walk(near, one_end)
    path = [order[-1]]
    while parent[path[-1]] >= 0:
        path.append(int(parent[path[-1]]))
    return _walk(near, path[len(path) // 2])[1]


def _spanning(information: np.ndarray) -> list[tuple[int, int]]:
    """Edges of the maximum spanning tree, grown from variable 0 (Prim). Of equal weights, which columns that hold the
    same values have, it takes the first; weights that differ by rounding alone are equal."""
    weights = np.round((information + information.T) / 2, DIGITS)
    best, near = weights[0].copy(), np.zeros(len(weights), int)
    outside = np.arange(len(weights)) > 0
    edges = []
    for _ in range(len(weights) - 1):
        node = int(np.argmax(np.where(outside, best, -np.inf)))
        edges.append((int(near[node]), node))
        outside[node] = False
        closer = outside & (weights[node] > best)
        best[closer], near[closer] = weights[node][closer], node
    return edges


def _walk(near: list[list[int]], root: int) -> tuple[list[int], np.ndarray]:
    """Nodes in the order of their distance from a root, and their parents."""
    parent = np.full(len(near), -1)
    order, seen = [root], {root}
    for node in order:
        for other in near[node]:
            if other not in seen:
                seen.add(other)
                parent[other] = node
                order.append(other)
    return order, parent


def states(x: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """Values (N, D) as whole numbers, and how many: 0 and 1 as they are, others by `most` quantiles of each column."""
    if np.isin(x, (0, 1)).all():
        return x.astype(np.uint8), 2
    edges = np.quantile(x, np.arange(1, most) / most, axis=0)
    bins = np.zeros(x.shape, np.uint8)
    for edge in edges:
        bins += x > edge
    return bins, most
