"""The generative half of a deep latent Gaussian model (PAPER section 1): from the layers' noise to data."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx

from sbvi.distributions.gaussian import Gaussian
from sbvi.distributions.likelihoods.likelihood import mean_and_draw
from sbvi.distributions.priors import Prior, drawn
from sbvi.gradients import Composite
from sbvi.models.dlgm.stack import check_outputs, stack
from sbvi.models.values import Affine, Array, DataFacts, Latents, Params, Samples

if TYPE_CHECKING:
    from sbvi.models.dlgm.settings import DLGM


class GenerativeHalf:
    """p(x, xi) of the parameters and latents by node, drawn from or scored; beside it a model has a posterior's nodes.

    Of a table its columns are asked for one by one, and those with gaps are left out by the likelihood.
    """

    spec: "DLGM"
    facts: DataFacts
    likelihood: Any
    _posterior: Any
    _prior: Prior
    _graph: Any
    _inside: bool

    def noises(self, latents: Latents) -> Sequence[Array]:
        """xi_1 .. xi_L from the nodes' latents."""
        if list(latents) == ["joint"]:
            ends = [sum(self.spec.latents[: i + 1]) for i in range(len(self.spec.latents) - 1)]
            return jnp.split(latents["joint"], ends, axis=-1)
        return [latents[node] for node in self._posterior.nodes]

    def outputs(self, params: Params, latents: Latents) -> tuple[Array, Array]:
        """Likelihood outputs (..., O) for latents (..., K), and its free parameters."""
        network = nnx.merge(self._graph, params.generative)
        return network(self.noises(latents)), network.free_parameters()

    def expected(
        self,
        params: Params,
        x: Array,
        moved: Callable[[Latents], Latents] = lambda points: points,
        thinning: tuple[Array, Array] | None = None,
    ) -> Composite:
        """The integrand log p(x | moved(xi)) of the expectation that gradient rules serve; thinning: see
        `GenerativeNetwork`."""
        network = nnx.merge(self._graph, params.generative)
        free = network.free_parameters()

        def precision(outputs: Array) -> Array:
            if self.facts.table is None:
                return self.likelihood.output_precision(outputs, free)
            return self.likelihood.precision_given(outputs, free, x)

        return Composite(
            inner=lambda points: network(self.noises(moved(points)), thinning),
            outer=lambda outputs: self.likelihood.log_prob(outputs, free, x),
            precision=precision,
            smooth=not self.spec.kinks,
        )

    def log_joint(self, params: Params, latents: Latents, x: Array) -> Array:
        outputs, free = self.outputs(params, latents)
        prior = sum(self._prior.log_prob(self.prior_params(params), latents).values())
        result: Array = self.likelihood.log_prob(outputs, free, x) + prior
        return result

    def log_observed(self, params: Params, latents: Latents, x: Array, observed: Array) -> Array:
        """Outputs of values that are not observed are held at zero, so that these values add a constant; a table's
        are left out by its likelihood."""
        if self.facts.table is not None:
            return self.log_joint(params, latents, jnp.where(observed, x, jnp.full_like(x, jnp.nan)))
        outputs, free = self.outputs(params, latents)
        blocks = outputs.shape[-1] // x.shape[-1]
        seen = jnp.tile(observed, (1, blocks))[None]
        prior = sum(self._prior.log_prob(self.prior_params(params), latents).values())
        held = jnp.where(seen, outputs, jnp.zeros_like(outputs))
        result: Array = self.likelihood.log_prob(held, free, x) + prior
        return result

    def factorises(self) -> bool:
        return bool(self.likelihood.factorised)

    def observe(self, params: Params, key: Array, latents: Latents) -> Samples:
        outputs = self.outputs(params, latents)
        return Samples(*mean_and_draw(self.likelihood, key, *outputs))

    def decode(self, params: Params, latents: Latents) -> Array:
        mean: Array = self.likelihood.mean(*self.outputs(params, latents))
        return mean

    def at_random(self) -> bool:
        return self.facts.table is None or not len(self.likelihood.masking)

    def column_log_probs(self, params: Params, latents: Latents, x: Array) -> Array:
        outputs, free = self.outputs(params, latents)
        log_probs: Array = self.likelihood.log_probs(outputs, free, x[None])
        return log_probs

    def column_means(self, params: Params, latents: Latents) -> Array:
        mean: Array = self.likelihood.centred_mean(*self.outputs(params, latents))
        return mean

    def missing_columns(self, params: Params, key: Array, latents: Latents) -> Samples:
        outputs = self.outputs(params, latents)
        return Samples(self.likelihood.missing_mean(*outputs), self.likelihood.missing_sample(key, *outputs))

    def node_prior(self) -> Prior:
        return self._prior

    def prior_params(self, params: Params) -> Any:
        """Pseudo-inputs, of priors that have them, stand as logits where the data is within [0, 1]."""

        def encode(inputs: Array) -> dict[str, Gaussian]:
            seen = jax.nn.sigmoid(inputs) if self._inside else inputs
            gaussians: dict[str, Gaussian] = self._posterior.given(params.recognition, seen).rows()
            return gaussians

        return self._prior.prepare(params.prior, encode)

    def sample(self, params: Params, key: Array, num: int) -> Samples:
        return self.sample_joint(params, key, num)[1]

    def sample_joint(self, params: Params, key: Array, num: int, dtype: Any = jnp.float32) -> tuple[Latents, Samples]:
        first, second = jax.random.split(key)
        sampled = self._prior.sample(self.prior_params(params), first, num, dtype)
        latents = drawn(sampled, self._prior.sizes, num)
        return latents, self.observe(params, second, latents)

    def layers(self, params: Params) -> Sequence[Affine | str]:
        free = nnx.merge(self._graph, params.generative).free_parameters()
        check_outputs(self.spec, self.likelihood, free, self.facts.event_size)
        return stack(self.spec, params)
