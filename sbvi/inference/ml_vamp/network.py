"""A trained network as a list of layers: linear maps and component-wise units, from a standard normal latent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.inference.ml_vamp.units import UNITS, Unit, smooth


@dataclass(frozen=True, eq=False)
class Linear:
    """z_out = weight z_in + bias + N(0, noise I).  weight (n_out, n_in), bias (n_out,), noise: a variance."""

    weight: np.ndarray
    bias: np.ndarray
    noise: float = 0.0


Layer = Linear | Unit


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in the order in which they act on z ~ N(0, I); the first one is linear.

    Raises:
      UserError: a layer is not finite or does not fit the one before it.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.layers or not isinstance(self.layers[0], Linear):
            raise UserError("layer 1 of the network must be linear: it tells how many latents there are.")
        width, before = None, False
        for number, layer in enumerate(self.layers, 1):
            if isinstance(layer, Linear):
                width = _checked(number, layer, width)
            elif not before:
                raise UserError(f"layer {number} is a unit after a unit; allowed: a linear layer before every unit.")
            before = isinstance(layer, Linear)

    @property
    def inputs(self) -> int:
        return self._linear[0].weight.shape[1]

    @property
    def outputs(self) -> int:
        return len(self._linear[-1].bias)

    @property
    def noisy(self) -> tuple[int, ...]:
        """The sizes of the noise of layers that have any, in order."""
        return tuple(len(layer.bias) for layer in self._linear if layer.noise > 0)

    @property
    def _linear(self) -> list[Linear]:
        return [layer for layer in self.layers if isinstance(layer, Linear)]

    def activations(self, z: jax.Array | np.ndarray, noises: Sequence[jax.Array] = ()) -> list[jax.Array]:
        """Every variable, z (B, inputs) first; `noises`: standard normal, (B, n), one for each layer with noise."""
        z, left = jnp.asarray(z), list(noises)  # in the process's own precision
        variables = [z]
        for layer in self.layers:
            if not isinstance(layer, Linear):
                z = layer(z)
            else:
                z = z @ jnp.asarray(layer.weight.T, z.dtype) + jnp.asarray(layer.bias, z.dtype)[None]
                if layer.noise > 0 and left:
                    z = z + float(np.sqrt(layer.noise)) * left.pop(0)
            variables.append(z)
        return variables


def _checked(number: int, layer: Linear, width: int | None) -> int:
    name = f"layer {number} (linear)"
    weight, bias = layer.weight, layer.bias
    if weight.ndim != 2 or bias.shape != weight.shape[:1] or 0 in weight.shape:
        raise UserError(f"{name} has weight {weight.shape} and bias {bias.shape}; allowed: (m, n) and (m,).")
    if width is not None and weight.shape[1] != width:
        raise UserError(f"{name} takes {weight.shape[1]} inputs, and the layers before it make {width}.")
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise UserError(f"{name} holds values that are not finite.")
    if not np.isfinite(layer.noise) or layer.noise < 0:
        raise UserError(f"{name} has noise of variance {layer.noise}; allowed: a finite number, 0 or more.")
    return len(bias)


def from_layers(layers: Iterable[Sequence[Any]]) -> Network:
    """From plain tuples: ("linear", weight, bias), ("linear", weight, bias, noise variance) or ("relu",), ("tanh",) ...

    "identity" is left out. A "leaky_relu" may be given its slope. A twice differentiable function stands for itself.

    Raises:
      UserError: a layer is of a kind that message passing cannot use, or does not fit; the sentence names it.
    """
    made: list[Layer] = []
    for number, (kind, *arguments) in enumerate(layers, 1):
        if kind == "linear" and len(arguments) in (2, 3):
            weight, bias, *noise = arguments
            made.append(Linear(_float64(number, weight), _float64(number, bias), float(noise[0]) if noise else 0.0))
        elif kind == "leaky_relu" and len(arguments) == 1:
            made.append(type(UNITS["leaky_relu"])(float(arguments[0])))  # type: ignore[arg-type]
        elif callable(kind) and not arguments:
            made.append(smooth(kind))
        elif kind in UNITS and not arguments:
            made.append(UNITS[kind])
        elif kind != "identity" or arguments:
            allowed = ", ".join(["linear", "identity", *UNITS])
            raise UserError(f"layer {number} ({kind}) is not one that message passing can use; allowed: {allowed}.")
    return Network(tuple(made))


def _float64(number: int, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise UserError(f"layer {number} (linear) holds {array.dtype} values; allowed: real numbers.")
    return array.astype(np.float64)
