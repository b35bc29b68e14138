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
STEPS = 20  # of the manifold, along each of its two latents


class Pictures:
    """Makes them in one compiled program, kept for the runs of one process that have model and data in common."""

    def __init__(self, model: BuiltDLGM, dataset: Dataset):
        self.shape, self.dataset = dataset.event_shape, dataset
        planes = [node for node, size in model.nodes.items() if size == 2]
        self.names = {node: "manifold" if len(model.nodes) == 1 else f"manifold_{node}" for node in planes}
        points = _equal_mass()

        @jax.jit  # op by op it would be dozens of programs
        def made(params: Any, key: jax.Array, real: jax.Array) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
            means = {node: q.mean for node, q in model.encode(params, real).items()}
            origin = {node: jnp.zeros((len(points), size), real.dtype) for node, size in model.nodes.items()}
            decoded = {n: model.decode(params, origin | {n: jnp.asarray(points, real.dtype)}) for n in planes}
            return model.sample(params, key, COLUMNS**2)[0], model.decode(params, means), decoded

        self.made = made

    def of(self, params: Any, seed: int) -> dict[str, np.ndarray]:
        """name -> uint8 picture; empty when the events are not images."""
        if shown(np.zeros((1, self.dataset.event_size)), self.shape) is None:
            return {}
        real = self.dataset.seen("test", 5 * COLUMNS)
        samples, decoded, planes = jax.device_get(self.made(params, jax.random.key(seed), jnp.asarray(real)))
        rows = [part[i : i + COLUMNS] for i in range(0, len(real), COLUMNS) for part in (real, decoded)]
        found = {"samples": self._grid(samples), "reconstructions": self._grid(np.concatenate(rows))}
        return found | {self.names[node]: self._grid(values, STEPS) for node, values in planes.items()}

    def _grid(self, values: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
        images = shown(values, self.shape)
        assert images is not None
        return grid(images, columns)


def _equal_mass() -> np.ndarray:
    """A grid of points of equal prior mass in two latents, top row first, (STEPS^2, 2)."""
    axis = [NormalDist().inv_cdf((i + 0.5) / STEPS) for i in range(STEPS)]
    return np.array([(a, b) for b in reversed(axis) for a in axis], np.float32)
