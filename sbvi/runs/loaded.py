"""A trained model as an object, on NumPy arrays."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.core.placement import SINGLE
from sbvi.data import Dataset, Split
from sbvi.data.checks import not_there
from sbvi.data.recorded import recorded
from sbvi.distributions.gaussian import covariance
from sbvi.evaluation.batched import batched, map_batches
from sbvi.evaluation.pieces import fitting
from sbvi.inference.importance import Likelihood, even, importance_sampling
from sbvi.inference.imputation import impute
from sbvi.models import Paths
from sbvi.runs import runtime
from sbvi.runs.assembly import build_model, load_best_params
from sbvi.runs.directory import RunDirectory
from sbvi.runs.experiment import Experiment
from sbvi.runs.memory import check_fits

BATCH = 500


@dataclass(frozen=True)
class Encoding:
    """Moments of q(xi | x) at one stochastic node: mean (N, K), variance (N, K)."""

    mean: np.ndarray
    variance: np.ndarray


class LoadedRun:
    """A run's best parameters, ready to use.

    Data is (N, *event_shape) or (N, D), in the units of the run's data set, whatever its dtype: 0..16 for the digits.
    A model of binarized data takes 0 and 1, or grey values that it binarizes by the run's own rule, and gives
    probabilities. Latents are a dict from node to (N, K), or one
    array for a model with a single node. Everything is in nats.
    """

    def __init__(self, folder: Path | str, data_path: str | None = None):
        """data_path: where the run's data is now, if it has moved."""
        self.directory = RunDirectory(folder)
        record = self.directory.read_run()
        self.experiment = Experiment.from_config(record["config"])
        if data_path is not None:
            self.experiment = moved(self.experiment, data_path)
        # On whatever is at hand: a run of eight GPUs is read on a laptop.
        runtime.apply(replace(self.experiment.runtime, platform="auto", devices=1, distributed=False))
        self.data = record["data"]
        self.event_shape = _event_shape(self.data.get("event_shape"), self.directory.path)
        dequantize = bool(getattr(self.experiment.likelihood, "dequantize", False))
        self.preprocessing = recorded(self.data, self.event_shape, self.experiment.dataset, dequantize)
        check_fits(self.experiment, self.event_shape)
        self.model = build_model(self.experiment, self.event_shape)
        self.params = load_best_params(self.model, self.directory.checkpoints)
        self._encode = jax.jit(self._moments)
        self._decode = jax.jit(self.model.decode)
        self._sample = jax.jit(self.model.sample, static_argnums=2)
        self._estimates: dict[int, Any] = {}

    @property
    def nodes(self) -> dict[str, int]:
        """Stochastic nodes and their sizes, the one nearest the data first."""
        return dict(self.model.nodes)

    def encode(self, x: np.ndarray) -> dict[str, Encoding]:
        """Posterior moments of every node."""
        return self.moments(self.checked(x))

    def moments(self, inputs: np.ndarray) -> dict[str, Encoding]:
        """Posterior moments of every node for model input (N, D), such as `Dataset.seen` gives."""
        found = self._batches(lambda part, _: self._encode(self.params, part), inputs)
        return {node: Encoding(*moments) for node, moments in found.items()}

    def covariances(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Dense posterior covariances, node -> (N, K, K): for small N and K."""
        posteriors = self.model.encode(self.params, jnp.asarray(self.checked(x)))
        return {node: np.asarray(covariance(q)) for node, q in posteriors.items()}

    def decode(self, latents: np.ndarray | dict[str, np.ndarray]) -> np.ndarray:
        """E[x | latents], (N, *event_shape)."""
        checked = self._checked_latents(latents)
        found = self._batches(lambda part, _: self._decode(self.params, part), checked)
        return self.preprocessing.to_source(np.asarray(found)).reshape(-1, *self.event_shape)

    def reconstruct(self, x: np.ndarray) -> np.ndarray:
        """E[x | xi] at the posterior means, (N, *event_shape)."""
        return self.decode({node: found.mean for node, found in self.encode(x).items()})

    def sample(self, num: int, seed: int = 0, *, means: bool = False) -> np.ndarray:
        """Draws from the generative model, or their means E[x | xi]; (num, *event_shape)."""
        if num < 1:
            raise UserError(f"num={num} must be at least 1.")
        found = self._sample(self.params, jax.random.key(seed), num)
        return self.preprocessing.to_source(np.asarray(found[0 if means else 1])).reshape(-1, *self.event_shape)

    def elbo(self, x: np.ndarray, num_samples: int = 1, seed: int = 1) -> np.ndarray:
        """The evidence lower bound, the mean of log p(x, xi) - log q(xi | x), (N,)."""
        return np.asarray(self._estimate(x, num_samples, seed).elbo)

    def log_likelihood(self, x: np.ndarray, num_samples: int = 500, seed: int = 1) -> np.ndarray:
        """log p(x) by importance sampling, (N,): a lower bound in expectation, tight for many samples."""
        return np.asarray(self._estimate(x, num_samples, seed).log_likelihood)

    def impute(self, x: np.ndarray, iterations: int = 100, warmup: int = 20, seed: int = 1) -> np.ndarray:
        """x with NaN where a value is missing, filled with posterior means by the exact chain; same shape."""
        if not 0 <= warmup < iterations:
            raise UserError(f"warmup={warmup} must be at least 0 and less than iterations={iterations}.")
        values = np.asarray(x)
        missing = not_there(values)
        known = self.preprocessing.to_model(values, "x", missing)
        chain = jax.jit(lambda params, key, part, m: impute(self.model, params, key, part, m, iterations, warmup))
        key = jax.random.key(seed)

        def filled(part: tuple[jax.Array, jax.Array], position: int) -> jax.Array:
            found = chain(self.params, jax.random.fold_in(key, position), *part)
            return jnp.where(part[1], jnp.mean(found.means[warmup:], 0), part[0])

        found = np.asarray(self._batches(filled, (known, missing)))
        return self.preprocessing.filled(found, missing, values.reshape(found.shape)).reshape(values.shape)

    def _estimate(self, x: np.ndarray, num_samples: int, seed: int) -> Likelihood:
        if num_samples < 1:
            raise UserError(f"num_samples={num_samples} must be at least 1.")
        split, settings = Split(self.preprocessing.own(x)), self.experiment.evaluation
        own = Dataset("x", split, split, split, self.preprocessing)
        if num_samples not in self._estimates:  # as the evaluator makes it, so that the numbers are the same
            chunk = even(num_samples, settings.chunk)
            paths = Paths(rule=fitting(chunk, settings.batch_size, SINGLE))
            estimate = importance_sampling(partial(self.model.rollout, paths=paths), num_samples, chunk)
            self._estimates[num_samples] = map_batches(estimate, own)
        found: Likelihood = self._estimates[num_samples](
            self.params, jax.random.key(seed), batched(own, "test", settings.batch_size)
        )
        return found

    def _moments(self, params: Any, x: jax.Array) -> dict[str, tuple[jax.Array, jax.Array]]:
        return {node: (q.mean, q.variance()) for node, q in self.model.encode(params, x).items()}

    def _batches(self, function: Any, values: Any) -> Any:
        """Apply a compiled function to at most BATCH rows at a time."""
        count = len(jax.tree.leaves(values)[0])
        found = []
        for start in range(0, count, BATCH):
            part = jax.tree.map(lambda v, s=start: jnp.asarray(v[s : s + BATCH]), values)
            found.append(jax.device_get(function(part, start // BATCH)))
        return jax.tree.map(lambda *parts: np.concatenate(parts), *found)

    def checked(self, x: np.ndarray) -> np.ndarray:
        """Source values as model input, float32 (N, D)."""
        return self.preprocessing.to_model(x)

    def _checked_latents(self, latents: np.ndarray | dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not isinstance(latents, dict):
            if len(self.nodes) != 1:
                raise UserError(f"latents must be a dict with the nodes {', '.join(self.nodes)}.")
            latents = {next(iter(self.nodes)): latents}
        if set(latents) != set(self.nodes):
            raise UserError(f"latents has the nodes {', '.join(latents)}; it must have {', '.join(self.nodes)}.")
        found = {}
        for node, size in self.nodes.items():
            value = np.asarray(latents[node], np.float32)
            if value.ndim != 2 or value.shape[1] != size:
                raise UserError(f"latents[{node!r}] has shape {value.shape}; it must be (N, {size}).")
            found[node] = value
        if len({len(value) for value in found.values()}) != 1 or not len(next(iter(found.values()))):
            raise UserError("latents must have the same number of rows, at least one, at every node.")
        return found


def _event_shape(found: Any, folder: Path) -> tuple[int, ...]:
    if not isinstance(found, list) or not found or not all(type(n) is int and n > 0 for n in found):
        raise UserError(f"{folder}: run.json gives the event shape {found}; it must be a list of positive sizes.")
    return tuple(found)


def moved(experiment: Experiment, data_path: str) -> Experiment:
    """The experiment with its data at another place.

    Raises:
      UserError: its data is not a file of the user's.
    """
    if not hasattr(experiment.dataset, "path"):
        raise UserError(f"dataset.path={data_path} is for runs on files of one's own, and this run's data has no path.")
    return replace(experiment, dataset=replace(experiment.dataset, path=str(data_path)))


def load_run(folder: Path | str, data_path: str | None = None) -> LoadedRun:
    """The trained model of a run directory; see `LoadedRun`."""
    return LoadedRun(folder, data_path)
