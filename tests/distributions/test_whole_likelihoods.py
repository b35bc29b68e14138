"""Likelihoods of packages are tried before a model is made of them: each fault is told in a sentence."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from support.models import dlgm
from support.paths import ROOT

from sbvi.core import UserError
from sbvi.distributions.likelihoods import LIKELIHOODS, Likelihood, whole
from sbvi.distributions.likelihoods.likelihood import gives_means
from sbvi.distributions.likelihoods.whole import PARTS

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plugin" / "src" / "sbvi_laplace" / "likelihood.py"
loaded = spec_from_file_location("example_of_a_package", EXAMPLE)
example = module_from_spec(loaded)
loaded.loader.exec_module(example)


class Laplace(example.Laplace):
    """The example of a package, and its density of each value."""

    def each(self, outputs, x):
        return -jnp.abs(x[None] - outputs) / self.scale - jnp.log(2 * self.scale)


def spread_over_the_batch(self, outputs, free, x):
    return jnp.sum(self.each(outputs, x), -1, keepdims=True)


def of_all_examples(self, outputs, free, x):
    """(S, B), of which every value has all examples in it."""
    return jnp.sum(jnp.sum(-jnp.abs(x[None, :, None] - outputs[:, None]) / self.scale, -1), -1)


def of_all_samples(self, outputs, free, x):
    return jnp.broadcast_to(jnp.sum(self.each(outputs, x), (0, 2))[None], outputs.shape[:2])


def side_by_side(self, outputs, free, x):
    """Mean and log-scale of each value beside each other, and not in blocks."""
    mean, log_scale = jnp.moveaxis(outputs.reshape(*outputs.shape[:2], -1, 2), -1, 0)
    return jnp.sum(-0.5 * jnp.square((x[None] - mean) / jnp.exp(log_scale)) - log_scale, -1)


FAULTS = [
    (
        "log_prob",
        lambda self, o, f, x: self.each(o, x),
        r"log_prob is of shape \(2, 3, 4\); it must be of shape \(2, 3\)",
    ),
    (
        "log_prob",
        spread_over_the_batch,
        r"log_prob is of shape \(2, 3, 1\); it must be of shape \(2, 3\), \(S, B\) for",
    ),
    ("log_prob", lambda self, o, f, x: jnp.sum(self.each(o, x)), r"log_prob is of shape \(\); it must be"),
    ("log_prob", lambda self, o, f, x: jnp.sum(self.each(o, x), (0, 2)), r"log_prob is of shape \(3,\); it must be"),
    ("log_prob", of_all_examples, r"log_prob of an example is -?[\d.]+ alone and -?[\d.]+ beside others; it must be"),
    ("log_prob", of_all_samples, r"log_prob of an example is -?[\d.]+ alone and -?[\d.]+ beside others; it must be"),
    ("log_prob", lambda self, o, f, x: None, "log_prob is no array but NoneType; it must be"),
    (
        "log_prob",
        lambda self, o, f, x: jnp.sum(self.each(o, x), -1).astype(jnp.int32),
        "log_prob is of dtype int32; it",
    ),
    ("log_prob", lambda self, o, f, x: np.sum(np.asarray(o), -1), r"log_prob fails \(TracerArrayConversionError: "),
    ("mean", lambda self, o, f: o.sum(-1), r"mean is of shape \(2, 3\); it must be of shape \(2, 3, 4\)"),
    ("sample", lambda self, key, o, f: o[..., :1], r"sample is of shape \(2, 3, 1\); it must be"),
    ("output_precision", lambda self, o, f: jnp.ones(()), r"output_precision is of shape \(\); it must be"),
    (
        "outputs",
        lambda self, size: 2 * size,
        r"initial_outputs is of shape \(4,\); it must be of shape \(8,\), as outputs",
    ),
    (
        "free",
        lambda self, size: size,
        r"initial_free is of shape \(0,\); it must be of shape \(4,\), as free\(4\) says",
    ),
    ("outputs", lambda self, size: size + 1, r"outputs\(4\) is 5; it must be a multiple: whole blocks"),
    ("outputs", lambda self: 4, r"outputs fails \(TypeError: "),
]


@pytest.mark.quick
@pytest.mark.parametrize(("name", "method", "said"), FAULTS)
def test_a_fault_is_told_before_a_model_is_made(name, method, said, monkeypatch):
    faulty = type("Faulty", (Laplace,), {name: method})()
    monkeypatch.setitem(LIKELIHOODS, "faulty", type(faulty))
    with pytest.raises(UserError, match=rf"^The likelihood Faulty: {said}"):
        dlgm((4,), likelihood=faulty, latents=(2,), hidden=(), recognition_hidden=())


@pytest.mark.quick
def test_outputs_of_a_value_stand_at_its_place_in_every_block():
    """Else a chain that fills in what is missing would hold the outputs of other values."""

    class Interleaved(Laplace):
        outputs = staticmethod(lambda size: 2 * size)
        initial_outputs = staticmethod(lambda mean, spread: np.stack([mean, np.log(spread)], -1).ravel())
        log_prob = side_by_side
        mean = staticmethod(lambda outputs, free: outputs[..., ::2])
        sample = staticmethod(lambda key, outputs, free: outputs[..., ::2])

    class InBlocks(Interleaved):
        initial_outputs = staticmethod(lambda mean, spread: np.concatenate([mean, np.log(spread)]))

        def log_prob(self, outputs, free, x):
            mean, log_scale = jnp.split(outputs, 2, -1)
            return jnp.sum(-0.5 * jnp.square((x[None] - mean) / jnp.exp(log_scale)) - log_scale, -1)

    whole(InBlocks(), 4, None)
    with pytest.raises(UserError, match=r"^The likelihood Interleaved: what the outputs at the first value"):
        whole(Interleaved(), 4, None)
    Interleaved.factorised = False
    whole(Interleaved(), 4, None)


@pytest.mark.quick
def test_a_likelihood_that_is_whole_is_taken():
    made = Laplace()
    assert whole(made, 4, None) is made
    assert whole(made, 4, 16) is made
    assert gives_means(made, jnp.zeros(0), 4)  # so that recovery takes it
    # Those of sbvi are not even asked.
    assert whole(own := object.__new__(LIKELIHOODS["gaussian"]), 4, None) is own


@pytest.mark.quick
def test_the_parts_are_those_of_the_protocol():
    assert set(PARTS) == {name for name in vars(Likelihood) if not name.startswith("_")}


def test_the_likelihood_of_the_page_is_whole():
    """Its density is SciPy's, its draws have that law, and its precision is what slopes at such draws vary by."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(), re.S)
    (block,) = [each for each in blocks if "class Laplace2" in each]
    page = {"__name__": "page"}
    exec(block, page)
    likelihood, free = page["Laplace2"](minimum_scale=0.2), jnp.zeros(0)
    assert whole(likelihood, 3, None) is likelihood
    outputs = jnp.asarray([0.5, -1.0, 2.0, 0.3, -0.7, 0.0], jnp.float32)
    location, scale = np.asarray(outputs[:3]), np.exp(np.asarray(outputs[3:])) + 0.2
    tiled = jnp.broadcast_to(outputs, (1, 20_000, 6))
    draws = likelihood.sample(jax.random.key(0), tiled, free)[0]
    for column in range(3):
        law = scipy.stats.laplace(location[column], scale[column])
        assert scipy.stats.kstest(np.asarray(draws[:2000, column]), law.cdf).pvalue > 1e-3
    found = likelihood.log_prob(tiled[:, :50], free, draws[:50])
    np.testing.assert_allclose(found[0], scipy.stats.laplace(location, scale).logpdf(draws[:50]).sum(-1), rtol=1e-5)
    slopes = jax.vmap(jax.grad(lambda o, x: likelihood.log_prob(o[None, None], free, x[None])[0, 0]))(tiled[0], draws)
    np.testing.assert_allclose(slopes.var(0), likelihood.output_precision(outputs, free), rtol=0.06)
    np.testing.assert_allclose(likelihood.mean(tiled, free)[0, 0], location)
    np.testing.assert_allclose(likelihood.initial_outputs(np.ones(3), np.ones(3))[3:], np.log(0.5**0.5 + 1e-3))
