"""A DLGM's likelihood and two networks: how they are made from its settings, and what these start from."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from flax import nnx

from sbvi.core.xla.once import jit_once
from sbvi.distributions.likelihoods import whole
from sbvi.distributions.likelihoods.likelihood import OfShape
from sbvi.models.values import Array, DataFacts
from sbvi.networks.gaussian_networks import GenerativeNetwork, RecognitionNetwork
from sbvi.networks.keys import Keys
from sbvi.posteriors import Posterior
from sbvi.posteriors.whole import parameters

if TYPE_CHECKING:
    from sbvi.models.dlgm.settings import DLGM

#: Generative parameters and the posterior's, from their keys and the likelihood's first outputs and free parameters.
FirstParams = Callable[[Array, Array, np.ndarray, np.ndarray], tuple[Any, Any]]


def likelihood_of(settings: Any, facts: DataFacts) -> Any:
    """The likelihood over data of these facts: of a table's columns, or of values at their places.

    Raises:
      UserError: it is of no data of this shape; or a package's own is not all that is asked of one.
    """
    if facts.table is not None:
        return settings.of(facts.table)
    made = settings.of_shape(facts.event_shape) if isinstance(settings, OfShape) else settings
    return whole(made, facts.event_size, facts.levels)


class Networks:
    """The generative network over data of one shape, and the recognition network that a posterior puts heads on."""

    def __init__(self, spec: "DLGM", facts: DataFacts, likelihood: Any):
        self.spec, self.facts, self.likelihood = spec, facts, likelihood
        self._images = spec.images(facts.event_shape)
        self._shapes: dict[int, tuple[int, ...]] = {}  # of its weights, once its graph is known

    def first_outputs(
        self, mean: np.ndarray | None = None, spread: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The likelihood's output biases and free parameters that fit the data best."""
        mean = np.full(self.facts.event_size, 0.5) if mean is None else mean
        spread = np.ones(self.facts.event_size) if spread is None else spread
        return self.likelihood.initial_outputs(mean, spread), self.likelihood.initial_free(mean, spread)

    def graph(self) -> Any:
        """The generative network without its parameters."""
        keys = Keys(jax.random.key(0))
        graph = nnx.graphdef(nnx.eval_shape(lambda: self._generative(keys, *self.first_outputs())))
        self._shapes = keys.shapes
        return graph

    def first_params(self, posterior: Posterior) -> FirstParams:
        """Glorot-uniform weights, output biases as given."""

        @jit_once  # one program in place of one for each weight, and traced once for the shapes and for the arrays
        def made(first: Array, second: Array, outputs: np.ndarray, free: np.ndarray) -> tuple[Any, Any]:
            recognition = parameters(posterior.init(second), posterior)
            return nnx.split(self._generative(Keys(first, self._shapes), outputs, free))[1], recognition

        return made

    def _generative(self, keys: Keys, outputs: np.ndarray, free: np.ndarray) -> Any:
        return GenerativeNetwork(
            self.spec.latents,
            self.spec.maps(),
            self.likelihood.outputs(self.facts.event_size),
            self.spec.activation,
            self.spec.noise_matrix,
            outputs,
            free,
            self.spec.activate_inputs,
            self._images,
            keys,
            self.spec.network,
        )

    def recognition(self, heads: Sequence[Array], rngs: Keys) -> RecognitionNetwork:
        """One with heads whose output biases are given."""
        table = self.facts.table is not None
        return RecognitionNetwork(
            self.likelihood.inputs(self.spec.missing_inputs) if table else self.facts.event_size,
            self.spec.recognition_hidden,
            heads,
            self.spec.recognition_activation,
            self.spec.recognition_shared,
            self._images,
            rngs,
            self.spec.recognition_network,
        )
