"""A trained DLGM's generative network as a list of layers, for message passing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sbvi.core import UserError, name_of
from sbvi.distributions.likelihoods import LIKELIHOODS, Likelihood
from sbvi.distributions.likelihoods.likelihood import gives_means
from sbvi.distributions.priors import Standard
from sbvi.models.values import Affine, Array, Params

if TYPE_CHECKING:
    from sbvi.models.dlgm.settings import DLGM


def _value(node: Any) -> np.ndarray:
    return np.asarray(node.get_value(), np.float64)


def _noise_matrix(spec: "DLGM", params: Params, level: int) -> np.ndarray:
    size = spec.latents[level]
    if spec.noise_matrix in ("identity", "predicted"):  # what is predicted is of layers below the top one
        return np.eye(size)
    matrix = _value(params.generative["noise_maps"][level]["matrix"])
    return matrix if spec.noise_matrix == "full" else np.diag(matrix)


def check_outputs(spec: "DLGM", likelihood: Likelihood, free: Array, size: int) -> None:
    """Refuse outputs that message passing would take for what they are not.

    Args:
      likelihood: the one that the spec's is for this data, with its free parameters, over `size` values.

    Raises:
      UserError: values depend on others, or an output is neither its value's mean nor a bit's log-odds.
    """
    if not likelihood.factorised:
        raise UserError("Message passing needs a likelihood whose values are independent given the network's outputs.")
    if not gives_means(likelihood, free, size):
        raise UserError(
            f"the model's last layer has {likelihood.outputs(size)} outputs for {size} values, which under "
            f"likelihood={name_of(LIKELIHOODS, spec.likelihood)} are not the values' means; recovery needs one a value "
            f"that is its mean, or a bit's log-odds, as likelihood=bernoulli and likelihood=gaussian with a fixed or "
            f"learned scale have."
        )


def stack(spec: "DLGM", params: Params) -> Sequence[Affine | str]:
    """Affine maps and activation names from xi_L down to the likelihood's outputs, float64.

    A layer's noise G_l xi_l enters as the affine map's noise: it must be isotropic there, G_l = g I, since message
    passing keeps one variance a layer; the top one, G_L, may be any matrix.

    Raises:
      UserError: the network is no such stack, and the sentence names the layer; or the prior is not N(0, I).
    """
    if spec.convolutions:
        raise UserError(f"model.convolutions={list(spec.convolutions)} is no stack of affine layers; use model.hidden.")
    if not isinstance(spec.prior, Standard):
        raise UserError(
            "Message passing starts from latents of N(0, I), which this prior is not; allowed: prior=standard."
        )
    if spec.network != "dense" and any(spec.maps()):
        raise UserError(f"model.network={spec.network} is no stack of affine layers; allowed: model.network=dense.")
    top = len(spec.latents) - 1
    if spec.noise_matrix == "predicted" and top:
        raise UserError(
            "model.noise_matrix=predicted is no stack of affine layers, since a layer's noise depends on the one "
            "above; allowed: model.noise_matrix=identity."
        )
    stages: list[Affine | str] = [Affine(_noise_matrix(spec, params, top), np.zeros(spec.latents[top]))]
    for level in range(top, -1, -1):
        if spec.activate_inputs:
            stages.append(spec.activation)
        layers = params.generative["maps"][level]["layers"]
        for position in range(len(layers)):
            weights, bias = _value(layers[position]["kernel"]), _value(layers[position]["bias"])
            last = position + 1 == len(layers)
            noise = 0.0
            if last and level > 0:
                matrix = _noise_matrix(spec, params, level - 1)
                covariance = matrix.T @ matrix
                variance = float(np.mean(np.diag(covariance)))
                if not np.allclose(covariance, variance * np.eye(len(covariance)), atol=1e-6 * variance):
                    raise UserError(
                        f"The noise of layer_{level} is not the same in every direction, and message passing keeps one "
                        f"variance for a layer; train with model.noise_matrix=identity."
                    )
                noise = float(np.sqrt(variance))
            stages.append(Affine(weights, bias, noise))
            if not last:
                stages.append(spec.activation)
    return stages
