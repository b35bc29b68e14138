"""Encoders and decoders of a loaded run on NumPy arrays, for models with latent variables."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError, seed_of
from sbvi.data.checks import finite, unmasked
from sbvi.distributions.gaussian import covariance
from sbvi.models.capabilities import Encoder, GaussianRecognition, LatentVariable
from sbvi.runs.parts import means as means_of
from sbvi.runs.parts.part import Part


@dataclass(frozen=True)
class Encoding:
    """Moments of q(z | x) at one stochastic node: mean (N, K), of discrete latents the probability; variance (N, K).

    error: variance of the mean as an estimate, (N, K): 0 where it is exact, else of the 64 samples it is made of, 32 of
      a Helmholtz machine's.
    """

    mean: np.ndarray
    variance: np.ndarray
    error: np.ndarray


class Encodings(Part):
    """What `LoadedRun` offers of them. x is (N, *event_shape) or (N, D), in the units of the run's data set; latents
    are a dict from node to (N, K), or one array for a model with a single node."""

    @abstractmethod
    def checked(self, x: np.ndarray) -> np.ndarray: ...

    @property
    def nodes(self) -> dict[str, int]:
        """Stochastic nodes and their sizes, the one nearest the data first."""
        return dict(self._able(LatentVariable, "nodes").latent_sizes())

    def encode(self, x: np.ndarray) -> dict[str, Encoding]:
        """Posterior moments of every node."""
        return encodings(self, self.checked(x))

    def covariances(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Dense posterior covariances, node -> (N, K, K): for small N and K, and Gaussian posteriors."""
        gaussians = self._able(GaussianRecognition, "covariances").gaussians(self.params, jnp.asarray(self.checked(x)))
        return {node: np.asarray(covariance(q)) for node, q in gaussians.items()}

    def decode(self, latents: np.ndarray | dict[str, np.ndarray], draw: int | None = None) -> np.ndarray:
        """E[x | latents], (N, *event_shape); or with the seed `draw` a draw of x.

        Means of a table's positive columns are no greater than the greatest training value; of categories mean codes.
        """
        model, checked = self._able(LatentVariable, "decode"), self._checked_latents(latents)
        if draw is None:
            decode = self._jitted("decode", means_of.given_latents(model, self.preprocessing))
            decoded = self._batches(lambda part, _: decode(self.params, part), checked)
            return means_of.to_source(np.asarray(decoded), self.preprocessing).reshape(-1, *self.event_shape)
        observe, key = self._jitted("observe", model.observe), jax.random.key(seed_of(draw, "draw"))
        fold = jax.random.fold_in
        decoded = self._batches(lambda part, i: observe(self.params, fold(key, i), part).value, checked)
        return self.preprocessing.to_source(np.asarray(decoded)).reshape(-1, *self.event_shape)

    def reconstruct(self, x: np.ndarray) -> np.ndarray:
        """E[x | z] at the posterior means, (N, *event_shape)."""
        self._able(Encoder, "reconstruct")
        return self.decode({node: encoding.mean for node, encoding in self.encode(x).items()})

    def _checked_latents(self, latents: np.ndarray | dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not isinstance(latents, dict):
            if len(self.nodes) != 1:
                raise UserError(f"latents must be a dict with the nodes {', '.join(self.nodes)}.")
            latents = {next(iter(self.nodes)): latents}
        if set(latents) != set(self.nodes):
            raise UserError(f"latents has the nodes {', '.join(latents)}; it must have {', '.join(self.nodes)}.")
        checked = {}
        for node, size in self.nodes.items():
            checked[node] = _numbers(latents[node], size, f"latents[{node!r}]")
        if len({len(value) for value in checked.values()}) != 1 or not len(next(iter(checked.values()))):
            raise UserError("latents must have the same number of rows, at least one, at every node.")
        return checked


def encodings(run: Encodings, inputs: np.ndarray) -> dict[str, Encoding]:
    """Posterior moments of every node for what a run's model takes as it is, (N, D), such as `Dataset.seen` gives."""
    encode = run._jitted("encode", run._able(Encoder, "encode").encode)
    moments = run._batches(lambda part, _: encode(run.params, part), inputs)
    return {node: Encoding(*pair) for node, pair in moments.items()}


def _numbers(values: Any, size: int, where: str) -> np.ndarray:
    """Latents of one node, (N, size) float32.

    Raises:
      UserError: they are moments, or no such array of finite numbers.
    """
    if isinstance(values, Encoding):
        raise UserError(f"{where} is an Encoding, of moments; give its mean.")
    x = unmasked(values, where)
    if x.dtype.kind not in "buif" or x.ndim != 2 or x.shape[1] != size:
        raise UserError(f"{where} has shape {x.shape} and dtype {x.dtype}; it must be numbers (N, {size}).")
    with np.errstate(over="ignore"):
        made = x.astype(np.float32)
    finite(x, where)
    return finite(made, where, source=x)
