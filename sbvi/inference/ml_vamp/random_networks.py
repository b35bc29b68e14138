"""Random multi-layer perceptrons of which message passing is exact in the limit of large layers.

Weights are normal with variance 1 / (n mean z^2), hidden biases leave a given share of units active, the last bias is
standard normal (the authors' `mlp_test`).
"""

import numpy as np

from sbvi.inference.ml_vamp.network import Layer, Linear, Network
from sbvi.inference.ml_vamp.units import UNITS


def random_network(
    seed: int, sizes: tuple[int, ...], unit: str = "relu", active: float = 0.4, probes: int = 100
) -> Network:
    """Linear layers of these sizes, the latent's first, with a unit after each but the last.

    active: share of `probes` samples for which a hidden unit's input is positive.
    """
    generator = np.random.default_rng(seed)
    z = generator.standard_normal((probes, sizes[0]))
    layers: list[Layer] = []
    for number, size in enumerate(sizes[1:], 1):
        scale = np.sqrt(z.shape[1] * np.mean(z**2))
        weight = generator.standard_normal((size, z.shape[1])) / scale
        inputs = z @ weight.T
        if number == len(sizes) - 1:
            layers.append(Linear(weight, generator.standard_normal(size)))
            break
        bias = -np.quantile(inputs, 1 - active, axis=0)
        layers += [Linear(weight, bias), UNITS[unit]]
        z = np.asarray(UNITS[unit](inputs + bias))
    return Network(tuple(layers))
