"""What is asked of a model that an installed package adds, or a posterior within it: tried by shapes alone, of a few
examples, before a run begins."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from numbers import Real
from typing import Any

import jax
import numpy as np

from sbvi.core import UserError
from sbvi.core.errors import reason
from sbvi.core.interrupts import signal_of
from sbvi.core.plugins import PARAMETERS, called, fault, lacks_arrays, ours, wrong
from sbvi.models.capabilities import Classifier, Density, Encoder, LatentVariable, PosteriorDensity, offers
from sbvi.models.rollout import Rollout
from sbvi.models.values import class_scores, scores
from sbvi.posteriors import Moments
from sbvi.posteriors.whole import tried as tried_posterior
from sbvi.runs.memory import blank

#: What every built model has.
PARTS = ("facts", "discrete", "init", "numbers")
#: Samples and examples of the trial.
SAMPLES, EXAMPLES = 2, 3


def whole(model: Any, spec: Any) -> Any:
    """What a spec built, if it is all that is asked of a model.

    Raises:
      UserError: what it lacks.
    """
    if lacking := [part for part in PARTS if not hasattr(model, part)]:
        raise wrong(type(spec), "build", model, f"a model, which has {', '.join(PARTS)}", lacking)
    return model


def tried(model: Any, spec: Any, examples: int) -> Any:
    """The model of a spec, if what it says of itself and of data has the shapes that are asked for. One of sbvi alone,
    which has tests of its own, is taken as it is.

    examples: the size of the training set.

    Raises:
      UserError: what fails, or has another shape.
    """
    whole(model, spec)
    if all(ours(type(part)) for part in _parts(spec)):
        return model
    kind = type(model)
    numbers = model.numbers(examples)
    if not isinstance(numbers, Mapping) or not all(map(_is_number, numbers.values())):
        raise wrong(kind, "numbers", numbers, "a dict from names to numbers")

    def first() -> Any:
        params = model.init(0, blank(model.facts))
        if lacks_arrays(params):
            raise wrong(kind, "init", params, PARAMETERS)
        return params

    params = _call(kind, "init", lambda: jax.eval_shape(first))
    key, x = jax.random.key(0), jax.ShapeDtypeStruct((EXAMPLES, model.facts.event_size), np.float32)

    def ask(function: str, asked: Callable[[Any, Any], Any]) -> None:
        """Ask of parameters and x, whose shapes are known alone; nothing is given back."""

        def traced(params: Any, x: Any) -> None:
            asked(params, x)

        _call(kind, function, lambda: jax.eval_shape(traced, params, x))

    if offers(model, LatentVariable):
        ask("rollout", lambda params, x: _check_rollout(kind, model.rollout(params, key, x, SAMPLES)))
    if offers(model, Encoder):
        ask("encode", lambda params, x: _check_moments(kind, model.encode(params, x)))
    if offers(model, Density):
        ask("log_prob", lambda params, x: scores(model, model.log_prob(params, key, x), EXAMPLES))
    if spec.labelled and offers(model, Classifier):
        ask("class_log_probs", lambda params, x: class_scores(model, model.class_log_probs(params, x), EXAMPLES))
    if offers(model, LatentVariable) and offers(model, PosteriorDensity):
        sizes = model.latent_sizes()
        ask("posterior", lambda params, x: tried_posterior(model.posterior(params, x), sizes, SAMPLES, EXAMPLES))
    return model


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) or getattr(value, "shape", None) == ()


def _parts(spec: Any) -> Iterator[Any]:
    """A model's settings, and its posterior's where it has one: likelihoods and priors are held to theirs elsewhere."""
    yield spec
    if dataclasses.is_dataclass(posterior := getattr(spec, "posterior", None)):
        yield posterior


def _call(kind: type, function: str, made: Callable[[], Any]) -> Any:
    """What is made by a function of the model; what fails with the first parameters, in code of ours too, is told."""
    try:
        return made()
    except (UserError, FloatingPointError, MemoryError):
        raise
    except Exception as error:
        if signal_of(error) is not None or fault(error) is not None:
            raise  # told as it is
        given = "" if function == "init" else " with the parameters that init gives"
        raise UserError(f"{called(kind, function)} fails{given} ({reason(error)}).") from error


def _check_rollout(kind: type, found: Any) -> None:
    if not isinstance(found, Rollout):
        raise wrong(kind, "rollout", found, "a Rollout")
    each = {"log_likelihood": found.log_likelihood}
    for part, terms in (("log_prior", found.log_prior), ("log_posterior", found.log_posterior), ("kl", found.kl)):
        if terms is None and part == "kl":
            continue
        if not isinstance(terms, Mapping):
            raise wrong(kind, "rollout", terms, f"a dict by nodes as {part}")
        each |= {f"{part} at {node}": value for node, value in terms.items()}
    for part, value in each.items():
        shape = (EXAMPLES,) if part.startswith("kl") else (SAMPLES, EXAMPLES)
        if getattr(value, "shape", None) != shape:
            must = f"{part} of shape {shape} for {SAMPLES} samples of {EXAMPLES} examples"
            raise wrong(kind, "rollout", value, must)


def _check_moments(kind: type, found: Any) -> None:
    if not isinstance(found, Mapping) or not all(isinstance(each, Moments) for each in found.values()):
        raise wrong(kind, "encode", found, "a dict of Moments by nodes")
    for node, each in found.items():
        for part, value in each._asdict().items():
            shape: tuple[int, ...] = getattr(value, "shape", ())
            if len(shape) != 2 or shape[0] != EXAMPLES:
                raise wrong(kind, "encode", value, f"{part} of shape ({EXAMPLES}, K) at {node} for {EXAMPLES} examples")
