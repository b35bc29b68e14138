"""The deep latent Gaussian model and its recognition model (PAPER sections 1 and 3).

Inference is in the space of the noise xi ("non-centred"): the prior of every layer is N(0, I), and
the hierarchy lives in the deterministic map from xi to the likelihood's outputs.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbvi.core import NonNegative, Positive, PositiveInt, Probability, spec
from sbvi.core.xla.random_bits import normal
from sbvi.distributions import Gaussian, Likelihood, PosteriorFamily
from sbvi.distributions.gaussian import log_prob, standard_log_prob
from sbvi.gradients import Composite
from sbvi.gradients.rule import draw
from sbvi.models.noise import corrupt
from sbvi.models.rollout import STANDARD, Array, Noise, Params, Paths, Rollout, detached, gated
from sbvi.networks.activations import ACTIVATIONS, ActivationName
from sbvi.networks.convolutions import Convolutions
from sbvi.networks.gaussian_networks import GenerativeNetwork, NoiseMatrix, RecognitionNetwork


@spec
class DLGM:
    """Sizes and choices of a deep latent Gaussian model."""

    latents: tuple[PositiveInt, ...] = (200,)
    """Latents of each stochastic layer, the one nearest the data first."""
    hidden: tuple[PositiveInt, ...] | tuple[tuple[PositiveInt, ...], ...] = (200, 200)
    """Deterministic layers of every map T_l, from the layer above down; or one list for each map."""
    activation: ActivationName = "relu"
    """Activation of the generative model's deterministic layers."""
    activate_inputs: bool = False
    """Whether every map T_l begins with its activation; without deterministic layers this makes the
    non-linear Gaussian belief network, T_l(h) = A_l f(h) + b_l."""
    noise_matrix: NoiseMatrix = "full"
    """Form of the matrices G_l; all start as the identity."""
    recognition_hidden: tuple[PositiveInt, ...] = (200, 200)
    """Deterministic layers of the recognition model, from the data up."""
    recognition_activation: ActivationName = "relu"
    """Activation of the recognition model's deterministic layers."""
    recognition_shared: bool = True
    """One recognition trunk for all stochastic layers, or one network for each."""
    convolutions: tuple[PositiveInt, ...] = ()
    """Channels of convolutions between images and the deterministic layers of T_0 and of the recognition model, from
    the data up; each halves the image's sides. None: deterministic layers alone."""
    kernel: PositiveInt = 3
    """Side of the convolutions' kernels, at the halved sizes."""
    initial_posterior_scale: Positive = 0.14
    """Standard deviation of the posterior at the start. From a wide start, ReLU networks learn to
    ignore the latents before these carry anything, and stay there."""
    bit_flip: Probability = 0.0
    """Probability that the recognition model sees a binary input flipped, in training."""
    input_dropout: Probability = 0.0
    """Probability that the recognition model sees an input as zero, in training."""
    latent_noise: NonNegative = 0.0
    """Standard deviation of Gaussian noise added to samples, in training."""
    weight_prior_variance: Positive | None = 1e6
    """kappa of the prior N(0, kappa I) on the generative parameters; null for none."""

    def __post_init__(self) -> None:
        if not self.latents:
            raise ValueError("latents=[] must name at least one stochastic layer")
        if self.hidden and isinstance(self.hidden[0], tuple) and len(self.hidden) != len(self.latents):
            raise ValueError(f"hidden lists {len(self.hidden)} maps for {len(self.latents)} stochastic layers")

    def maps(self) -> list[tuple[int, ...]]:
        """The deterministic layers of T_0 .. T_{L-1}."""
        if self.hidden and isinstance(self.hidden[0], tuple):
            return list(self.hidden)  # type: ignore[arg-type]
        return [self.hidden] * len(self.latents)  # type: ignore[list-item]

    @property
    def smooth(self) -> bool:
        """Whether the generative model is twice differentiable everywhere."""
        used = self.activate_inputs or any(self.maps()) or self.convolutions
        return ACTIVATIONS[self.activation].smooth or not used

    def images(self, event_shape: Sequence[int]) -> Convolutions | None:
        """How networks meet data of this shape; None for deterministic layers alone.

        Raises:
          UserError: the data is no image that can be halved so often.
        """
        if not self.convolutions:
            return None
        return Convolutions.of(event_shape, self.convolutions, self.kernel)

    def build(self, event_shape: Sequence[int], likelihood: Likelihood, posterior: PosteriorFamily) -> "BuiltDLGM":
        return BuiltDLGM(self, event_shape, likelihood, posterior)


