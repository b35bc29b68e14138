"""Runs a plan: from the leaves' log-densities to the root's, with any rule for the sums."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.models.circuit.plan import Edges, Outer, Plan, Product
from sbvi.models.circuit.sums import Array, Pair, Rule, Values


def root(plan: Plan, leaves: Array, weights: Sequence[Array], rule: Rule) -> Array:
    """log S_c(x), (B, C), from leaves (n, B, K) and each Sum's log-weights (nodes, inputs, units)."""
    values: list[Values] = [leaves]
    levels = _levels(plan)
    parts = iter(jnp.split(leaves, levels[:-1])) if levels else iter(())
    sums = 0
    for step in plan.steps:
        if isinstance(step, Product):
            terms = [
                _gathered(next(parts), Edges(0, np.arange(len(edges.child)), edges.target), step.nodes)
                if levels and edges.source == 0
                else _gathered(values[edges.source], edges, step.nodes)
                for edges in step.edges
            ]
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            values.append(total)
        elif isinstance(step, Outer):
            below = values[step.source]
            assert not isinstance(below, Pair)
            values.append(Pair(_rows(below, step.left), _rows(below, step.right)))
        else:
            below = values[step.source]
            values.append(rule(sums, _joined(below, step.fan), weights[sums]))
            sums += 1
    top = values[-1]
    assert not isinstance(top, Pair)
    return top[0]


def _levels(plan: Plan) -> list[int]:
    """Where the leaves that each product reads end, if products read them all once and in order, as those of a latent
    tree do; else empty. Backwards a split is one concatenation, where slices would each be a sum of whole arrays."""
    read = [edges.child for step in plan.steps if isinstance(step, Product) for edges in step.edges if not edges.source]
    elsewhere = any(not isinstance(step, Product) and step.source == 0 for step in plan.steps)
    if elsewhere or not read or not np.array_equal(np.concatenate(read), np.arange(len(plan.leaves))):
        return []
    return [int(end) for end in np.cumsum([len(child) for child in read])]


def _joined(values: Values, fan: int) -> Values:
    """(n fan, B, K) as (n, B, fan K): the children of each sum side by side."""
    if fan == 1:
        return values
    whole = values.whole() if isinstance(values, Pair) else values
    nodes, batch, units = whole.shape
    return whole.reshape(nodes // fan, fan, batch, units).transpose(0, 2, 1, 3).reshape(nodes // fan, batch, -1)


def _rows(values: Array, index: np.ndarray) -> Array:
    """Nodes of an array; without a copy where they are a regular part of it."""
    step = int(index[1] - index[0]) if len(index) > 1 else 1
    if step > 0 and np.array_equal(index, index[0] + step * np.arange(len(index))):
        return values[int(index[0]) : int(index[-1]) + 1 : step]
    return jnp.take(values, index, axis=0)


def _gathered(values: Values, edges: Edges, nodes: int) -> Array:
    """The sum over each target's children."""
    whole = values.whole() if isinstance(values, Pair) else values
    children = _rows(whole, edges.child)
    fan = len(edges.target) // nodes
    if fan * nodes == len(edges.target) and np.array_equal(edges.target, np.repeat(np.arange(nodes), fan)):
        return children if fan == 1 else jnp.sum(children.reshape(nodes, fan, *children.shape[1:]), 1)
    return jax.ops.segment_sum(children, edges.target, nodes, indices_are_sorted=True)
