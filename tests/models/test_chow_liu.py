"""Chow-Liu trees against definitions and against every tree there is."""

import itertools

import numpy as np
import pytest

from sbvi.core import UserError
from sbvi.models.circuit import chow_liu
from sbvi.models.circuit.structures import by_depth


def data(states, variables=4, rows=200, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.integers(0, states, (rows, variables))
    for v in range(1, variables):
        x[:, v] = np.where(generator.random(rows) < 0.2 + 0.1 * v, x[:, (v * 2) % v], x[:, v])
    return x.astype(np.uint8)


@pytest.mark.parametrize("number", [2, 3, 5])
def test_counts_are_those_of_loops(number, monkeypatch):
    monkeypatch.setattr(chow_liu, "ROWS", 33)
    x = data(number)
    found = chow_liu.pair_counts(x, number)
    for a, b in itertools.product(range(4), repeat=2):
        for s, t in itertools.product(range(number), repeat=2):
            assert found.pair[a, s, b, t] == ((x[:, a] == s) & (x[:, b] == t)).sum()
    assert found.single.sum() == x.size
    np.testing.assert_allclose(chow_liu.joint(found).sum((1, 3)), 1)


@pytest.mark.parametrize("number", [2, 4])
def test_information_is_its_definition(number):
    both = chow_liu.joint(counts := chow_liu.pair_counts(data(number), number))
    found = chow_liu.mutual_information(counts)
    for a, b in itertools.permutations(range(4), 2):
        p = both[a, :, b]
        assert found[a, b] == pytest.approx((p * np.log(p / np.outer(p.sum(1), p.sum(0)))).sum())


@pytest.mark.parametrize("seed", range(5))
def test_no_other_tree_carries_more(seed):
    """All 125 labelled trees of five nodes, by their Pruefer sequences."""
    weights = np.random.default_rng(seed).random((5, 5))
    weights = weights + weights.T
    best = 0.0
    for sequence in itertools.product(range(5), repeat=3):
        degree = [1 + sequence.count(v) for v in range(5)]
        total = 0.0
        for v in sequence:
            leaf = degree.index(1)
            total += weights[leaf, v]
            degree[leaf] -= 1
            degree[v] -= 1
        a, b = [v for v in range(5) if degree[v] == 1]
        best = max(best, total + weights[a, b])
    parent = chow_liu.tree(weights)
    assert sum(weights[v, above] for v, above in enumerate(parent) if above >= 0) == pytest.approx(best)
    assert (parent < 0).sum() == 1


def test_trees_are_rooted_at_their_centre():
    """A chain of nine, its nodes shuffled: four levels below the root, not eight."""
    order = np.random.default_rng(0).permutation(9)
    weights = np.zeros((9, 9))
    for a, b in itertools.pairwise(order):
        weights[a, b] = weights[b, a] = 1.0
    levels = by_depth(chow_liu.tree(weights))
    assert len(levels) == 5
    assert levels[0] == [order[4]]
    assert chow_liu.tree(np.zeros((1, 1))).tolist() == [-1]


def test_what_is_no_tree_is_refused():
    for parent in ([-1, -1], [1, 0], [-1, 2, 1]):
        with pytest.raises(UserError, match="one root"):
            by_depth(parent)


def test_states_are_values_or_quantiles():
    found, number = chow_liu.states(np.array([[0.0, 1.0]]), 4)
    assert number == 2
    assert found.tolist() == [[0, 1]]
    found, number = chow_liu.states(np.linspace(0, 1, 100)[:, None], 4)
    assert number == 4
    np.testing.assert_array_equal(np.bincount(found[:, 0]), [25] * 4)
