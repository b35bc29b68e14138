"""The training loop: dispatch a chunk of steps, then log, validate, save, or stop.

It knows an algorithm by its three functions and gets everything else as arguments: where scalars go,
how to validate, where checkpoints live, and whether someone asked it to stop.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import jax
import numpy as np

from sbvi.algorithms import Algorithm
from sbvi.core import UserError, processes
from sbvi.core.memory import give_back
from sbvi.training.batches import Batches
from sbvi.training.chunk import MOST_SKIPPED, ChunkResult, compile_chunk, joined
from sbvi.training.draws import Sampling
from sbvi.training.plan import Plan
from sbvi.training.shown import Shown
from sbvi.training.store import Store

log = logging.getLogger(__name__)

Scalars = Mapping[str, float]


class Recorder(Protocol):
    """Where scalars go."""

    def scalars(self, step: int, epoch: float, values: Scalars) -> None: ...


class Trial(Protocol):
    """A trial of a search: what is told of its validations, those of earlier sessions first, and asked whether it goes
    on."""

    def recall(self, validations: Iterable[tuple[int, float]], pruned: bool = False) -> None: ...

    def report(self, step: int, score: float) -> None: ...

    def stops(self, step: int) -> bool: ...


class NotFinite(UserError):
    """The loss stopped being a number."""


@dataclass
class Progress:
    """Where a run stands; saved with its state."""

    step: int = 0
    best: float = -math.inf
    best_step: int = -1
    validations_since_best: int = 0
    train_seconds: float = 0.0
    steady_seconds: float = 0.0
    steady_steps: int = 0
    skipped: int = 0
    burned_in: int = -1
    pruned: bool = False

    @property
    def steps_per_second(self) -> float:
        """Steady speed: what compiling takes at the start of each session is left out."""
        return self.steady_steps / self.steady_seconds if self.steady_seconds else math.nan


@dataclass
class Outcome:
    """How training ended: `completed`, or `stopped` with a reason; and the state it left."""

    status: str
    reason: str
    progress: Progress
    state: Any = field(repr=False)


@dataclass
class Training:
    """One session of training a run, from its newest checkpoint or from the start.

    validate: eval_params parameters -> validation scalars, among them the algorithm's monitor.
    should_stop: asked after every chunk; a reason to stop, or None.
    compile: makes the function that runs a chunk of steps.
    sampling: keeps draws of the parameters, of an algorithm whose result they are.
    trial: that of a search, which may end the run at a validation.
    """

    algorithm: Algorithm
    batches: Batches
    plan: Plan
    store: Store
    recorder: Recorder
    validate: Callable[[Any], Scalars]
    seed: int
    should_stop: Callable[[], str | None] = lambda: None
    show: Callable[[Progress, Scalars], None] = lambda *_: None
    compile: Callable[..., Callable[..., tuple[Any, ChunkResult]]] = compile_chunk
    sampling: Sampling | None = None
    trial: Trial | None = None

    def __post_init__(self) -> None:
        self._compiled, self._compile_seconds, self._shown = False, 0.0, Shown(self.algorithm.monitor)
        self._last_good = -1

    def run(self, state: Any, progress: Progress) -> Outcome:
        chunk = self.compile(self.algorithm, self.batches, skip_bad=self.plan.trainer.on_nan == "skip")
        key = self.batches.placement.replicated(jax.random.key(self.seed))
        plan, trainer = self.plan, self.plan.trainer
        best_params = None
        saved_at = time.monotonic()
        stopping, begun = False, progress.step
        self._last_good = begun - 1  # of what an earlier session dropped in a row nothing is counted here
        reason = ""
        # A budget that earlier sessions spent leaves nothing to train, where there are parameters to test.
        if progress.best_step >= 0 and progress.step < plan.total_steps and self._out_of_time(progress):
            return Outcome("completed", "", progress, state)
        while progress.step < plan.total_steps and not reason:
            began = time.monotonic()
            start, end = progress.step, self._stop_after(progress)
            state, result, rate = self._dispatch(chunk, state, key, start, end)
            values = self._train_scalars(result, start, end)
            if trainer.on_nan == "skip":
                progress.skipped += int(result.skipped)
                values["train/skipped_updates"] = float(progress.skipped)
                self._note_good(result)
            progress.step = end
            self._check_skipped(progress, end >= plan.total_steps)
            seconds = time.monotonic() - began
            progress.train_seconds += seconds
            progress.steady_seconds += seconds - self._compile_seconds
            progress.steady_steps += end - start
            self._compile_seconds = 0.0
            if rate is not None:
                values["train/learning_rate"] = rate
            values["train/examples_per_second"] = (end - start) * trainer.batch_size / seconds
            values = self._shown(values, end)
            self.recorder.scalars(end, end / plan.steps_per_epoch, values)
            stopping = stopping or self._out_of_time(progress)
            # The last step always validates, or there would be no best parameters to test.
            if plan.validates_at(end) or stopping:
                params = self.algorithm.eval_params(state)
                validation = dict(self.validate(params))
                score = validation[f"validation/{self.algorithm.monitor}"]
                validation = self._shown(validation, end)
                self.recorder.scalars(end, end / plan.steps_per_epoch, validation)
                if not math.isfinite(score):
                    raise NotFinite(self._not_finite(end, f"validation/{self.algorithm.monitor}"))
                if self.algorithm.keeps(score, progress.best):
                    progress.best, progress.best_step, progress.validations_since_best = score, end, 0
                    best_params = jax.tree.map(np.asarray, jax.device_get(params))
                else:
                    progress.validations_since_best += 1
                    if trainer.patience and progress.validations_since_best >= trainer.patience:
                        stopping = True
                        self._tell_end(progress, "no validation was better for trainer.patience=%d", trainer.patience)
                progress.pruned = self._pruned(end, score, stopping or end >= plan.total_steps)
                stopping = stopping or progress.pruned
                values |= validation  # shown with the step's own, and no earlier ones
                if self.sampling is not None:
                    progress.burned_in = self.sampling.validated(
                        end, progress.burned_in, progress.validations_since_best
                    )
            self.show(progress, values)
            if self.sampling is not None:  # before the state is saved, so that no draw is lost
                self.sampling.visit(end, progress.burned_in, state)
            reason, due = self._asked(saved_at)
            ended = stopping or progress.step >= plan.total_steps
            self._check_skipped(progress, ended)
            if reason or ended or due:
                self._save(state, progress, best_params, ended)
                best_params, saved_at = None, time.monotonic()
            if start == begun:
                give_back()  # what the compiler took
            if stopping:
                break
        return Outcome("stopped" if reason else "completed", reason, progress, state)

    def _stop_after(self, progress: Progress) -> int:
        """The next step at which the host has something to do."""
        end = self.plan.stop_after(progress.step)
        return end if self.sampling is None else min(end, self.sampling.stop_after(progress.step, progress.burned_in))

    def _dispatch(
        self, chunk: Callable[..., Any], state: Any, key: Any, start: int, end: int
    ) -> tuple[Any, ChunkResult, float | None]:
        """The steps start .. end, in one call where the data allows it; and the last learning rate."""
        plan, results = self.plan, []
        rate: float | None = None
        ahead = plan.stop_after(end) if end < plan.total_steps else end
        for piece in self.batches.pieces(start, end, plan.chunk, ahead):
            steps = np.minimum(np.arange(piece.start, piece.start + len(piece.indices)), plan.total_steps)
            hypers = self.algorithm.hypers(steps, plan.steps_per_epoch, plan.total_steps)
            if not self._compiled and not jax.config.jax_debug_nans:  # type: ignore[attr-defined]
                # A dispatch of no steps compiles, so that the steps' own time is known from the first chunk on.
                began = time.monotonic()
                words = (piece.operands, piece.indices, hypers, key, np.int32(piece.start), np.int32(0))
                state = jax.block_until_ready(chunk(state, *words)[0])
                self._compiled, self._compile_seconds = True, time.monotonic() - began
            numbers = (np.int32(piece.start), np.int32(piece.steps))
            state, result = chunk(state, piece.operands, piece.indices, hypers, key, *numbers)
            results.append(result)
            if "learning_rate" in hypers:
                rate = float(hypers["learning_rate"][piece.steps - 1])
        return state, joined(results), rate

    def _out_of_time(self, progress: Progress) -> bool:
        limit = self.plan.trainer.max_minutes
        over = limit is not None and processes.any_of([progress.train_seconds >= 60 * limit])[0]
        if over:
            self._tell_end(progress, "trainer.max_minutes=%g is over", limit)
        return over

    def _tell_end(self, progress: Progress, why: str, setting: Any) -> None:
        """Say what ends training before its length."""
        if progress.step < (total := self.plan.total_steps):
            log.info(f"Training ends at step %d of %d: {why}.", progress.step, total, setting)

    def _pruned(self, step: int, score: float, last: bool) -> bool:
        """Whether a search's trial ends at this validation. last: the run does."""
        if self.trial is None:
            return False
        self.trial.report(step, score)
        return not last and self.trial.stops(step)

    def _asked(self, saved_at: float) -> tuple[str, bool]:
        """The reason to stop, and whether a checkpoint is due: the same in all processes of the run."""
        reason = self.should_stop() or ""
        due = time.monotonic() - saved_at >= 60 * self.plan.trainer.checkpoint_minutes
        stop, due = processes.any_of([bool(reason), due])
        return reason or ("SIGTERM" if stop else ""), due

    def _train_scalars(self, result: ChunkResult, start: int, end: int) -> dict[str, float]:
        """Means over the steps of a chunk that were taken; none where all were skipped."""
        sums, bad_step, skipped = jax.device_get((result.sums, result.bad_step, result.skipped))  # waits for it
        if bad_step >= 0:
            raise NotFinite(self._not_finite(int(bad_step), "train/loss"))
        taken = end - start - int(skipped)
        return {f"train/{name}": float(value) / taken for name, value in sums.items()} if taken else {}

    def _note_good(self, result: ChunkResult) -> None:
        """Remember where the last good update is; refuse a row of bad ones before it.

        Raises:
          NotFinite: MOST_SKIPPED were dropped in a row.
        """
        row = int(result.long_row)
        if int(result.first_good) - self._last_good > MOST_SKIPPED:
            row = self._last_good + 1
        if row >= 0:
            raise NotFinite(self._not_finite(row, "train/loss"))
        self._last_good = max(self._last_good, int(result.last_good))

    def _check_skipped(self, progress: Progress, ended: bool) -> None:
        """Refuse to go on, whatever the chunks were, where nothing better is to be expected.

        Raises:
          NotFinite: the last updates were all dropped, or all of a run that has ended.
        """
        row = progress.step - 1 - self._last_good
        skips = self.plan.trainer.on_nan == "skip"
        if skips and (row >= MOST_SKIPPED or (ended and progress.skipped == progress.step)):
            raise NotFinite(self._not_finite(self._last_good + 1, "train/loss"))

    def _not_finite(self, step: int, metric: str) -> str:
        good = self.store.path("last")
        left = f"the last good checkpoint is {good}" if good.exists() else "no checkpoint was saved yet"
        return (
            f"{metric} is not finite at step {step}; {left}. Likely causes: a learning rate that is too high, "
            f"or data outside the likelihood's range."
        )

    def _save(self, state: Any, progress: Progress, best_params: Any, ended: bool) -> None:
        host = jax.device_get(state)  # whole on every device
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(host) if leaf.dtype.kind == "f"):
            raise NotFinite(self._not_finite(progress.step, "a parameter"))
        if self.sampling is not None:
            self.sampling.stack.settle()
        # Best first: if we are killed between the two, the run goes on from an older `last`
        # and finds this best again.
        if best_params is not None:
            first = {} if self.store.has_state() else {"first_save": progress.step}
            self.store.save_best(best_params, {"step": progress.best_step, "score": progress.best} | first)
        notes: dict[str, Any] = {"progress": asdict(progress), "step": progress.step, "ended": ended}
        notes |= {} if self.sampling is None else {"draws": self.sampling.notes(progress.burned_in)}
        self.store.save_last(host, notes)
