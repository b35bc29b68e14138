"""What models offer: capabilities, each a protocol that evaluation, tasks, algorithms and `load_run` ask for.

A model is a set of pure functions of parameters, a key and data x (B, D). It implements the protocols that it can and
no others; whoever needs one calls `require`, which says in one sentence what is missing and which models would serve.
Everything is in nats.
"""

from typing import Any

from sbvi.models.capabilities.labels import Classifier, LabelledDensity, PartialClassifier
from sbvi.models.capabilities.latents import (
    Bidirectional,
    GaussianRecognition,
    LatentVariable,
    Layered,
    NoisyPosterior,
    ObservedDensity,
    PosteriorDensity,
    Tabular,
)
from sbvi.models.capabilities.learning import HardMixing, Mixing, Recentring
from sbvi.models.capabilities.model import Density, Encoder, Generative, Model
from sbvi.models.capabilities.parts import Imputing, Marginals, MostProbable

__all__ = [
    "Bidirectional",
    "Classifier",
    "Density",
    "Encoder",
    "GaussianRecognition",
    "Generative",
    "HardMixing",
    "Imputing",
    "LabelledDensity",
    "LatentVariable",
    "Layered",
    "Marginals",
    "Mixing",
    "Model",
    "MostProbable",
    "NoisyPosterior",
    "ObservedDensity",
    "PartialClassifier",
    "PosteriorDensity",
    "Recentring",
    "Tabular",
    "offers",
]


def offers(model: Any, capability: type) -> bool:
    """Whether a built model, or the class of one, has a capability."""
    return issubclass(model if isinstance(model, type) else type(model), capability)
