"""A trained model as an object, on NumPy arrays."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.distributions.gaussian import covariance
from sbvi.inference.importance import Likelihood, importance_sampling
from sbvi.inference.imputation import impute
from sbvi.models import require
from sbvi.models.api import (
    DataFacts,
    Density,
    Encoder,
    GaussianRecognition,
    Generative,
    LatentVariable,
    offers,
)
from sbvi.runs import runtime
from sbvi.runs.assembly import load_best_params
from sbvi.runs.directory import RunDirectory
from sbvi.runs.experiment import Experiment
from sbvi.runs.memory import check_fits

BATCH = 500


@dataclass(frozen=True)
class Encoding:
    """Moments of q(z | x) at one stochastic node: mean (N, K), of discrete latents the probability; variance (N, K)."""

    mean: np.ndarray
    variance: np.ndarray


class LoadedRun:
    """A run's best parameters, ready to use.

    Data is (N, *event_shape) or (N, D): floats on the model's scale ([0, 1] for images, 0 or 1 for
    binary models), or uint8 as stored in the data set. Latents are a dict from node to (N, K), or one
    array for a model with a single node. Everything is in nats. What a model cannot do is refused in a sentence.
    """

    def __init__(self, folder: Path | str):
        self.directory = RunDirectory(folder)
        record = self.directory.read_run()
        self.experiment = Experiment.from_config(record["config"])
        # On whatever is at hand: a run of eight GPUs is read on a laptop.
        runtime.apply(replace(self.experiment.runtime, platform="auto", devices=1, distributed=False))
        self.data = record["data"]
        self.event_shape = _event_shape(self.data.get("event_shape"), self.directory.path)
        facts = DataFacts(
            self.event_shape, bool(self.data["binary"]), self.data["levels"], int(self.data.get("classes", 0))
        )
        self.model = self.experiment.model.build(facts, record.get("structure"))
        check_fits(self.experiment, self.model)
        self.params = load_best_params(self.model, self.directory.checkpoints)
        self._compiled: dict[Any, Any] = {}

    def offers(self, capability: type) -> bool:
        """Whether the model has a capability of `sbvi.models.api`."""
        return offers(self.model, capability)

    @property
    def nodes(self) -> dict[str, int]:
        """Stochastic nodes and their sizes, the one nearest the data first."""
        return dict(self._able(LatentVariable, "nodes").latent_sizes())

    def encode(self, x: np.ndarray) -> dict[str, Encoding]:
        """Posterior moments of every node."""
        encode = self._jitted("encode", self._able(Encoder, "encode").encode)
        moments = self._batches(lambda part, _: encode(self.params, part), self.checked(x))
        return {node: Encoding(*pair) for node, pair in moments.items()}

    def covariances(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Dense posterior covariances, node -> (N, K, K): for small N and K, and Gaussian posteriors."""
        gaussians = self._able(GaussianRecognition, "covariances").gaussians(self.params, jnp.asarray(self.checked(x)))
        return {node: np.asarray(covariance(q)) for node, q in gaussians.items()}

    def decode(self, latents: np.ndarray | dict[str, np.ndarray]) -> np.ndarray:
        """E[x | latents], (N, *event_shape)."""
        decode = self._jitted("decode", self._able(LatentVariable, "decode").decode)
        decoded = self._batches(lambda part, _: decode(self.params, part), self._checked_latents(latents))
        return np.asarray(decoded).reshape(-1, *self.event_shape)

    def reconstruct(self, x: np.ndarray) -> np.ndarray:
        """E[x | z] at the posterior means, (N, *event_shape)."""
        return self.decode({node: encoding.mean for node, encoding in self.encode(x).items()})

    def sample(self, num: int, seed: int = 0, *, means: bool = False) -> np.ndarray:
        """Draws from the generative model, or their means given what was drawn before; (num, *event_shape)."""
        if num < 1:
            raise UserError(f"num={num} must be at least 1.")
        if "sample" not in self._compiled:
            model = self._able(Generative, "sample")
            self._compiled["sample"] = jax.jit(model.sample, static_argnums=2)
        drawn = self._compiled["sample"](self.params, jax.random.key(seed), num)
        return np.asarray(drawn.mean if means else drawn.value).reshape(-1, *self.event_shape)

    def elbo(self, x: np.ndarray, num_samples: int = 1, seed: int = 1) -> np.ndarray:
        """The evidence lower bound, the mean of log p(x, z) - log q(z | x), (N,)."""
        self._able(LatentVariable, "elbo")
        return np.asarray(self._estimate(x, num_samples, seed).elbo)

    def log_likelihood(self, x: np.ndarray, num_samples: int = 500, seed: int = 1) -> np.ndarray:
        """log p(x), (N,): exact where the model knows it, else by importance sampling, which is a lower bound in
        expectation and tight for many samples."""
        if offers(self.model, Density):
            log_prob = self._jitted("log_prob", self.model.log_prob)
            key = jax.random.key(seed)
            scored = self._batches(lambda part, _: log_prob(self.params, key, part), self.checked(x))
            return np.asarray(scored.value)
        return np.asarray(self._estimate(x, num_samples, seed).log_likelihood)

    def impute(self, x: np.ndarray, iterations: int = 100, warmup: int = 20, seed: int = 1) -> np.ndarray:
        """x with NaN where a value is missing, filled with conditional means: exact ones where the model knows them,
        else by the exact chain; same shape."""
        if not 0 <= warmup < iterations:
            raise UserError(f"warmup={warmup} must be at least 0 and less than iterations={iterations}.")
        values = np.asarray(x, np.float32)
        missing = np.isnan(values).reshape(len(values), -1)
        known = self.checked(np.where(np.isnan(values), np.float32(0), values))
        chain = self._jitted(
            ("impute", iterations, warmup),
            lambda params, key, part, m: impute(self.model, params, key, part, m, iterations, warmup),
        )
        key = jax.random.key(seed)

        def filled(part: tuple[jax.Array, jax.Array], position: int) -> jax.Array:
            means = chain(self.params, jax.random.fold_in(key, position), *part).means
            return jnp.where(part[1], jnp.mean(means[warmup:], 0), part[0])

        return np.asarray(self._batches(filled, (known, missing))).reshape(values.shape)

    def _able(self, capability: type, what: str) -> Any:
        return require(self.model, capability, f"{what}()")

    def _jitted(self, name: Any, function: Any) -> Any:
        if name not in self._compiled:
            self._compiled[name] = jax.jit(function)
        return self._compiled[name]

    def _estimate(self, x: np.ndarray, num_samples: int, seed: int) -> Likelihood:
        if num_samples < 1:
            raise UserError(f"num_samples={num_samples} must be at least 1.")
        checked = self.checked(x)
        model = self._able(LatentVariable, "log_likelihood")
        estimate = importance_sampling(model.rollout, num_samples, self.experiment.evaluation.chunk)
        estimate = self._jitted(("likelihood", num_samples), estimate)
        key = jax.random.key(seed)
        estimated: Likelihood = self._batches(
            lambda part, position: estimate(self.params, jax.random.fold_in(key, position), part), checked
        )
        return estimated

    def _batches(self, function: Any, values: Any) -> Any:
        """Apply a compiled function to at most BATCH rows at a time."""
        count = len(jax.tree.leaves(values)[0])
        found = []
        for start in range(0, count, BATCH):
            part = jax.tree.map(lambda v, s=start: jnp.asarray(v[s : s + BATCH]), values)
            found.append(jax.device_get(function(part, start // BATCH)))
        return jax.tree.map(lambda *parts: np.concatenate(parts), *found)

    def checked(self, x: np.ndarray) -> np.ndarray:
        """x as float32 (N, D) on the model's scale."""
        x = np.asarray(x)
        size = self.model.facts.event_size
        if x.shape[1:] not in (self.event_shape, (size,)) or len(x) == 0:
            raise UserError(f"x has shape {x.shape}; it must be (N, {', '.join(map(str, self.event_shape))}), N > 0.")
        if x.dtype.kind not in "buif":
            raise UserError(f"x has dtype {x.dtype}; it must be numeric.")
        flat = x.reshape(len(x), size).astype(np.float32)
        if not np.isfinite(flat).all():
            raise UserError("x holds values that are NaN or infinite.")
        if self.data["binary"]:
            if not ((flat == 0) | (flat == 1)).all():
                raise UserError("x must hold only 0 and 1: this model is of binary data; binarize it first.")
        elif x.dtype == np.uint8 and self.data["levels"]:
            flat = flat / np.float32(self.data["levels"])
        return flat

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


def load_run(folder: Path | str) -> LoadedRun:
    """The trained model of a run directory; see `LoadedRun`."""
    return LoadedRun(folder)
