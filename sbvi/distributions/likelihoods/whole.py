"""What is asked of a likelihood that an installed package adds, tried on a few rows before a model is made of it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from sbvi.core import UserError
from sbvi.core.errors import reason
from sbvi.core.plugins import ours
from sbvi.distributions.likelihoods.likelihood import Likelihood

#: The names of the protocol.
PARTS = (
    *("binary", "discrete", "dequantize", "factorised", "by_column", "check", "outputs", "free"),
    *("initial_outputs", "initial_free", "log_prob", "mean", "sample", "output_precision"),
)
#: Samples and examples of the trial.
SAMPLES, EXAMPLES = 2, 3
#: Sample and example of those that are scored alone too.
PLACES = ((0, 0), (1, 2))
#: What is asked of the outputs, by which those of values that are missing are told.
PLACED = "whole blocks of the outputs, each value's own at its place"


def whole(likelihood: Any, size: int, levels: int | None) -> Likelihood:
    """The likelihood of `size` values, if it gives what is asked of one: else it is refused before a model is trained
    with it. Those of sbvi, which have tests of their own, are taken as they are.

    levels: values are multiples of 1 / levels; None for real ones.

    Raises:
      UserError: what fails, has another shape or dtype, or depends on other rows than its own.
    """
    made: Likelihood = likelihood
    if ours(type(likelihood)):
        return made
    tried = _Trial(likelihood)
    count, own = tried.number("outputs", size), tried.number("free", size)
    if count < size or count % size:
        raise UserError(f"{tried.who}: outputs({size}) is {count}; it must be a multiple: {PLACED}.")
    moments = np.full(size, 0.5), np.ones(size)
    biases = tried.first("initial_outputs", moments, (count,), f"outputs({size})")
    free = tried.first("initial_free", moments, (own,), f"free({size})")
    waves = np.sin(np.arange(SAMPLES * EXAMPLES * count)).reshape(SAMPLES, EXAMPLES, count)
    parts = np.random.default_rng(0).integers(1, 4, (EXAMPLES, size)) / 4
    top = levels or (1 if made.binary else None)
    x, other = (v if top is None else np.rint(v * top) / top for v in (parts, parts % 0.75 + 0.25))
    tried.values(*(v.astype(np.float32) for v in (biases + 0.1 * waves, free, x, other)))
    return made


class _Trial:
    """Asks a likelihood, whose faults become sentences."""

    def __init__(self, likelihood: Any):
        self.likelihood, self.who = likelihood, f"The likelihood {type(likelihood).__name__}"

    def call(self, name: str, made: Callable[[], Any]) -> Any:
        """What is made by the method of a name."""
        try:
            return made()
        except Exception as error:  # whatever the package's own code raises
            raise UserError(f"{self.who}: {name} fails ({reason(error)}).") from error

    def number(self, name: str, size: int) -> int:
        """What the method of a name says of so many values."""
        return int(self.call(name, lambda: int(getattr(self.likelihood, name)(size))))

    def same(self, name: str, found: Any, shape: tuple[int, ...], words: str) -> None:
        """Refuse what is no array of this shape."""
        if (given := getattr(found, "shape", None)) != shape:
            what = f"no array but {type(found).__name__}" if given is None else f"of shape {given}"
            raise UserError(f"{self.who}: {name} is {what}; it must be of shape {shape}, {words}.")

    def first(self, name: str, moments: tuple[np.ndarray, ...], shape: tuple[int, ...], words: str) -> np.ndarray:
        """What the method of a name makes of the data's means and deviations."""
        ask = getattr(self.likelihood, name)
        found: np.ndarray = self.call(name, lambda: np.asarray(ask(*moments), np.float32))
        self.same(name, found, shape, f"as {words} says")
        return found

    def values(self, outputs: np.ndarray, free: np.ndarray, x: np.ndarray, other: np.ndarray) -> None:
        """Try what is asked at outputs (S, B, O), x (B, D) and other x."""
        asked, each = self.likelihood, (*outputs.shape[:2], x.shape[1])
        said = f"for outputs {outputs.shape} and x {x.shape}"
        wanted: dict[str, tuple[tuple[Any, ...], tuple[int, ...], str]] = {
            "log_prob": ((outputs, free, x), each[:2], f"(S, B) {said}"),
            "mean": ((outputs, free), each, f"(S, B, D) {said}"),
            "sample": ((jax.random.key(0), outputs, free), each, f"(S, B, D) {said}"),
            "output_precision": ((outputs, free), outputs.shape, "that of the outputs"),
        }
        for name, (given, shape, words) in wanted.items():
            found = self.call(name, partial(jax.eval_shape, getattr(asked, name), *given))
            self.same(name, found, shape, words)
            if name == "log_prob" and found.dtype not in (np.float32, np.float64):
                raise UserError(f"{self.who}: log_prob is of dtype {found.dtype}; it must be float32, as outputs are.")

        first = np.arange(x.shape[1]) == 0
        moved = outputs + np.float32(0.3) * np.tile(first, outputs.shape[-1] // x.shape[1])
        other = np.where(first, x, other)

        @jax.jit
        def scored(outputs: Any, moved: Any, free: Any, x: Any, other: Any) -> Any:
            together = asked.log_prob(outputs, free, x)
            alone = [asked.log_prob(outputs[s : s + 1, b : b + 1], free, x[b : b + 1])[0, 0] for s, b in PLACES]
            pairs = [(one, together[place]) for one, place in zip(alone, PLACES, strict=True)]
            shifts = [asked.log_prob(moved, free, each) - asked.log_prob(outputs, free, each) for each in (x, other)]
            return pairs, *shifts

        rows = (outputs, moved.astype(np.float32), free, x, other)
        pairs, shift, elsewhere = self.call("log_prob", lambda: jax.device_get(scored(*rows)))
        for alone, beside in pairs:
            if not np.isclose(alone, beside, rtol=1e-3, atol=1e-3, equal_nan=True):
                raise UserError(
                    f"{self.who}: log_prob of an example is {alone:.6g} alone and {beside:.6g} beside others; it must "
                    f"be of the example's own values and outputs, summed over the last axis alone."
                )
        rounding = 1e-3 + 1e-5 * max(abs(alone) for alone, _ in pairs)
        if asked.factorised and not np.allclose(shift, elsewhere, rtol=1e-3, atol=rounding, equal_nan=True):
            raise UserError(
                f"{self.who}: what the outputs at the first value's places add to log_prob depends on other values; it "
                f"must have {PLACED}, or say factorised = False."
            )
