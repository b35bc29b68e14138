"""A trained run averaged over the draws of its parameters."""

import secrets
from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from sbvi.core import UserError, at_least_one, seed_of
from sbvi.core.memory import require as room
from sbvi.data.checks import not_there, unmasked

if TYPE_CHECKING:
    from sbvi.runs.loaded import LoadedRun


def running_averages(log_likelihoods: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """log (1/M) sum_m p(x | theta_m), (N,) float64, nats, after each of the log p(x | theta_m), (N,)."""
    total = np.full((), -np.inf)
    for count, log_p in enumerate(log_likelihoods, 1):
        total = np.logaddexp(total, log_p.astype(np.float64))
        yield total - np.log(count)


class Averaged:
    """The posterior mean of what a run says, over its first draws or all; `run.averaged()` makes it."""

    def __init__(self, run: "LoadedRun", count: int | None = None):
        held = len(run.draws.entries())
        if count is not None and not 1 <= count <= held:
            raise UserError(f"draws={count} must be of 1..{held}, the draws that {run.directory.path} keeps.")
        self.run, self.count = run, count or held

    def log_likelihood(self, x: np.ndarray, num_samples: int = 500, seed: int | None = None) -> np.ndarray:
        """log (1/M) sum_m p(x | theta_m), (N,), nats; each p as `LoadedRun.log_likelihood` has it."""
        *_, last = running_averages(one.log_likelihood(x, num_samples, seed) for one in self.run.each_draw(self.count))
        return last

    def sample(self, num: int, seed: int | None = None, *, means: bool = False) -> np.ndarray:
        """Draws of x, each from the model of one of the draws, in turn; (num, *event_shape).

        seed: the same one gives the same draws; without one every call draws anew.
        """
        num = at_least_one(num, "num")
        room(4 * num * prod(self.run.event_shape), f"num={num} draws")
        first, each = secrets.randbits(31) if seed is None else seed_of(seed), -(-num // self.count)
        samples = [
            one.sample(each, (first + 7919 * m) % 2**31, means=means)
            for m, one in enumerate(self.run.each_draw(self.count))
        ]
        return np.stack(samples, 1).reshape(-1, *self.run.event_shape)[:num]

    def impute(self, x: np.ndarray, iterations: int = 100, warmup: int = 20, seed: int = 1) -> np.ndarray:
        """x with every NaN replaced by the mean of the conditional means, as `LoadedRun.impute` gives it: a frame's
        columns in the run's own order, and grey values that the run binarizes as it saw them."""
        known = self.run.preprocessing
        x = unmasked(known.arranged(x), "x")
        total: np.ndarray | None = None
        for one in self.run.each_draw(self.count):
            filled = one.impute(x, iterations, warmup, seed).astype(np.float64)
            total = filled if total is None else total + filled
        assert total is not None
        mean: np.ndarray = total / self.count
        if known.binarization == "none":
            mean = np.where(not_there(x).reshape(x.shape), mean, x)
        return mean.astype(x.dtype if x.dtype.kind == "f" else mean.dtype)
