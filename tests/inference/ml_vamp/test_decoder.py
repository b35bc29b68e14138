"""Decoders from files, and the sentences that refuse them."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from sbvi.core import UserError
from sbvi.inference.ml_vamp.decoder import from_arrays, load_decoder
from sbvi.inference.ml_vamp.network import from_layers
from sbvi.inference.ml_vamp.problem import BinaryOutput, GaussianOutput, Problem
from sbvi.inference.ml_vamp.recovery import recover


def arrays(generator=None):
    generator = generator or np.random.default_rng(0)
    return {"W0": generator.normal(size=(5, 3)), "b0": generator.normal(size=5), "W1": generator.normal(size=(4, 5))}


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_a_decoder_is_read_as_it_computes(tmp_path, kind):
    saved = {name: np.asarray(value, np.float32) for name, value in arrays().items()}
    path = tmp_path / f"net.{kind}"
    if kind == "npz":
        np.savez(path, activations="relu,tanh", **saved)
    else:
        save_file(saved, path, metadata={"activations": "relu, tanh"})
    z = np.random.default_rng(0).normal(size=(6, 3))
    expected = np.tanh(np.maximum(z @ saved["W0"].T + saved["b0"], 0) @ saved["W1"].T)
    np.testing.assert_allclose(load_decoder(path).activations(z)[-1], expected, atol=1e-5)


def refusal(make):
    with pytest.raises(UserError) as error:
        make()
    return str(error.value)


def test_refusals_name_the_layer():
    good = arrays()
    assert "layer 2 (swish)" in refusal(lambda: from_arrays(good, ["swish", "identity"]))
    assert "layer 1 (linear)" in refusal(lambda: from_arrays(good | {"W0": good["W0"] * np.nan}, ["relu"]))
    assert "layer 3 (linear) takes 6 inputs" in refusal(lambda: from_arrays(good | {"W1": np.ones((4, 6))}, ["relu"]))
    assert "layer 1 (linear) has weight" in refusal(lambda: from_arrays(good | {"b0": np.ones(4)}, ["relu"]))
    assert "holds W7" in refusal(lambda: from_arrays(good | {"W7": np.ones((4, 4))}, ["relu"]))
    assert "2 linear layers and 4 activations" in refusal(lambda: from_arrays(good, ["relu"] * 4))
    assert "layer 2 (convolution)" in refusal(
        lambda: from_layers([("linear", np.eye(2), np.zeros(2)), ("convolution", np.ones((3, 3)))])
    )
    assert "noise" in refusal(lambda: from_layers([("linear", np.eye(2), np.zeros(2), -1.0)]))
    assert "layer 1" in refusal(lambda: from_layers([("relu",)]))
    assert "layer 1 (linear) holds complex" in refusal(lambda: from_layers([("linear", 1j * np.eye(2), np.zeros(2))]))


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "net.safetensors").write_bytes(b"short")
    (tmp_path / "net.npz").write_bytes(b"not a zip")
    np.savez(tmp_path / "silent.npz", **arrays())
    assert "cannot be read" in refusal(lambda: load_decoder(tmp_path / "net.safetensors"))
    assert "cannot be read" in refusal(lambda: load_decoder(tmp_path / "net.npz"))
    assert "activations" in refusal(lambda: load_decoder(tmp_path / "silent.npz"))
    assert "allowed: .npz, .safetensors" in refusal(lambda: load_decoder(tmp_path / "net.pt"))
    assert "cannot be read" in refusal(lambda: load_decoder(tmp_path / "gone.npz"))


def test_refusals_of_what_is_observed():
    network = from_arrays(arrays(), ["relu"])
    y = np.ones((2, 4))
    assert "operator has shape (3, 5)" in refusal(lambda: Problem(network, GaussianOutput(0.1, np.ones((3, 5))), y))
    bad = np.full((4, 4), np.inf)
    assert "operator holds" in refusal(lambda: Problem(network, GaussianOutput(0.1, bad), y))
    assert "noise=0" in refusal(lambda: Problem(network, GaussianOutput(0.0), y))
    assert "y has shape (2, 4)" in refusal(lambda: Problem(network, GaussianOutput(0.1, np.ones((3, 4))), y))
    assert "infinite" in refusal(lambda: Problem(network, GaussianOutput(0.1), y * np.inf))
    assert "other than 0 and 1" in refusal(lambda: Problem(network, BinaryOutput(), 2 * y))
    assert "link=cauchit" in refusal(lambda: Problem(network, BinaryOutput("cauchit"), y))
    assert "layer 4 is a unit" in refusal(
        lambda: Problem(from_arrays(arrays(), ["relu", "sigmoid"]), BinaryOutput(), y)
    )
    gone = y.copy()
    gone[1] = np.nan
    assert "row 1 of y" in refusal(lambda: Problem(network, GaussianOutput(0.1), gone))
    steps = from_arrays(arrays(), ["threshold"])
    for method in ("gradient", "langevin", "hamiltonian"):
        assert "layer 2 is a threshold" in refusal(lambda m=method: recover(Problem(steps, GaussianOutput(0.1), y), m))
    assert "method=newton" in refusal(lambda: recover(Problem(network, GaussianOutput(0.1), y), "newton"))
