"""What models of labels offer."""

from typing import Protocol, runtime_checkable

from sbvi.models.values import Array, Params


@runtime_checkable
class Classifier(Protocol):
    """Predicts the label."""

    def class_log_probs(self, params: Params, x: Array) -> Array:
        """log p(label | x), (B, C), each row a normalised distribution."""


@runtime_checkable
class PartialClassifier(Protocol):
    """Predicts the label from any set of values."""

    def class_log_probs_given(self, params: Params, x: Array, observed: Array) -> Array:
        """log p(label | x_o), (B, C); observed (B, D) bool; what stands elsewhere in x is not looked at."""


@runtime_checkable
class LabelledDensity(Protocol):
    """Knows log p(x, label) for every label."""

    def joint_log_probs(self, params: Params, x: Array, *, rule: str = "soft", key: Array | None = None) -> Array:
        """(B, C), of a model of labels alone up to a term that all labels share. rule: soft, or hard, that of the most
        probable latents, whose gradient goes through these alone. key: draws the regularising noise of training; None
        for none."""
