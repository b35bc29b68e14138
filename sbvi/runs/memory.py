"""Refuses an experiment that cannot fit, by arithmetic on its sizes, before any memory is taken.

Every estimate is a lower bound: what passes can still be too much, what is refused surely is.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import jax

from sbvi.core import UserError
from sbvi.core.memory import available, gib
from sbvi.runs.experiment import Experiment

FLOAT = 4
COPIES = 4  # of every parameter: itself, its gradient, and the two moments that Adam and its kin keep


def parameters(experiment: Experiment, event_shape: Sequence[int]) -> int:
    """Number of weights, biases aside."""
    model, family = experiment.model, experiment.posterior
    inputs = prod(event_shape)
    outputs, total = experiment.likelihood.outputs(inputs), 0
    if (images := model.images(event_shape)) is not None:
        total = images.weights(outputs // inputs)
        inputs = outputs = images.features
    below = [outputs, *model.latents[:-1]]
    for size, hidden, out in zip(model.latents, model.maps(), below, strict=True):
        total += sum(a * b for a, b in pairwise([size, *hidden, out]))
        total += size * size if model.noise_matrix == "full" else 0
    nodes = [sum(model.latents)] if family.joint else list(model.latents)
    heads = sum(family.outputs(size) for size in nodes)
    trunk = [inputs, *model.recognition_hidden]
    trunks = 1 if model.recognition_shared else len(nodes)
    return total + trunks * sum(a * b for a, b in pairwise(trunk)) + trunk[-1] * heads


def needs(experiment: Experiment, event_shape: Sequence[int]) -> dict[str, int]:
    """What is held at once -> bytes."""
    width = experiment.likelihood.outputs(prod(event_shape)) + sum(experiment.model.latents)
    samples, batch = experiment.objective.num_samples, experiment.trainer.batch_size
    settings = experiment.evaluation
    chunk = min(settings.chunk, settings.num_samples)
    return {
        "the model's parameters": COPIES * FLOAT * parameters(experiment, event_shape),
        f"a step with objective.num_samples={samples} and trainer.batch_size={batch}": 2
        * FLOAT
        * samples
        * batch
        * width,
        f"an evaluation with evaluation.chunk={settings.chunk} and evaluation.batch_size={settings.batch_size}": FLOAT
        * chunk
        * settings.batch_size
        * width,
    }


def _room() -> tuple[int, str]:
    device = jax.devices()[0]
    if device.platform == "cpu":
        return available(), "available"
    statistics = device.memory_stats() or {}
    limit = statistics.get("bytes_limit")
    return (int(limit), f"on the {device.platform}") if limit else (available(), "available")


def check_fits(experiment: Experiment, event_shape: Sequence[int]) -> None:
    """Refuse what cannot fit.

    Raises:
      UserError: what needs more memory than there is, with both numbers.
    """
    there, where = _room()
    for what, size in needs(experiment, event_shape).items():
        if size > there:
            raise UserError(f"Too large: {what} would take at least {gib(size)}, and {gib(there)} are {where}.")


def points_that_fit(experiment: Experiment, event_shape: Sequence[int]) -> int:
    """How many runs like this may train side by side: their states and steps within half of what there is."""
    names = list(needs(experiment, event_shape).items())
    each = sum(size for _, size in names[:2])
    return int(_room()[0] // (2 * max(each, 1)))
