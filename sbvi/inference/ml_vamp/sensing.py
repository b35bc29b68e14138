"""What is observed of a trained model's output, as a problem: entries of it, or projections of it, or their signs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sbvi.core import UserError
from sbvi.inference.ml_vamp.network import Network, from_layers
from sbvi.inference.ml_vamp.problem import BinaryOutput, GaussianOutput, Problem
from sbvi.inference.ml_vamp.units import UNITS


def network_of(layers: Sequence[Any]) -> Network:
    """From a model's layers: affine maps (weights (inputs, outputs), bias, noise: a standard deviation) and names."""
    return from_layers(
        (layer,) if isinstance(layer, str) else ("linear", np.transpose(layer[0]), layer[1], float(layer[2]) ** 2)
        for layer in layers
    )


def entries(network: Network, x: np.ndarray, missing: np.ndarray, binary: bool, noise: float) -> Problem:
    """x (B, D) where it is not missing (B, D): bits, whose logits the network makes, or values with noise of a standard
    deviation."""
    y = np.where(missing, np.nan, x.astype(np.float64))
    return Problem(network, BinaryOutput("logistic") if binary else GaussianOutput(noise**2), y)


def projections(
    network: Network, y: np.ndarray, operator: np.ndarray, binary: bool, noise: float, signs: bool = False
) -> Problem:
    """y (B, m) = A x + noise of a standard deviation, or 1 where that is positive; of bits, x are the probabilities."""
    network = Network((*network.layers, UNITS["sigmoid"])) if binary else network
    operator = operator.astype(np.float64)
    if signs:
        return Problem(network, BinaryOutput("probit", noise**2, operator), y.astype(np.float64))
    return Problem(network, GaussianOutput(noise**2, operator), y.astype(np.float64))


def fits(network: Network, size: int) -> None:
    """Refuse a model whose outputs are not one number a value of the data.

    Raises:
      UserError: how many outputs there are.
    """
    if network.outputs != size:
        raise UserError(
            f"the model's last layer has {network.outputs} outputs for {size} values; recovery needs one a value, as "
            f"likelihood=bernoulli and likelihood=gaussian with a fixed or learned scale have."
        )
