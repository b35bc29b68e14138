"""Likelihoods and bounds of a loaded run, on NumPy arrays: the numbers that evaluation tells."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import at_least_one, seed_of
from sbvi.core.errors import COUNTED
from sbvi.core.placement import SINGLE
from sbvi.data import Dataset, Split
from sbvi.data.checks import not_there, unmasked
from sbvi.evaluation.batched import Batches, batched, map_batches
from sbvi.evaluation.pieces import fitting
from sbvi.evaluation.quadrature import Quadrature, floor_of
from sbvi.evaluation.sharing import by_core
from sbvi.evaluation.trust import few_effective
from sbvi.gradients import Paths
from sbvi.inference.importance import Likelihood, even, importance_sampling
from sbvi.inference.quadrature import serves
from sbvi.models import require_any
from sbvi.models.capabilities import Density, LatentVariable, Marginals, offers
from sbvi.models.values import impossible
from sbvi.runs.experiment import Experiment
from sbvi.runs.parts.part import Part


class Scores(Part):
    """What `LoadedRun` offers of them. x is (N, *event_shape) or (N, D), in the units of the run's data set.

    seed: of the draws; by default that of the run's evaluation, `evaluation.seed`.
    """

    experiment: Experiment

    def elbo(self, x: np.ndarray, num_samples: int = 1, seed: int | None = None) -> np.ndarray:
        """The evidence lower bound, the mean of log p(x, z) - log q(z | x), (N,)."""
        self._able(LatentVariable, "elbo")
        return np.asarray(self._estimate(self._own(x), num_samples, seed).elbo)

    def log_likelihood(self, x: np.ndarray, num_samples: int = 500, seed: int | None = None) -> np.ndarray:
        """log p(x), (N,): exact where the model knows it, with NaN summed out where it knows marginals; by quadrature
        of one or two continuous latents, which heeds what samples show; else by importance sampling, which is a lower
        bound in expectation and tight for many samples. -inf of what a model that knows it gives probability 0."""
        require_any(self.model, [[Density], [LatentVariable]], "log_likelihood()")
        values = unmasked(self.preprocessing.arranged(x), "x")
        if values.dtype.kind == "f" and np.isnan(values).any() and offers(self.model, Marginals):
            return self.marginal_log_likelihood(values, seed)
        own, batches = self._own(values)
        if offers(self.model, Density):
            return self._exact((own, batches), seed)
        sampled = self._estimate((own, batches), num_samples, seed)
        if not serves(self.model):
            few_effective("log_likelihood()", np.asarray(sampled.effective), num_samples, "num_samples")
            return np.asarray(sampled.log_likelihood)
        if "quadrature" not in self._compiled:
            self._compiled["quadrature"] = Quadrature(self.model, own)
        least = floor_of(np.asarray(sampled.log_likelihood), np.asarray(sampled.effective))
        log_p: np.ndarray = self._compiled["quadrature"](self.params, self._key(seed), batches, least)["log_likelihood"]
        return log_p

    def marginal_log_likelihood(self, x: np.ndarray, seed: int | None = None) -> np.ndarray:
        """log p of what is not NaN, the rest summed out, (N,), nats; of a complete row what `log_likelihood` gives, bit
        for bit the same whether or not other rows have gaps."""
        self._able(Marginals, "marginal_log_likelihood")
        x = self.preprocessing.arranged(x)
        missing = not_there(x)
        return self._marginal(self.preprocessing.own(x, "x", missing), missing, seed)

    def _marginal(self, held: np.ndarray, missing: np.ndarray, seed: int | None) -> np.ndarray:
        """log p of what of values as evaluation sees them, (N, ...), is not missing, (N, D), the rest summed out."""
        model = self._able(Marginals, "marginal_log_likelihood")
        complete = ~missing.any(1)
        if complete.all() and offers(model, Density):
            return self._exact(self._in_batches(held), seed)

        def marginal(params: Any, _: jax.Array, held: jax.Array) -> jax.Array:
            seen = ~jnp.isnan(held)
            log_p: jax.Array = model.marginal_log_prob(params, jnp.where(seen, held, jnp.zeros_like(held)), seen).value
            return log_p

        # NaN all the way into the program, past the noise of dequantised values, which is that of complete rows.
        gaps = self._in_batches(np.where(missing, np.float32(np.nan), held.reshape(missing.shape).astype(np.float32)))
        log_p = told(self._scored("marginal", marginal, gaps, seed))
        if complete.any() and offers(model, Density):
            return np.where(complete, self._exact(self._in_batches(held), seed), log_p)
        return log_p

    def _exact(self, own: tuple[Dataset, Batches], seed: int | None) -> np.ndarray:
        """log p(x), (N,), of a model that knows it."""
        return told(self._scored("log_prob", lambda *given: self.model.log_prob(*given).value, own, seed))

    def _key(self, seed: int | None) -> jax.Array:
        return jax.random.key(self.experiment.evaluation.seed if seed is None else seed_of(seed))

    def _estimate(self, own: tuple[Dataset, Batches], num_samples: int, seed: int | None) -> Likelihood:
        num_samples = at_least_one(num_samples, "num_samples", COUNTED)
        model, settings = self._able(LatentVariable, "log_likelihood"), self.experiment.evaluation
        single = by_core(len(own[1].x), SINGLE)
        chunk = even(num_samples, settings.chunk)  # as the evaluator does, so that the numbers are the same
        paths = Paths(rule=fitting(chunk, settings.batch_size, single))
        estimate = importance_sampling(partial(model.rollout, paths=paths), num_samples, chunk)
        estimated: Likelihood = self._scored(("likelihood", num_samples, single), estimate, own, seed)
        return estimated

    def _scored(self, name: Any, function: Any, own: tuple[Dataset, Batches], seed: int | None) -> Any:
        """A function of (params, key, model input) over the user's values, as evaluation scores a split."""
        dataset, batches = own
        if name not in self._compiled:
            self._compiled[name] = map_batches(
                lambda params, key, batch: function(params, key, batch.x), dataset, what="likelihood"
            )
        return self._compiled[name](self.params, self._key(seed), batches)

    def _own(self, x: np.ndarray) -> tuple[Dataset, Batches]:
        """The user's values as a data set, and in batches as evaluation makes them; see `Preprocessing.own`."""
        return self._in_batches(self.preprocessing.own(x, "x"))

    def _in_batches(self, held: np.ndarray) -> tuple[Dataset, Batches]:
        split = Split(held)
        own = Dataset("x", split, split, split, self.preprocessing)
        return own, batched(own, "test", self.experiment.evaluation.batch_size)


def told(log_p: np.ndarray) -> np.ndarray:
    """log p, (N,), with -inf for the logarithm of 0."""
    return np.where(impossible(log_p), -np.inf, log_p)
