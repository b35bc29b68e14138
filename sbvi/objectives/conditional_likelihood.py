"""Discriminative learning (Gens & Domingos 2012): the likelihood of the label given the data, alone or weighed
against that of both.

Soft: the gradient of log S[y, 1 | x] - log S[1, 1 | x]. Hard: latents and labels that are summed out are maximised out,
so that the gradient of a weight's logarithm is a difference of whole counts, of the best tree with the true label and
of the best tree with any; it does not vanish with depth.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import Share, UserError, spec
from sbvi.models.capabilities import Density, LabelledDensity, offers
from sbvi.models.spec import ModelSpec
from sbvi.objectives.view import Array, Report, View


def log_joint(view: View, rule: str) -> Array:
    """log p(x, label), (B, C), with the regularising noise of training."""
    training = view.noise is not None and not view.values_only
    log_probs: Array = view.model.joint_log_probs(
        view.params, view.batch.x, rule=rule, key=view.key if training else None
    )
    return log_probs


def of_label(joint: Array, label: Array) -> Array:
    """The column of each row's label, (B,)."""
    return jnp.take_along_axis(joint, label[:, None], axis=1)[:, 0]


def conditional(joint: Array, label: Array) -> Report:
    """log p(label | x) and whether the label is the most probable one, (B,) each."""
    hit = (jnp.argmax(joint, -1).astype(label.dtype) == label).astype(joint.dtype)
    value = of_label(joint, label) - jax.nn.logsumexp(joint, -1)
    return {"conditional_log_likelihood": value, "accuracy": hit}


def check_labelled(model: ModelSpec, who: str) -> None:
    """Refuse a model that is not built with a class for every label.

    Raises:
      UserError: how to get one.
    """
    if not model.labelled:
        raise UserError(f"objective={who} needs a class for every label; set model.labels=true.")


@spec
class ConditionalLikelihood:
    """Likelihood of the label given the data."""

    estimator: Literal["soft", "hard"] = "soft"
    """Whether the gradient weighs all trees, or counts the best ones alone."""

    needs: ClassVar[type] = LabelledDensity
    monitor: ClassVar[str] = "conditional_log_likelihood"

    def check(self, model: ModelSpec) -> None:
        check_labelled(model, "conditional_likelihood")

    def companion(self, key: Array, size: int) -> None:
        """None."""

    def numbers(self, steps: np.ndarray, steps_per_epoch: float) -> dict[str, np.ndarray]:
        return {}

    def __call__(self, view: View, numbers: Mapping[str, Array]) -> tuple[Array, Report]:
        """The loss to differentiate (a scalar, mean over the batch), and log p(label | x) and hits, (B,)."""
        label = _label(view)
        report = conditional(log_joint(view, "soft"), label)
        if self.estimator == "soft" or view.values_only:
            return -jnp.mean(report["conditional_log_likelihood"]), report
        best = log_joint(view, "hard")
        any_label = of_label(best, jnp.argmax(best, -1))  # of several equal ones the first alone
        return jnp.mean(any_label - of_label(best, label)), report


@spec
class Hybrid:
    """weight times the log-likelihood of the label given the data, and the rest times that of both for each value."""

    weight: Share = 0.5
    """Weight of the label given the data; the rest is that of data and label together, divided by the dimensions."""

    needs: ClassVar[type] = LabelledDensity
    monitor: ClassVar[str] = "hybrid"

    def check(self, model: ModelSpec) -> None:
        check_labelled(model, "hybrid")
        if not offers(model.builds, Density):
            raise UserError("objective=hybrid needs log p(x), which a model of labels alone has not; use another one.")

    def companion(self, key: Array, size: int) -> None:
        """None."""

    def numbers(self, steps: np.ndarray, steps_per_epoch: float) -> dict[str, np.ndarray]:
        return {}

    def __call__(self, view: View, numbers: Mapping[str, Array]) -> tuple[Array, Report]:
        """The loss to differentiate (a scalar, mean over the batch), and the objective with its parts, (B,)."""
        label, joint = _label(view), log_joint(view, "soft")
        report = conditional(joint, label)
        both = of_label(joint, label)
        value = self.weight * report["conditional_log_likelihood"] + (1 - self.weight) * both / view.batch.x.shape[1]
        report |= {"hybrid": value, "log_likelihood": jax.nn.logsumexp(joint, -1)}
        return -jnp.mean(value), report


def _label(view: View) -> Array:
    if view.batch.label is None:
        raise UserError("Training by labels needs a data set that has them.")
    return view.batch.label
