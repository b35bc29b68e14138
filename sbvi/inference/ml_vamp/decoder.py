"""A decoder of the user's own, from a file of arrays.

`.npz` or `.safetensors` with `W0`, `b0`, `W1`, `b1`, ...: weights (n_out, n_in) and biases (n_out,) as PyTorch's
`nn.Linear` holds them; a bias may be left out. The activations between and after them are one comma-separated string,
in the array `activations` of an `.npz` or the metadata of a `.safetensors`, "identity" for none. From PyTorch:

    linear = [m for m in net if isinstance(m, torch.nn.Linear)]
    arrays = {f"{n}{i}": p.detach() for i, m in enumerate(linear) for n, p in (("W", m.weight), ("b", m.bias))}
    safetensors.torch.save_file(arrays, "net.safetensors", metadata={"activations": "relu,relu,identity"})
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from sbvi.core import UserError
from sbvi.inference.ml_vamp.network import Network, from_layers


def load_decoder(path: str | Path) -> Network:
    """The network that a file describes.

    Raises:
      UserError: the file cannot be read, or a layer of it is missing, not finite, of the wrong shape or unknown.
    """
    path = Path(path)
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                arrays: dict[str, np.ndarray] = {name: file[name] for name in file.files}
            named = arrays.pop("activations", None)
            activations = None if named is None else ",".join(np.atleast_1d(named).astype(str))
        elif path.suffix == ".safetensors":
            arrays, activations = _safetensors(path)
        else:
            raise UserError(f"decoder={path} has the ending {path.suffix!r}; allowed: .npz, .safetensors.")
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, SafetensorError) as error:
        raise UserError(f"decoder={path} cannot be read: {error}.") from None
    if activations is None:
        raise UserError(f"decoder={path} does not say its activations: a comma-separated string, one a layer.")
    return from_arrays(arrays, activations.split(","))


def from_arrays(arrays: Mapping[str, np.ndarray], activations: list[str]) -> Network:
    """From W0, b0, W1, ... and one activation a linear layer; for the last, "identity" may be left out."""
    count = 0
    while f"W{count}" in arrays:
        count += 1
    known = {f"{letter}{number}" for letter in "Wb" for number in range(count)}
    if strange := sorted(set(arrays) - known):
        raise UserError(f"the decoder holds {strange[0]}; allowed: W0, b0, W1, b1, ..., without gaps.")
    names = [name.strip() for name in activations]
    if len(names) == count - 1:
        names.append("identity")
    if not count or len(names) != count:
        raise UserError(f"the decoder has {count} linear layers and {len(names)} activations; allowed: one a layer.")
    layers: list[tuple[Any, ...]] = []
    for number, name in enumerate(names):
        weight = arrays[f"W{number}"]
        bias = arrays.get(f"b{number}", np.zeros(weight.shape[:1]))
        layers += [("linear", weight, bias), (name,)]
    return from_layers(layers)


def _safetensors(path: Path) -> tuple[dict[str, np.ndarray], str | None]:
    with safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)
        return arrays, (file.metadata() or {}).get("activations")
