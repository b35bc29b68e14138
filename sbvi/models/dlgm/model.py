"""The deep latent Gaussian model and its recognition model (PAPER sections 1 and 3).

Inference is in the space of the noise xi ("non-centred"): the hierarchy lives in the deterministic map from xi to the
likelihood's outputs, and the prior of xi is the paper's N(0, I) unless another is chosen.
"""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbvi.core import UserError
from sbvi.core.xla.random_bits import normal
from sbvi.distributions.gaussian import Gaussian
from sbvi.distributions.priors import Prior, whole
from sbvi.gradients import STANDARD, Paths
from sbvi.models.dlgm.generative import GenerativeHalf
from sbvi.models.dlgm.networks import Networks, likelihood_of
from sbvi.models.noise import corrupt, hidden
from sbvi.models.rollout import Noise, Rollout, each_scored
from sbvi.models.values import Array, DataFacts, DataSummary, LatentParams, Latents, Params
from sbvi.posteriors import Conditional, Moments
from sbvi.posteriors.posterior import ReadsLayers
from sbvi.posteriors.whole import conditional, divergence, nodewise, sampled
from sbvi.posteriors.whole import whole as whole_posterior

if TYPE_CHECKING:
    from sbvi.models.dlgm.settings import DLGM


class BuiltDLGM(GenerativeHalf):
    """A DLGM over data of one shape, D = event_size values: pure functions of parameters, a key and data.

    Stochastic nodes are the posterior's: `layer_1` (nearest the data) .. `layer_L`, or `joint`.
    """

    def __init__(self, spec: "DLGM", facts: DataFacts):
        self.spec, self.facts = spec, facts
        self.likelihood = likelihood_of(spec.likelihood, facts)
        self.discrete = self.likelihood.discrete
        networks = self._networks = Networks(spec, facts, self.likelihood)
        made = spec.posterior.build(spec.latents, spec.initial_posterior_scale, networks.recognition)
        self._posterior: Any = whole_posterior(made, spec.posterior)
        self._prior: Prior = whole(spec.prior.build(self._posterior.nodes))
        if facts.table is not None and self._prior.inputs:
            raise UserError(
                "prior=vamp learns inputs of its own, and a table by column has none to learn; use prior=flow."
            )
        self._inside = self.likelihood.binary or facts.levels is not None  # inputs are within [0, 1]
        self._graph = networks.graph()
        self._first_params = networks.first_params(self._posterior)

    def init(self, seed: int, summary: DataSummary) -> LatentParams:
        """Glorot-uniform weights, output biases at the data's means."""
        rows = np.linspace(0, len(summary.x) - 1, self._prior.inputs).round().astype(int)
        inputs = summary.x[rows].astype(np.float32)
        if self._inside:
            inner = 0.05 + 0.9 * inputs  # where a sigmoid has a slope
            inputs = np.log(inner) - np.log1p(-inner)

        first, second = jax.random.key(2 * seed), jax.random.key(2 * seed + 1)

        def of_prior(first: Array) -> Any:  # draws normal numbers
            return self._prior.init(jax.random.fold_in(first, 1), jnp.asarray(inputs))

        prior = jax.eval_shape(of_prior, first)
        prior = jax.jit(of_prior)(first) if jax.tree.leaves(prior) else prior
        outputs, free = self._networks.first_outputs(summary.mean, summary.spread)
        return LatentParams(*self._first_params(first, second, outputs, free), prior)

    def numbers(self, examples: int) -> dict[str, float]:
        kappa = self.spec.weight_prior_variance
        return {
            "bit_flip": self.spec.bit_flip,
            "dropout": self.spec.input_dropout,
            "latent": self.spec.latent_noise,
            "missing": self.spec.extra_missing,
            "units": self.spec.hidden_dropout,
            "prior_precision": 1 / (kappa * examples) if kappa else 0.0,
        }

    def latent_sizes(self) -> dict[str, int]:
        return dict(self._posterior.nodes)

    # The recognition model.

    def _seen(self, x: Array) -> Array:
        """What the recognition network reads of x (B, D)."""
        return x if self.facts.table is None else self.likelihood.read(x, self.spec.missing_inputs)

    def encode(self, params: Params, x: Array) -> dict[str, Moments]:
        q = self.posterior(params, x)
        found: dict[str, Moments] = nodewise(q.moments(), q, "moments", self._posterior.nodes, x.shape[:1])
        return found

    def posterior(self, params: Params, x: Array) -> Conditional:
        return self._given(params, self._seen(x))

    def _given(self, params: Params, seen: Array, thinning: tuple[Array, Array] | None = None) -> Conditional:
        q = conditional(self._posterior.given(params.recognition, seen), self._posterior)
        if not isinstance(q, ReadsLayers):
            return q

        def layer_given(generative: Any, level: int, above: Array) -> tuple[Array, Array | None]:
            found: tuple[Array, Array | None] = nnx.merge(self._graph, generative).layer_given(level, above, thinning)
            return found

        return q.with_layers(layer_given, params.generative)

    def noisy_posterior(self, params: Params, key: Array, x: Array, noise: Noise) -> Conditional:
        seen = corrupt(jax.random.fold_in(key, 1), self._seen(hidden(key, x, noise)), noise)
        return self._given(params, seen, _thinning(key, noise))

    # Both.

    def rollout(
        self,
        params: Params,
        key: Array,
        x: Array,
        num_samples: int,
        *,
        noise: Noise | None = None,
        paths: Paths = STANDARD,
    ) -> Rollout:
        """Sample xi ~ q(xi | x) S times for x (B, D) and score everything; see `Rollout`.

        With noise, the samples are scored where the noise put them, while the KL stays q's own.
        """
        noise = noise or Noise()
        q, x = self.noisy_posterior(params, key, x, noise), hidden(key, x, noise)

        def moved(points: Latents) -> Latents:
            if noise.latent is not None:
                keys = jax.random.split(jax.random.fold_in(key, 2), len(points))
                points = {
                    n: p + noise.latent * normal(k, p.shape, p.dtype)
                    for k, (n, p) in zip(keys, points.items(), strict=True)
                }
            return points

        f = self.expected(params, x, moved, _thinning(key, noise))
        drawn = q.sample(jax.random.fold_in(key, 0), num_samples, f, paths)
        draws = sampled(drawn, q, self._posterior.nodes, num_samples, x.shape[0])
        points = moved(draws.latents)
        scored = draws.log_posterior
        if scored is None or noise.latent is not None:
            scored = q.log_prob(points, detached=paths.detach_posterior)
        prepared = self.prior_params(params)
        rollout = Rollout(
            latents=points,
            log_likelihood=draws.values,
            log_prior=self._prior.log_prob(prepared, points),
            log_posterior=scored,
            kl=divergence(q.kl(self._prior, prepared), q, self._prior, self._posterior.nodes, x.shape[0]),
            gate=draws.gate,
        )
        return each_scored(rollout, num_samples, x.shape[0])


def _thinning(key: Array, noise: Noise) -> tuple[Array, Array] | None:
    """What says which units of the generative network are left out."""
    return None if noise.units is None else (jax.random.fold_in(key, 4), noise.units)


class GaussianDLGM(BuiltDLGM):
    """One whose posterior is a product of Gaussians."""

    def gaussians(self, params: Params, x: Array) -> dict[str, Gaussian]:
        gaussians: dict[str, Gaussian] = self._posterior.given(params.recognition, self._seen(x)).rows()
        return gaussians

    def recognise(self, params: Params, x: Array) -> dict[str, Array]:
        raw: dict[str, Array] = self._posterior.recognise(params.recognition, self._seen(x))
        return raw

    def posteriors(self, raw: dict[str, Array]) -> dict[str, Gaussian]:
        gaussians: dict[str, Gaussian] = self._posterior.posteriors(raw)
        return gaussians
