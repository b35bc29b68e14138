"""A Helmholtz machine of 4 values under layers of 3 and 2, small enough to enumerate: the oracle of everything that is
estimated. Densities are written out in NumPy from the parameters, apart from the model's own code."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.models import MODELS
from sbvi.models.values import DataFacts, DataSummary

SIZES = (3, 2)
FACTS = DataFacts((4,), True, 1)
SUMMARY = DataSummary(np.zeros((2, 4)), None, np.full(4, 0.3), np.ones(4), 100)


def states(size):
    """Every row of `size` values 0 and 1, (2^size, size)."""
    return np.array(list(itertools.product((0.0, 1.0), repeat=size)))


_built = {}


def machine(seed=0, scale=1.0, **choices):
    """A model and float64 parameters that are far from any symmetry."""
    key = repr(sorted(choices.items()))
    if key not in _built:
        model = MODELS["helmholtz"](**({"layers": SIZES} | choices)).build(FACTS)
        _built[key] = model, jax.eval_shape(lambda: model.init(0, SUMMARY))
    model, shapes = _built[key]
    generator = np.random.default_rng(seed)
    return model, jax.tree.map(lambda s: jnp.asarray(generator.normal(size=s.shape) * scale), shapes)


def log_bernoulli(logits, value):
    return np.sum(value * logits - np.logaddexp(0, logits), -1)


def affine(layers, given):
    return given @ np.asarray(layers[0]["kernel"]) + np.asarray(layers[0]["bias"])


class Enumerated:
    """Tables over all x (16), h_1 (8) and h_2 (4): log p(x, h_1, h_2) and log q(h_1, h_2 | x)."""

    def __init__(self, params):
        x, one, two = states(4), states(3), states(2)
        prior, q = params.prior, params.recognition
        top = log_bernoulli(np.asarray(prior["layer_2"][0]["bias"]), two)
        middle = log_bernoulli(affine(prior["layer_1"], two)[None], one[:, None])
        bottom = log_bernoulli(affine(params.generative, one)[None], x[:, None])
        self.log_p = bottom[:, :, None] + middle[None] + top[None, None]
        first = log_bernoulli(affine(q["layer_1"], x)[:, None], one[None])
        second = log_bernoulli(affine(q["layer_2"], one)[:, None], two[None])
        self.log_q = first[:, :, None] + second[None]
        self.x, self.one, self.two = x, one, two
        #: Every pair of latents, (32, 3) and (32, 2), in the order of the flattened tables.
        self.latents = {"layer_1": np.repeat(one, 4, 0), "layer_2": np.tile(two, (8, 1))}

    @property
    def log_px(self):
        return logsumexp(self.log_p.reshape(16, -1), 1)

    @property
    def log_tilde(self):
        """log p~(x) = 2 log sum_h sqrt(p(x, h) q(h | x)), (16,)."""
        return 2 * logsumexp(0.5 * (self.log_p + self.log_q).reshape(16, -1), 1)

    @property
    def log_z2(self):
        return logsumexp(self.log_tilde, 0)

    @property
    def log_star(self):
        """log p*(x, h_1, h_2), whose marginal of x is p~ / Z^2."""
        half = 0.5 * (self.log_p + self.log_q + self.log_tilde[:, None, None])
        return half - self.log_z2


def logsumexp(values, axis):
    top = values.max(axis, keepdims=True)
    return np.squeeze(top, axis) + np.log(np.exp(values - top).sum(axis))
