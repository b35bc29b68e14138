"""The pictures a run leaves: samples, reconstructions, ways between test examples and along latents, and the 2-D
manifold, of a model that can make them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.data import Dataset
from sbvi.models.capabilities import Encoder, GaussianRecognition, Generative, LatentVariable, offers
from sbvi.reporting.images import grid, shown

COLUMNS = 10
STEPS = 20  # of the manifold, along each of its two latents
TRAVERSED = 8  # latents, the most active ones
REACH = 3.0  # of a traversal, either way; a standard normal prior's deviations

#: Picture -> its title, and what its first rows are.
TITLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "samples": ("samples of the model", ()),
    "reconstructions": ("test examples, and below each its reconstruction", ("data", "reconstruction")),
    "interpolations": ("from the posterior mean of a test example to that of another", ()),
    "traversals": (f"the most active latents, one a row, from -{REACH:g} to {REACH:g}", ()),
}


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
                parts = {"reconstructions": means}
                if offers(model, GaussianRecognition):  # between values of 0 and 1 there is nothing
                    parts |= {"interpolations": between(means), "traversals": along(means)}
                joined = {node: jnp.concatenate([part[node] for part in parts.values()]) for node in means}
                ends = np.cumsum([len(next(iter(part.values()))) for part in parts.values()])
                pictures |= dict(zip(parts, jnp.split(model.decode(params, joined), ends[:-1]), strict=True))
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


def between(means: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """node -> (5 * COLUMNS, K): a row of COLUMNS latents from each of the first five even examples to the next one, and
    from the last one, where they are few and odd, to the first."""
    share = jnp.linspace(0.0, 1.0, COLUMNS)[None, :, None]

    def way(mean: jax.Array) -> jax.Array:
        first, last = (at[0:COLUMNS:2, None] for at in (mean, jnp.roll(mean, -1, 0)))
        return ((1 - share) * first + share * last).reshape(-1, mean.shape[-1])

    return {node: way(mean) for node, mean in means.items()}


def along(means: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """node -> (rows * COLUMNS, K): the first example's latents, of which each row moves another from -REACH to REACH.

    Those are moved whose posterior means vary most over the examples (Burda et al. 2016), of all nodes together.
    """
    whole = jnp.concatenate(list(means.values()), -1)
    chosen = jax.lax.top_k(jnp.var(whole, 0), min(TRAVERSED, whole.shape[-1]))[1]
    moved = jax.nn.one_hot(chosen, whole.shape[-1], dtype=whole.dtype)[:, None]
    values = jnp.linspace(-REACH, REACH, COLUMNS, dtype=whole.dtype)[None, :, None]
    points = (whole[:1, None] * (1 - moved) + moved * values).reshape(-1, whole.shape[-1])
    ends = np.cumsum([mean.shape[-1] for mean in means.values()])
    return dict(zip(means, jnp.split(points, ends[:-1], axis=-1), strict=True))


def _planes(model: Any) -> list[str]:
    """Nodes of two latents whose prior has a grid of equal mass."""
    return [node for node, size in model.latent_sizes().items() if size == 2 and model.node_prior().grids]
