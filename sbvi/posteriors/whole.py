"""What is asked of a posterior that an installed package adds, held to it where a model of it is made and traced."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import jax

from sbvi.core.plugins import PARAMETERS, lacks_arrays, ours, wrong
from sbvi.distributions.priors import Prior
from sbvi.posteriors.posterior import Conditional, Draws, Moments, Posterior

#: The names of the two protocols.
PARTS = ("nodes", "init", "given")
CONDITIONAL_PARTS = ("sample", "draw", "log_prob", "kl", "moments", "rows", "with_rows")


def whole(posterior: Any, spec: Any) -> Posterior:
    """What a spec built, if it is all that is asked of a posterior.

    Raises:
      UserError: what it lacks, or that its nodes have no sizes.
    """
    if lacking := [part for part in PARTS if not hasattr(posterior, part)]:
        raise wrong(type(spec), "build", posterior, f"a posterior, which has {', '.join(PARTS)}", lacking)
    nodes = posterior.nodes
    if not (isinstance(nodes, Mapping) and nodes and all(isinstance(size, Integral) for size in nodes.values())):
        raise wrong(type(spec), "build", posterior, "a posterior whose nodes are a dict from names to sizes")
    made: Posterior = posterior
    return made


def parameters(params: Any, posterior: Posterior) -> Any:
    """What a posterior's `init` gave, if it is parameters.

    Raises:
      UserError: it is None, or holds what is no array.
    """
    if lacks_arrays(params):
        raise wrong(type(posterior), "init", params, PARAMETERS)
    return params


def conditional(given: Any, maker: Any, function: str = "given") -> Conditional:
    """What a posterior's `given` gave, or another function of another's, if it is all that is asked of q(z | x).

    Raises:
      UserError: what it lacks.
    """
    if lacking := [part for part in CONDITIONAL_PARTS if not hasattr(given, part)]:
        must = f"q(z | x), which has {', '.join(CONDITIONAL_PARTS)}"
        raise wrong(type(maker), function, given, must, lacking)
    q: Conditional = given
    return q


def sampled(draws: Any, q: Conditional, sizes: Mapping[str, int], samples: int, examples: int) -> Draws:
    """What `sample` of q(z | x) gave over nodes of these sizes, if it is of the shapes that are asked for.

    Raises:
      UserError: what has another shape, and the one that it must have.
    """
    latents = getattr(draws, "latents", None)
    if not isinstance(latents, Mapping) or not all(hasattr(draws, part) for part in Draws._fields):
        raise wrong(type(q), "sample", draws, f"Draws of {', '.join(Draws._fields)}")
    if set(latents) != set(sizes):
        raise wrong(type(q), "sample", latents, f"latents at {', '.join(sizes)}")
    asked = f"for {samples} samples of {examples} examples"
    for node, size in sizes.items():
        if getattr(latents[node], "shape", None) != (samples, examples, size):
            must = f"latents of shape {(samples, examples, size)} at {node} {asked}"
            raise wrong(type(q), "sample", latents[node], must)
    if getattr(draws.values, "shape", None) != (samples, examples):
        must = f"values of shape {(samples, examples)} {asked}, the integrand at each"
        raise wrong(type(q), "sample", draws.values, must)
    made: Draws = draws
    return made


def divergence(found: Any, q: Conditional, prior: Prior, sizes: Mapping[str, int], examples: int) -> Any:
    """What `kl` of q(z | x) to a prior gave, if it is one number for each example at every node, or None. A q of sbvi's
    asks the prior for it.

    Raises:
      UserError: what has another shape, and the one that it must have.
    """
    of_prior = ours(type(q)) and not ours(type(prior))
    return None if found is None else nodewise(found, prior if of_prior else q, "kl", sizes, (examples,))


def nodewise(found: Any, owner: Any, function: str, sizes: Mapping[str, int], rows: tuple[int, ...]) -> Any:
    """What a function of a q(z | x) gave by nodes of these sizes, if at each it is of shape (*rows, K): an array, or of
    `moments` all three; of `kl` one number for each row.

    Raises:
      UserError: what has another shape, and the one that it must have.
    """
    if not isinstance(found, Mapping) or set(found) != set(sizes):
        raise wrong(type(owner), function, found, f"a dict of {', '.join(sizes)}")
    for node, size in sizes.items():
        shape = rows if function == "kl" else (*rows, size)
        parts: dict[str, Any] = {"an array": found[node]}
        if function == "moments":
            parts = {part: getattr(found[node], part, None) for part in Moments._fields}
        for part, value in parts.items():
            if getattr(value, "shape", None) != shape:
                raise wrong(type(owner), function, value, f"{part} of shape {shape} at {node} for {rows[-1]} examples")
    return found


def tried(q: Conditional, sizes: Mapping[str, int], samples: int, examples: int) -> None:
    """Ask q(z | x) for what training does not, but tasks do.

    Raises:
      UserError: what has another shape than it must.
    """
    nodewise(q.draw(jax.random.key(0), samples), q, "draw", sizes, (samples, examples))
    rows = q.rows()
    leaves = [rows] if rows is None else jax.tree.leaves(rows)
    if odd := [leaf for leaf in leaves if getattr(leaf, "shape", ())[:1] != (examples,)]:
        raise wrong(type(q), "rows", odd[0], f"arrays of a row for each of {examples} examples")
    conditional(q.with_rows(rows), q, "with_rows")
