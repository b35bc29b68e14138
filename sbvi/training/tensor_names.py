"""Names of a tree's leaves: the path from the root, with dots, as `generative.maps.0.layers.0.kernel`.

The name stands for one leaf and back. A dot or a percent sign within a part is written as %2E or %25. The last step
into a Flax variable, `.value`, says nothing and is left out.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jax

ROOT = "value"  # of a tree that is one leaf


def dotted(parts: Iterable[str]) -> str:
    """Parts of a path as one name."""
    path = list(parts)
    if len(path) > 1 and path[-1] == "value":
        path.pop()
    return ".".join(part.replace("%", "%25").replace(".", "%2E") for part in path) or ROOT


def named_leaves(tree: Any) -> dict[str, Any]:
    """Every leaf by its name, in the tree's order.

    Raises:
      ValueError: two leaves would share a name.
    """
    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = dotted(map(_part, path))
        if name in named:
            raise ValueError(f"two leaves of the tree are called {name}")
        named[name] = leaf
    return named


def tree_of(named: Mapping[str, Any], like: Any) -> Any:
    """The tree of the structure of `like` whose leaves have these names."""
    return jax.tree.unflatten(jax.tree.structure(like), [named[name] for name in named_leaves(like)])


def _part(key: Any) -> str:
    match key:
        case jax.tree_util.GetAttrKey(name=name):
            return str(name)
        case jax.tree_util.DictKey(key=name) | jax.tree_util.FlattenedIndexKey(key=name):
            return str(name)
        case jax.tree_util.SequenceKey(idx=index):
            return str(index)
    raise TypeError(f"a step of a path is {key!r}")
