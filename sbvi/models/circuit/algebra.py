"""Circuits built by hand: leaves, sums and products as Python values, checked, and kept as plain data.

    rain = Bernoulli(0, 0.2)
    wet, dry = Product(rain, Bernoulli(1, 0.9)), Product(Bernoulli(0, 0.7), Bernoulli(1, 0.1))
    root = Sum([0.3, 0.7], wet, dry)

Values are compared by identity, so that a part used twice is one node of the graph.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from sbvi.core import UserError
from sbvi.core.atomic import write_atomically

TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Bernoulli:
    """P(x_variable = 1) = p."""

    variable: int
    p: float


@dataclass(frozen=True, eq=False)
class Categorical:
    """P(x_variable = k) = probabilities[k], of whole numbers from 0."""

    variable: int
    probabilities: Sequence[float]


@dataclass(frozen=True, eq=False)
class Gaussian:
    """x_variable ~ N(mean, variance), in the units of the data's source: a run moves it to what its model sees, which
    may be standardised (`circuit.units`)."""

    variable: int
    mean: float
    variance: float


@dataclass(frozen=True, eq=False, init=False)
class Product:
    """The product of its children, which share no variable."""

    children: tuple["Node", ...] = field()

    def __init__(self, *children: "Node"):
        object.__setattr__(self, "children", children)


@dataclass(frozen=True, eq=False, init=False)
class Sum:
    """The mixture of its children, which are all over the same variables; weights are positive and sum to 1."""

    weights: tuple[float, ...]
    children: tuple["Node", ...]

    def __init__(self, weights: Sequence[float], *children: "Node"):
        try:
            object.__setattr__(self, "weights", tuple(float(w) for w in weights))
        except (TypeError, ValueError):
            raise UserError(
                f"A sum has weights {weights!r}; allowed: numbers that are positive and sum to 1."
            ) from None
        object.__setattr__(self, "children", children)


Leaf = Bernoulli | Categorical | Gaussian
Node = Leaf | Product | Sum
KINDS: dict[str, type] = {c.__name__.lower(): c for c in (Bernoulli, Categorical, Gaussian, Product, Sum)}


@dataclass(frozen=True)
class Graph:
    """Every node once, children before parents, the root last. scopes: the variables of each. names: the way to each
    from the root, such as root/1/0."""

    nodes: tuple[Node, ...]
    scopes: tuple[frozenset[int], ...]
    names: tuple[str, ...]

    @property
    def place(self) -> dict[int, int]:
        """id(node) -> its position."""
        return {id(node): position for position, node in enumerate(self.nodes)}


def graph(root: Node) -> Graph:
    """The checked graph of a circuit.

    Raises:
      UserError: a node's parameters are not allowed, a product is not decomposable, a sum not complete (smooth), or a
        variable is missing; the sentence names the node.
    """
    visited: dict[int, tuple[Node, frozenset[int], str]] = {}
    for node, name in _below(root):
        if id(node) not in visited:
            below = [visited[id(child)][1] for child in getattr(node, "children", ())]
            visited[id(node)] = node, _scope(node, below, name), name
    nodes, scopes, names = zip(*visited.values(), strict=True)
    if sorted(scopes[-1]) != list(range(len(scopes[-1]))):
        absent = next(v for v in range(max(scopes[-1]) + 1) if v not in scopes[-1])
        raise UserError(f"The root has no leaf of variable {absent}; allowed: variables 0, 1, ... without gaps.")
    return Graph(nodes, scopes, names)


def _below(root: Node) -> Iterator[tuple[Node, str]]:
    """Nodes, children first; a node may come more than once."""
    stack: list[tuple[Node, str, bool]] = [(root, "root", False)]
    seen: set[int] = set()
    while stack:
        node, name, opened = stack.pop()
        if opened or id(node) in seen:
            seen.add(id(node))
            yield node, name
            continue
        if type(node) not in KINDS.values():
            raise UserError(f"{name} is a {type(node).__name__}; allowed: {', '.join(KINDS)}.")
        stack.append((node, name, True))
        children = getattr(node, "children", ())
        stack += [(child, f"{name}/{i}", False) for i, child in reversed(list(enumerate(children)))]


def _scope(node: Node, below: list[frozenset[int]], name: str) -> frozenset[int]:
    if isinstance(node, Product | Sum):
        if not below:
            raise UserError(f"{name} has no children.")
        if isinstance(node, Product):
            whole = frozenset().union(*below)
            if sum(map(len, below)) != len(whole):
                twice = next(v for v in sorted(whole) if sum(v in scope for scope in below) > 1)
                raise UserError(f"{name} is a product whose children share variable {twice}: not decomposable.")
            return whole
        if len(set(below)) > 1:
            apart = sorted(frozenset().union(*below) - frozenset.intersection(*below))[0]
            raise UserError(f"{name} is a sum of which not every child has variable {apart}: not complete.")
        _distribution(node.weights, len(below), f"{name} has weights", positive=True)
        return below[0]
    if not isinstance(node.variable, Integral) or node.variable < 0:
        raise UserError(f"{name} is of variable {node.variable}; allowed: whole numbers from 0.")
    if isinstance(node, Bernoulli) and not (_is_number(node.p) and 0 <= node.p <= 1):
        raise UserError(f"{name} has p={node.p}; allowed: 0 to 1.")
    if isinstance(node, Categorical):
        if not hasattr(node.probabilities, "__len__"):
            raise UserError(f"{name} has probabilities {node.probabilities}; allowed: a list of numbers that sum to 1.")
        _distribution(node.probabilities, len(node.probabilities), f"{name} has probabilities")
    if isinstance(node, Gaussian):
        known = _is_number(node.mean) and _is_number(node.variance)
        if not (known and math.isfinite(node.mean) and 0 < node.variance < math.inf):
            raise UserError(
                f"{name} is N({node.mean}, {node.variance}); allowed: a finite mean and a variance above 0."
            )
    return frozenset([int(node.variable)])


def _distribution(values: Sequence[float], count: int, what: str, positive: bool = False) -> None:
    numbers = all(map(_is_number, values))
    fits = numbers and all(v > 0 if positive else v >= 0 for v in values) and abs(sum(values) - 1) < TOLERANCE
    if len(values) != count or count < 1 or not fits:
        least = "positive" if positive else "not negative"
        raise UserError(f"{what} {list(values)}; allowed: {count} numbers that are {least} and sum to 1.")


def to_data(root: Node) -> list[dict[str, Any]]:
    """Plain data: the nodes in order, children by position, the root last."""
    made = graph(root)
    place, entries = made.place, []
    for node in made.nodes:
        entry: dict[str, Any] = {"kind": type(node).__name__.lower()}
        for name, value in vars(node).items():
            entry[name] = [place[id(child)] for child in value] if name == "children" else _plain(value)
        entries.append(entry)
    return entries


def _is_number(value: Any) -> bool:
    """Numbers of NumPy's too, and arrays of a single one, as JAX's numbers are."""
    return isinstance(value, Real) or getattr(value, "ndim", None) == 0


def _plain(value: Any) -> Any:
    if isinstance(value, Integral):
        return int(value)
    return float(value) if _is_number(value) else [float(v) for v in value]


def from_data(entries: Any, where: str) -> Node:
    """The root of a circuit's plain data.

    Raises:
      UserError: the data is no circuit; the sentence names `where` and the node.
    """
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{where} must hold a list of nodes, children before parents.")
    nodes: list[Node] = []
    for position, entry in enumerate(entries):
        kind = KINDS.get(entry.get("kind", "")) if isinstance(entry, Mapping) else None
        try:
            if kind is None:
                raise ValueError(f"its kind must be one of {', '.join(KINDS)}")
            values = {name: value for name, value in entry.items() if name != "kind"}
            children = values.pop("children", ())
            if any(not isinstance(c, int) or not 0 <= c < position for c in children):
                raise ValueError("children must be positions of nodes before it")
            parts = [nodes[c] for c in children]
            nodes.append(kind(values.pop("weights"), *parts) if kind is Sum else kind(*parts, **values))
        except (TypeError, ValueError, KeyError) as error:
            raise UserError(f"Node {position} of {where} cannot be read: {error}.") from None
    return nodes[-1]


def save(root: Node, path: Path | str) -> None:
    """Write a circuit as JSON, for `model.structure=file model.file=PATH`."""
    write_atomically(Path(path), (json.dumps(to_data(root)) + "\n").encode())


def load(path: Path | str) -> Node:
    """The root of a circuit that `save` wrote.

    Raises:
      UserError: the file cannot be read, or holds no circuit.
    """
    try:
        entries = json.loads(Path(path).expanduser().read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"model.file={path} cannot be read ({error}).") from None
    return from_data(entries, f"model.file={path}")
