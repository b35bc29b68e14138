"""The arithmetic that refuses what cannot fit, against what is made."""

import jax
import numpy as np
import pytest
from support.small_run import experiment

from sbvi.runs.assembly import build_model
from sbvi.runs.memory import parameters


@pytest.mark.parametrize("noise_matrix", ["full", "identity"])
@pytest.mark.parametrize(
    ("shape", "convolutions"), [((12,), []), ((8, 4), []), ((8, 4), [3]), ((8, 4), [3, 5]), ((8, 8, 3), [2, 4, 5])]
)
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_weights_are_counted_before_they_are_made(shape, convolutions, noise_matrix, likelihood):
    binary = likelihood == "bernoulli"
    made = experiment(
        model={"latents": [4, 3], "convolutions": convolutions, "noise_matrix": noise_matrix},
        likelihood={"name": likelihood} | ({} if binary else {"scale": "predicted"}),
        dataset={"binarization": "static" if binary else "none"},
    )
    model = build_model(made, shape)
    params = jax.eval_shape(lambda: model.init(0, np.full(model.event_size, 0.5), np.ones(model.event_size)))
    weights = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params) if len(leaf.shape) > 1)
    assert parameters(made, shape) == weights
