#!/usr/bin/env python3
"""Soft against hard gradients of log p(label | x) by the depth of a random circuit (Gens & Domingos 2012).

    python scripts/circuit_gradients.py

Writes docs/circuits/gradients.json and gradients.png. For every depth a circuit over 4096 bits with fresh parameters;
the norms are of one example's gradient by the log-weights of the deepest layer of sums, the one next to the leaves.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.models import Circuit
from sbvi.models.circuit.model import BuiltCircuit
from sbvi.models.values import DataFacts, DataSummary
from sbvi.reporting.figures import COLOURS, new_figure, save_figure

BITS, CLASSES, UNITS = 4096, 10, 4
DEPTHS = (2, 4, 6, 8, 10, 12)


def data(examples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A prototype of fair bits for each class, of which each example has three in ten turned over."""
    generator = np.random.default_rng(seed)
    prototypes = generator.integers(0, 2, (CLASSES, BITS))
    label = generator.integers(0, CLASSES, examples)
    return (prototypes[label] ^ (generator.random((examples, BITS)) < 0.3)).astype(np.float32), label


def gradients(model: BuiltCircuit, params: Any, x: np.ndarray, label: np.ndarray, rule: str) -> list[np.ndarray]:
    """By layer of sums, the root's last: (B, nodes, inputs, units), of log S[y, 1 | x] - log S[1, 1 | x], or of the
    best trees' M[y | x] - M[x]."""

    def value(sums: Any, x: jax.Array, label: jax.Array) -> jax.Array:
        joint = model.joint_log_probs(params | {"sums": sums}, x[None], rule=rule)[0]
        whole = jax.nn.logsumexp(joint) if rule == "soft" else joint[jnp.argmax(joint)]
        return joint[label] - whole

    by_layer = jax.jit(jax.vmap(jax.grad(value), (None, 0, 0)))(params["sums"], jnp.asarray(x), jnp.asarray(label))
    return [np.asarray(g) for g in by_layer]


def row(depth: int, examples: int, seeds: int) -> dict[str, Any]:
    """Medians over examples, of starts of several seeds, of norms and of greatest entries."""
    norms: dict[str, list[np.ndarray]] = {"soft": [], "hard": []}
    greatest: dict[str, list[np.ndarray]] = {"soft": [], "hard": []}
    for seed in range(seeds):
        x, label = data(examples, seed)
        spec = Circuit(structure="random", replicas=1, depth=depth, units=UNITS, labels=True, leaf="bernoulli")
        model = spec.build(DataFacts((BITS,), True, 1, classes=CLASSES))
        params = model.init(seed, DataSummary(x, label, x.mean(0), x.std(0), examples))
        for rule in norms:
            deepest = gradients(model, params, x, label, rule)[0].reshape(examples, -1)
            if rule == "hard":
                wrong = np.any(deepest != 0, axis=1)  # where the best label is the true one both trees are the same
                deepest = deepest[wrong]
            norms[rule].append(np.linalg.norm(deepest, axis=1))
            greatest[rule].append(np.abs(deepest).max(axis=1))
    return {
        rule: {
            "norm": float(np.median(np.concatenate(norms[rule]))),
            "greatest": float(np.median(np.concatenate(greatest[rule]))),
            "examples": int(sum(map(len, norms[rule]))),
        }
        for rule in norms
    }


def draw(rows: dict[int, Any], path: Path) -> None:
    figure = new_figure(8, 3.2)
    for axes, what in zip(figure.subplots(1, 2), ("norm", "greatest"), strict=True):
        for colour, rule in zip(COLOURS, ("soft", "hard"), strict=False):
            values = [record[rule][what] for record in rows.values()]
            axes.semilogy(list(rows), values, "o-", color=colour, label=rule)
        title = {"norm": "norm", "greatest": "greatest entry"}[what]
        axes.set(xlabel="layers of sums", ylabel="gradient of the deepest layer", title=title, xticks=list(rows))
        axes.legend()
    save_figure(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/circuits"))
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows = {}
    for depth in DEPTHS:
        rows[depth] = row(depth, arguments.examples, arguments.seeds)
        print(depth, rows[depth], flush=True)
    about = {"bits": BITS, "classes": CLASSES, "units": UNITS, "examples": arguments.examples, "seeds": arguments.seeds}
    content = about | {"rows": {str(depth): record for depth, record in rows.items()}}
    (arguments.output / "gradients.json").write_text(json.dumps(content, indent=1) + "\n")
    draw(rows, arguments.output / "gradients.png")


if __name__ == "__main__":
    main()