class DLGMParams(NamedTuple):
    """Generative and recognition parameters, theta^g and theta^r."""

    generative: Any
    recognition: Any


class BuiltDLGM:
    """A DLGM over data of one shape, D = event_size values: pure functions of parameters, a key and data.

    Stochastic nodes are `layer_1` (nearest the data) .. `layer_L`, or `joint` for a posterior family
    that spans all layers.
    """

    def __init__(self, spec: DLGM, event_shape: Sequence[int], likelihood: Likelihood, posterior: PosteriorFamily):
        self.spec, self.event_size = spec, prod(event_shape)
        self._images = spec.images(event_shape)
        self.likelihood, self.posterior = likelihood, posterior
        layers = {f"layer_{level + 1}": size for level, size in enumerate(spec.latents)}
        self.nodes = {"joint": sum(spec.latents)} if posterior.joint else layers
        self._graphs = tuple(
            nnx.graphdef(nnx.eval_shape(make))
            for make in (lambda: self._generative(jax.random.key(0)), lambda: self._recognition(jax.random.key(0)))
        )

    def _generative(self, key: Array, mean: np.ndarray | None = None, spread: np.ndarray | None = None) -> Any:
        mean = np.full(self.event_size, 0.5) if mean is None else mean
        spread = np.ones(self.event_size) if spread is None else spread
        return GenerativeNetwork(
            self.spec.latents,
            self.spec.maps(),
            self.likelihood.outputs(self.event_size),
            self.spec.activation,
            self.spec.noise_matrix,
            self.likelihood.initial_outputs(mean, spread),
            self.likelihood.initial_free(mean, spread),
            self.spec.activate_inputs,
            self._images,
            nnx.Rngs(key),
        )

    def _recognition(self, key: Array) -> Any:
        scale = self.spec.initial_posterior_scale
        heads = [self.posterior.initial_outputs(size, scale) for size in self.nodes.values()]
        return RecognitionNetwork(
            self.event_size,
            self.spec.recognition_hidden,
            heads,
            self.spec.recognition_activation,
            self.spec.recognition_shared,
            self._images,
            nnx.Rngs(key),
        )

    def init(self, seed: int, mean: np.ndarray, spread: np.ndarray) -> DLGMParams:
        """Glorot-uniform weights, output biases at the data's means; mean and spread are (D,)."""

        @jax.jit  # one program in place of one for each weight
        def made(first: Array, second: Array) -> DLGMParams:
            generative = nnx.split(self._generative(first, mean, spread))[1]
            return DLGMParams(generative, nnx.split(self._recognition(second))[1])

        params: DLGMParams = made(jax.random.key(2 * seed), jax.random.key(2 * seed + 1))
        return params

    # The recognition model.

    def encode(self, params: Params, x: Array) -> dict[str, Gaussian]:
        """q(xi | x) of each node for x (B, D)."""
        return self.posteriors(self.recognise(params, x))

    def recognise(self, params: Params, x: Array) -> dict[str, Array]:
        """The recognition model's raw outputs at each node, (B, n): first the mean (B, K)."""
        return dict(zip(self.nodes, nnx.merge(self._graphs[1], params.recognition)(x), strict=True))

    def posteriors(self, raw: dict[str, Array]) -> dict[str, Gaussian]:
        """The distribution of each node from raw outputs."""
        return {node: self.posterior.distribution(raw[node], size) for node, size in self.nodes.items()}

    # The generative model.

    def layers(self, latents: dict[str, Array]) -> Sequence[Array]:
        """xi_1 .. xi_L from the nodes' latents."""
        if self.posterior.joint:
            ends = [sum(self.spec.latents[: i + 1]) for i in range(len(self.spec.latents) - 1)]
            return jnp.split(latents["joint"], ends, axis=-1)
        return list(latents.values())

    def outputs(self, params: Params, latents: dict[str, Array]) -> tuple[Array, Array]:
        """Likelihood outputs (..., O) for latents (..., K), and its free parameters."""
        network = nnx.merge(self._graphs[0], params.generative)
        return network(self.layers(latents)), network.free_parameters()

    def expected(
        self,
        params: Params,
        x: Array,
        moved: Callable[[dict[str, Array]], dict[str, Array]] = lambda points: points,
    ) -> Composite:
        """The integrand log p(x | moved(xi)) of the expectation that gradient rules serve."""
        network = nnx.merge(self._graphs[0], params.generative)
        free = network.free_parameters()
        return Composite(
            inner=lambda points: network(self.layers(moved(points))),
            outer=lambda outputs: self.likelihood.log_prob(outputs, free, x),
            precision=lambda outputs: self.likelihood.output_precision(outputs, free),
            smooth=self.spec.smooth,
        )

    def log_joint(self, params: Params, latents: dict[str, Array], x: Array) -> Array:
        """log p(x, xi) for latents (S, B, K) and x (B, D): (S, B), nats."""
        outputs, free = self.outputs(params, latents)
        prior = sum(standard_log_prob(points) for points in latents.values())
        result: Array = self.likelihood.log_prob(outputs, free, x) + prior
        return result

    def decode(self, params: Params, latents: dict[str, Array]) -> Array:
        """E[x | xi], (..., D)."""
        return self.likelihood.mean(*self.outputs(params, latents))

    def prior_latents(self, key: Array, num: int, dtype: Any = jnp.float32) -> dict[str, Array]:
        """Draws of every node from N(0, I), (num, K)."""
        keys = jax.random.split(key, len(self.nodes))
        return {n: normal(k, (num, s), dtype) for k, (n, s) in zip(keys, self.nodes.items(), strict=True)}

    def sample(self, params: Params, key: Array, num: int) -> tuple[Array, Array]:
        """Ancestral samples: the means E[x | xi] and draws x, both (num, D)."""
        return self.sample_joint(params, key, num)[1:]

    def sample_joint(
        self, params: Params, key: Array, num: int, dtype: Any = jnp.float32
    ) -> tuple[dict[str, Array], Array, Array]:
        """Ancestral samples with their latents: node -> (num, K), the means and draws (num, D)."""
        first, second = jax.random.split(key)
        latents = self.prior_latents(first, num, dtype)
        outputs = self.outputs(params, latents)
        return latents, self.likelihood.mean(*outputs), self.likelihood.sample(second, *outputs)

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
        q = self.encode(params, corrupt(jax.random.fold_in(key, 1), x, noise))

        def moved(points: dict[str, Array]) -> dict[str, Array]:
            if noise.latent is not None:
                keys = jax.random.split(jax.random.fold_in(key, 2), len(points))
                points = {
                    n: p + noise.latent * normal(k, p.shape, p.dtype)
                    for k, (n, p) in zip(keys, points.items(), strict=True)
                }
            return points

        f, draws, gate = self.expected(params, x, moved), jax.random.fold_in(key, 0), None
        if paths.gated:
            points, gate = gated(draw(draws, q, num_samples))
            log_likelihood = f(points)
        else:
            points, log_likelihood = paths.rule(draws, q, f, num_samples)
        points = moved(points)
        scored = detached(q) if paths.detach_posterior else q
        return Rollout(
            latents=points,
            log_likelihood=log_likelihood,
            log_prior={node: standard_log_prob(p) for node, p in points.items()},
            log_posterior={node: log_prob(scored[node], p) for node, p in points.items()},
            kl={node: gaussian.kl() for node, gaussian in q.items()},
            gate=gate,
        )
