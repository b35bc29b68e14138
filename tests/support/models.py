"""Models of one data shape, and what objectives see of them, without data sets or configs."""

import jax.numpy as jnp
import numpy as np

from sbvi.data import Batch
from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.models import DLGM
from sbvi.models.values import DataFacts, DataSummary
from sbvi.objectives import View
from sbvi.posteriors import POSTERIORS


def chosen(registry, entry):
    return registry[entry]() if isinstance(entry, str) else entry


def dlgm(shape, likelihood="bernoulli", posterior="diagonal", **choices):
    """A DLGM over data of this shape."""
    likelihood = chosen(LIKELIHOODS, likelihood)
    levels = getattr(likelihood, "levels", None)
    spec = DLGM(likelihood=likelihood, posterior=chosen(POSTERIORS, posterior), **choices)
    return spec.build(DataFacts(tuple(shape), likelihood.binary, levels))


def summary(mean, spread, examples=100):
    """Of data with these means and standard deviations, (D,)."""
    mean = np.asarray(mean)
    return DataSummary(np.repeat(mean[None], 2, 0), None, mean, np.asarray(spread), examples)


def batch(x, label=None):
    """x (B, D) as a batch of real examples."""
    index = jnp.arange(len(x), dtype=jnp.int32)
    return Batch(x, index, jnp.ones(len(x), x.dtype), label)


def view(model, params, key, x, noise=None):
    """What an objective sees of a model on x."""
    return View(model, params, key, batch(x), noise)
