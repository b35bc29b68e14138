"""A Helmholtz machine over layers h_1 (nearest the data) .. h_L:

    p(x, h) = p(h_L) prod_l p(h_l | h_{l+1}) p(x | h_1),   q(h | x) = q(h_1 | x) prod_l q(h_{l+1} | h_l)

two chains of layers in opposite directions over the same latents. p(x | h_1) is the generative part of the parameters,
the p(h_l | h_{l+1}) are the prior's.
"""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.xla.once import jit_once
from sbvi.gradients import STANDARD, Paths
from sbvi.models.helmholtz.chain import BottomUp, TopDown
from sbvi.models.helmholtz.kinds import DATA_UNITS
from sbvi.models.helmholtz.units import Array, Layer
from sbvi.models.noise import corrupt
from sbvi.models.rollout import Noise, Rollout
from sbvi.models.values import WEIGHT_PRIORS, DataFacts, DataSummary, LatentParams, Latents, Params, Samples
from sbvi.posteriors import Moments

if TYPE_CHECKING:
    from sbvi.models.helmholtz.settings import Helmholtz


class BuiltHelmholtz:
    """Over data of D = event_size values; stochastic nodes are `layer_1` .. `layer_L`."""

    def __init__(self, spec: "Helmholtz", facts: DataFacts):
        self.spec, self.facts, self.discrete = spec, facts, spec.binary
        self.sizes = {f"layer_{level}": size for level, size in enumerate(spec.sizes(), 1)}
        self.units = dict(zip(self.sizes, spec.kinds(), strict=True))
        self.data_unit = DATA_UNITS[spec.data_units]
        self._prior = TopDown(self.units, self.sizes, spec.between)

        @jit_once  # one program in place of one for each weight, and traced once for the shapes and for the arrays
        def made(first: Array, second: Array, bias: np.ndarray | None) -> LatentParams:
            sizes = [facts.event_size, *self.sizes.values()]
            recognition = {}
            for level, (node, unit) in enumerate(self.units.items()):
                between = spec.between(sizes[level], sizes[level + 1])
                recognition[node] = unit.init(jax.random.fold_in(second, level), between, None)
            data, prior = jax.random.split(first)
            generative = self.data_unit.init(data, spec.between(sizes[1], sizes[0]), bias)
            return LatentParams(generative, recognition, self._prior.init(prior, jnp.zeros((0, facts.event_size))))

        self._made = made

    def init(self, seed: int, summary: DataSummary) -> LatentParams:
        """Small uniform weights, biases -1 in layers of 0 and 1, and the data's means at the output on request."""
        params: LatentParams = self._made(
            jax.random.key(2 * seed), jax.random.key(2 * seed + 1), self._output_bias(summary)
        )
        return params

    def _output_bias(self, summary: DataSummary) -> np.ndarray | None:
        if self.spec.output_bias == "minus_one":
            return None
        if not self.spec.binary:
            return summary.mean
        clipped = np.clip(summary.mean, 0.001, 0.999)
        return np.asarray(np.log(clipped) - np.log1p(-clipped))

    def numbers(self, examples: int) -> dict[str, float]:
        kappa = self.spec.weight_prior_variance
        return dict.fromkeys(WEIGHT_PRIORS, 1 / (kappa * examples)) if kappa else {}

    def latent_sizes(self) -> dict[str, int]:
        return dict(self.sizes)

    # The chains.

    def down(self, params: Params, level: int) -> Layer:
        """p(h_level | h_{level+1}); level 0 is x, level L has nothing above."""
        if level == 0:
            return Layer(self.data_unit, params.generative)
        node = f"layer_{level}"
        return Layer(self.units[node], params.prior[node])

    def up(self, params: Params, level: int) -> Layer:
        """q(h_level | h_{level-1}), level of 1..L."""
        node = f"layer_{level}"
        return Layer(self.units[node], params.recognition[node])

    # The recognition model.

    def posterior(self, params: Params, x: Array) -> BottomUp:
        return BottomUp({node: self.up(params, level) for level, node in enumerate(self.sizes, 1)}, x)

    def encode(self, params: Params, x: Array) -> dict[str, Moments]:
        return self.posterior(params, x).moments()

    # The generative model.

    def node_prior(self) -> TopDown:
        return self._prior

    def prior_params(self, params: Params) -> Any:
        return params.prior

    def sample(self, params: Params, key: Array, num: int) -> Samples:
        return self.sample_joint(params, key, num)[1]

    def sample_joint(self, params: Params, key: Array, num: int, dtype: Any = jnp.float32) -> tuple[Latents, Samples]:
        first, second = jax.random.split(key)
        latents = self._prior.sample(params.prior, first, num, dtype)
        return latents, self.observe(params, second, latents)

    def factorises(self) -> bool:
        return self.data_unit.factorised

    def observe(self, params: Params, key: Array, latents: Latents) -> Samples:
        lowest = latents["layer_1"]
        drawn = self.down(params, 0).draw(key, lowest, lowest.shape[:-1])
        return Samples(drawn.mean, drawn.value)

    def decode(self, params: Params, latents: Latents) -> Array:
        return self.down(params, 0).mean(latents["layer_1"])

    def log_joint(self, params: Params, latents: Latents, x: Array) -> Array:
        prior = sum(self._prior.log_prob(params.prior, latents).values())
        result: Array = self.down(params, 0).log_prob(latents["layer_1"], x) + prior
        return result

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
        """S samples of q for x (B, D), scored; gradients pass through Gaussian layers' samples, and with a temperature
        through those of Bernoulli ones."""
        q = self.posterior(params, corrupt(jax.random.fold_in(key, 1), x, noise or Noise()))
        latents = q.draw(jax.random.fold_in(key, 0), num_samples, paths.temperature)
        log_posterior = q.log_prob(latents, detached=paths.detach_posterior)
        scored = [node for node, unit in self.units.items() if unit.discrete and paths.temperature is None]
        scores = [log_posterior[node] for node in scored]
        return Rollout(
            latents=latents,
            log_likelihood=self.down(params, 0).log_prob(latents["layer_1"], x),
            log_prior=self._prior.log_prob(params.prior, latents),
            log_posterior=log_posterior,
            kl=None,
            score=sum(scores[1:], start=scores[0]) if scores else None,
        )
