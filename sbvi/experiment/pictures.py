"""The pictures a run leaves: samples, reconstructions, and the 2-D manifold."""

from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.data import Dataset
from sbvi.models import BuiltDLGM
from sbvi.reporting.images import grid, shown

COLUMNS = 10


def run_pictures(model: BuiltDLGM, params: Any, dataset: Dataset, seed: int) -> dict[str, np.ndarray]:
    """name -> uint8 picture; empty when the events are not images."""
    shape = dataset.event_shape
    if shown(np.zeros((1, dataset.event_size)), shape) is None:
        return {}
    found = {"samples": _grid(model.sample(params, jax.random.key(seed), COLUMNS**2)[0], shape)}
    real = dataset.seen("test", 5 * COLUMNS)
    means = {node: q.mean for node, q in model.encode(params, jnp.asarray(real)).items()}
    decoded = np.asarray(model.decode(params, means))
    rows = [part for i in range(0, len(real), COLUMNS) for part in (real[i : i + COLUMNS], decoded[i : i + COLUMNS])]
    found["reconstructions"] = _grid(np.concatenate(rows), shape)
    for node, size in model.nodes.items():
        if size == 2:
            found["manifold" if len(model.nodes) == 1 else f"manifold_{node}"] = _manifold(model, params, node, shape)
    return found


def _grid(values: Any, shape: tuple[int, ...], columns: int = COLUMNS) -> np.ndarray:
    images = shown(np.asarray(values), shape)
    assert images is not None
    return grid(images, columns)


def _manifold(model: BuiltDLGM, params: Any, node: str, shape: tuple[int, ...], steps: int = 20) -> np.ndarray:
    """Decoded means over a grid of equal prior mass in a two-dimensional node, the others at zero."""
    axis = [NormalDist().inv_cdf((i + 0.5) / steps) for i in range(steps)]
    points = np.array([(a, b) for b in reversed(axis) for a in axis], np.float32)
    latents = {n: jnp.zeros((len(points), size)) for n, size in model.nodes.items()}
    latents[node] = jnp.asarray(points)
    return _grid(model.decode(params, latents), shape, steps)
