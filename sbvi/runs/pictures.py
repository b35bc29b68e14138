"""The pictures a run leaves: samples, reconstructions, and the 2-D manifold, of a model that can make them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.data import Dataset
from sbvi.models.api import Encoder, Generative, LatentVariable, offers
from sbvi.reporting.images import grid, shown

COLUMNS = 10
STEPS = 20  # of the manifold, along each of its two latents


class Pictures:
    """Makes them in one compiled program, kept for the runs of one process that have model and data in common."""

    def __init__(self, model: Any, dataset: Dataset):
        self.shape, self.dataset, self.model = dataset.event_shape, dataset, model
        planes = _planes(model) if offers(model, LatentVariable) else []
        self.names = {node: "manifold" if len(model.latent_sizes()) == 1 else f"manifold_{node}" for node in planes}

        @jax.jit  # op by op it would be dozens of programs
        def made(params: Any, key: jax.Array, real: jax.Array) -> dict[str, jax.Array]:
            pictures: dict[str, jax.Array] = {}
            if offers(model, Generative):
                pictures["samples"] = model.sample(params, key, COLUMNS**2).mean
            if offers(model, Encoder) and offers(model, LatentVariable):
                means = {node: moments.mean for node, moments in model.encode(params, real).items()}
                pictures["reconstructions"] = model.decode(params, means)
            for node in planes:
                points = jnp.asarray(model.node_prior().plane(model.prior_params(params), node, STEPS), real.dtype)
                origin = {n: jnp.zeros((len(points), k), real.dtype) for n, k in model.latent_sizes().items()}
                pictures[self.names[node]] = model.decode(params, origin | {node: points})
            return pictures

        self.made = made

    def of(self, params: Any, seed: int) -> dict[str, np.ndarray]:
        """name -> uint8 picture; empty when the events are not images."""
        if shown(np.zeros((1, self.dataset.event_size)), self.shape) is None:
            return {}
        real = self.dataset.seen("test", 5 * COLUMNS)
        made = jax.device_get(self.made(params, jax.random.key(seed), jnp.asarray(real)))
        if (decoded := made.get("reconstructions")) is not None:
            rows = [part[i : i + COLUMNS] for i in range(0, len(real), COLUMNS) for part in (real, decoded)]
            made["reconstructions"] = np.concatenate(rows)
        return {n: self._grid(values, STEPS if n in self.names.values() else COLUMNS) for n, values in made.items()}

    def _grid(self, values: np.ndarray, columns: int) -> np.ndarray:
        images = shown(values, self.shape)
        assert images is not None
        return grid(images, columns)


def _planes(model: Any) -> list[str]:
    """Nodes of two latents whose prior has a grid of equal mass."""
    return [node for node, size in model.latent_sizes().items() if size == 2 and model.node_prior().grids]
