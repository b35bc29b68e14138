"""Means of x in the source's units.

Of a table by column exp of a mean logarithm is no mean, so that its model gives means of the columns' own values, less
`sbvi.data.tabular.columns.centres`.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from sbvi.data import Preprocessing
from sbvi.data.tabular import columns as tables
from sbvi.models import require
from sbvi.models.capabilities import LatentVariable, Tabular


def given_latents(model: LatentVariable, preprocessing: Preprocessing) -> Callable[..., jax.Array]:
    """(params, latents) -> E[x | latents], (..., D), for `to_source`."""
    return model.decode if preprocessing.table is None else require(model, Tabular, "decode()").column_means


def of_draws(model: LatentVariable, preprocessing: Preprocessing) -> Callable[..., jax.Array]:
    """(params, key, num) -> E[x | latents], (num, D), for `to_source`, of the latents behind `model.sample`."""
    means = given_latents(model, preprocessing)

    def drawn(params: Any, key: jax.Array, num: int) -> jax.Array:
        return means(params, model.sample_joint(params, key, num)[0])

    return drawn


def to_source(values: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Such means in the source's units, of the same shape."""
    if preprocessing.table is None:
        return preprocessing.to_source(values)
    moved: np.ndarray = values.astype(np.float64) + tables.centres(preprocessing.table)
    return moved
