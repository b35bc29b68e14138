"""Refuses an experiment that cannot fit before any memory is taken: sizes by `jax.eval_shape`, which makes no array.

Every estimate is a lower bound: what passes can still be too much, what is refused surely is.
"""

from math import prod
from typing import Any

import jax
import numpy as np

from sbvi.core import UserError
from sbvi.core.memory import available, gib
from sbvi.models.capabilities import LatentVariable, offers
from sbvi.models.spec import ModelSpec
from sbvi.models.values import DataFacts, DataSummary
from sbvi.runs.experiment import Experiment

FLOAT = 4
EXAMPLES = 8  # arrays of this many examples are made where a model is


def size_of(tree: Any) -> int:
    """Bytes of the arrays of a tree, abstract or not."""
    return sum(prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))


def blank(facts: DataFacts, examples: int = 2) -> DataSummary:
    """A summary of no data, for shapes."""
    size = facts.event_size
    rows = np.zeros((2, size), np.float32)
    label = np.zeros(2, np.int32) if facts.classes else None
    return DataSummary(rows, label, np.full(size, 0.5, np.float32), np.ones(size, np.float32), examples)


def check_event(facts: DataFacts) -> None:
    """Refuse data of which a few examples could not be held, before a model of it is made.

    Raises:
      UserError: with both numbers.
    """
    there, where = _room()
    if (size := EXAMPLES * FLOAT * facts.event_size) > there:
        shape = tuple(facts.event_shape)
        raise UserError(
            f"Too large: {EXAMPLES} examples of shape {shape} take {gib(size)}, and {gib(there)} are {where}."
        )


def check_least(spec: ModelSpec, facts: DataFacts) -> None:
    """Refuse a model that surely cannot fit, before its shapes are asked for: of such sizes neither Python nor JAX has
    any.

    Raises:
      UserError: with both numbers.
    """
    there, where = _room()
    if (size := FLOAT * spec.least_parameters(facts)) > there:
        raise UserError(_too_large("the model's parameters", size, there, where))


def _too_large(what: str, size: int, there: int, where: str) -> str:
    return f"Too large: {what} would take at least {gib(size)}, and {gib(there)} are {where}."


def abstract_params(model: Any) -> Any:
    """The shapes of a model's parameters."""
    return jax.eval_shape(lambda: model.init(0, blank(model.facts)))


def _row(model: Any) -> int:
    """Bytes that a sample of one example takes at least."""
    width = model.facts.event_size
    if offers(model, LatentVariable):
        width += sum(model.latent_sizes().values())
    return FLOAT * width


def needs(experiment: Experiment, model: Any, state: Any = None) -> dict[str, int]:
    """What is held at once -> bytes. state: an algorithm's, abstract; None leaves training out."""
    settings = experiment.evaluation
    chunk = min(settings.chunk, settings.num_samples) if offers(model, LatentVariable) else 1
    scoring = {
        f"an evaluation with evaluation.chunk={settings.chunk} and evaluation.batch_size={settings.batch_size}": chunk
        * settings.batch_size
        * _row(model),
    }
    parameters = size_of(abstract_params(model))
    if state is None:
        return {"the model's parameters": parameters} | scoring
    samples, batch = _samples(experiment), experiment.trainer.batch_size
    said = f"objective.num_samples={samples} and " if samples > 1 else ""
    return {
        "the model's parameters, their gradient and the optimiser's state": size_of(state) + parameters,
        f"a step with {said}trainer.batch_size={batch}": 2 * samples * batch * _row(model),
    } | scoring


def _samples(experiment: Experiment) -> int:
    """Samples of each example in a training step."""
    algorithm = experiment.to_config()["algorithm"]
    return int((algorithm.get("objective") or algorithm).get("num_samples", 1))


def _room() -> tuple[int, str]:
    device = jax.devices()[0]
    if device.platform == "cpu":
        return available(), "available"
    statistics = device.memory_stats() or {}
    limit = statistics.get("bytes_limit")
    return (int(limit), f"on the {device.platform}") if limit else (available(), "available")


def abstract_state(algorithm: Any, summary: DataSummary) -> Any:
    """The shapes of an algorithm's first state."""
    return jax.eval_shape(lambda: algorithm.init(0, summary))


def check_fits(experiment: Experiment, model: Any, state: Any = None) -> None:
    """Refuse what cannot fit. state: see `needs`.

    Raises:
      UserError: what needs more memory than there is, with both numbers.
    """
    there, where = _room()
    for what, size in needs(experiment, model, state).items():
        if size > there:
            raise UserError(_too_large(what, size, there, where))


def points_that_fit(experiment: Experiment, model: Any, algorithm: Any) -> int:
    """How many runs like this may train side by side: their states and steps within half of what there is."""
    sizes = list(needs(experiment, model, abstract_state(algorithm, blank(model.facts))).values())
    return int(_room()[0] // (2 * max(sum(sizes[:2]), 1)))
