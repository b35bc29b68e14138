"""What a caller of a loaded run may give beside data: what it cannot use is refused in a sentence."""

import copy

import numpy as np
import pytest
import scipy.sparse

import sbvi
from sbvi.core import UserError
from sbvi.runs import load_run


@pytest.fixture(scope="module")
def run(tiny_run):
    """Of 32 binary values and 3 latents."""
    return load_run(tiny_run)


class Tensor:
    """One of PyTorch's that is in a graph."""

    def __array__(self, *given, **named):
        raise RuntimeError("Use tensor.detach().numpy() instead.")


X = np.zeros((2, 32))
Z = np.zeros((2, 3))


@pytest.mark.parametrize("seed", [1.5, "a", -1, 2**32, np.array([1, 2])], ids=repr)
def test_a_seed_is_a_whole_number(run, seed):
    asked = {
        "seed": [
            lambda: run.sample(2, seed),
            lambda: run.log_likelihood(X, 2, seed),
            lambda: run.elbo(X, 2, seed),
            lambda: run.impute(X, seed=seed),
        ],
        "draw": [lambda: run.decode(Z, seed)],
    }
    for name, calls in asked.items():
        for call in calls:
            with pytest.raises(UserError, match=rf"^{name}=.* must be a whole number of 0\.\.4294967295\.$"):
                call()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"iterations": "a"}, r"^iterations='a' must be a whole number of at least 1\.$"),
        ({"iterations": 30.5}, r"^iterations=30\.5 must be a whole number of at least 1\.$"),
        ({"warmup": 1.5}, r"^warmup=1\.5 must be a whole number, at least 0 and less than iterations=100\.$"),
        ({"iterations": 5, "warmup": 5}, r"^warmup=5 must be a whole number, at least 0 and less than iterations=5\.$"),
    ],
)
def test_iterations_are_whole_numbers(run, given, sentence):
    with pytest.raises(UserError, match=sentence):
        run.impute(X, **given)


@pytest.mark.parametrize("samples", [2**31, 10**30], ids=repr)
def test_samples_are_as_many_as_32_bits_count(run, samples):
    for call in (run.log_likelihood, run.elbo):
        with pytest.raises(UserError, match=r"^num_samples=.* must be at most 2147483647\.$"):
            call(X, samples)


@pytest.mark.parametrize("place", [None, 3, b"run", [], ""], ids=repr)
def test_a_run_lies_at_a_path(place):
    with pytest.raises(UserError, match=r"^folder=.* must be a path, as a text or a pathlib\.Path\.$"):
        load_run(place)
    if place is not None:  # a new directory, by default
        with pytest.raises(UserError, match=r"^directory=.* must be a path, as a text or a pathlib\.Path\.$"):
            sbvi.train([], place)


@pytest.mark.parametrize("method", [None, 3, True, "ml-vamp"], ids=repr)
def test_a_method_is_one_of_those_there_are(run, method):
    with pytest.raises(UserError, match=r"^method=.* is not known.*; allowed: gradient, .*, ml_vamp, ml_vamp_map\.$"):
        run.recover(X, method=method)


@pytest.mark.parametrize("params", [None, 3, {}, "text"], ids=repr)
def test_parameters_have_the_form_of_the_runs_own(run, params):
    assert run.with_params(run.params).params is run.params
    with pytest.raises(UserError, match=r"^params= must have the names and shapes of the run's own parameters, run\."):
        run.with_params(params)


@pytest.mark.parametrize(
    ("latents", "sentence"),
    [
        ([["a", "b", "c"]], r"has shape \(1, 3\) and dtype <U1; it must be numbers \(N, 3\)\.$"),
        (Z + 1j, r"has shape \(2, 3\) and dtype complex128; it must be numbers \(N, 3\)\.$"),
        (Z[:, :2], r"has shape \(2, 2\) and dtype float64; it must be numbers \(N, 3\)\.$"),
        ([[1, 2, 3], [4]], r"is no array; its rows must be of one length\.$"),
        (scipy.sparse.csr_matrix(Z), r"is sparse, a csr_matrix; give an array, as \S+\.toarray\(\) makes of it\.$"),
        (Tensor(), r"cannot be read as an array \(RuntimeError: Use tensor\.detach\(\)\.numpy\(\) instead\)\.$"),
        (Z + np.nan, r"holds nan at row 0, column 0; values must not be NaN or infinite \(5 more like this\)\.$"),
        (Z + 1e39, r"holds 1e\+39 at row 0, column 0; it is too large for float32 \(3\.4e38\) \(5 more like this\)\.$"),
        (np.ma.masked_array(Z, Z == 0), r"is a masked array that hides 6 values"),
    ],
)
def test_latents_are_finite_numbers(run, latents, sentence):
    """What a mask hides, an imaginary part and what float32 has not would be decoded without a word."""
    with pytest.raises(UserError, match=r"^latents\['layer_1'\] " + sentence):
        run.decode(latents)


def test_moments_are_no_latents(run):
    with pytest.raises(UserError, match=r"^latents\['layer_1'\] is an Encoding, of moments; give its mean\.$"):
        run.decode(run.encode(X))


def test_what_a_model_lacks_is_told_by_the_name_of_what_was_asked(run):
    other = copy.copy(run)
    other.model = object()
    with pytest.raises(UserError, match=r"^log_likelihood\(\) .* serve: circuit, .*, mixture, nade\.$"):
        other.log_likelihood(X)
    with pytest.raises(UserError, match=r"^reconstruct\(\) needs .*Encoder"):
        other.reconstruct(X)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"noise": "a"}, r"^noise='a' must be a number above 0\.$"),
        ({"noise": -1.0}, r"^noise=-1\.0 must be a number above 0\.$"),
        ({"noise": np.nan}, r"^noise=nan must be a number above 0\.$"),
        ({"operator": "abc"}, r"^operator has dtype <U3; it must be numeric\.$"),
        ({"operator": np.ones((2, 32)) + 1j}, r"^operator has dtype complex128; it must be numeric\.$"),
        ({"operator": np.ma.masked_array(np.ones((2, 32)), True)}, r"^operator is a masked array that hides 64 values"),
        ({"operator": np.ones((2, 32)), "y": [["a", "b"]]}, r"^y has dtype <U1; it must be numeric\.$"),
        ({"y": [[1, 2], [3]]}, r"^y is no array; its rows must be of one length\.$"),
    ],
)
def test_what_recovery_cannot_use_is_refused(run, given, sentence):
    """An imaginary part and what a mask hides would be left out, and given back, without a word."""
    with pytest.raises(UserError, match=sentence):
        run.recover(**{"y": X, "method": "gradient"} | given)


def test_rows_of_several_lengths_are_refused(run):
    for asked in (run.log_likelihood, run.encode, run.impute):
        with pytest.raises(UserError, match=r"^x is no array; its rows must be of one length\.$"):
            asked([[1, 2], [3]])
