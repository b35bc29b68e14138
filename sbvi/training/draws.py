"""The stack of draws that a run keeps: one file for each chain and step, written as they come.

A draw is a function of seed and step, and a file is whole or not there. Where a run goes on from a checkpoint, what
was drawn after that is taken away and comes again; what was drawn before is on the disk, since it is written first, and
flushed before the checkpoint is, while training goes on. So no draw is lost and none is there twice. One draw at a time
is in memory.
"""

import functools
import json
import logging
import math
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.algorithms.posterior_samples import Draw, SamplesPosterior, Stopped
from sbvi.core import UserError
from sbvi.core.atomic import clear_leftovers, flushed, write_atomically
from sbvi.core.held import check_held
from sbvi.training import checkpoint
from sbvi.training.plan import Plan

log = logging.getLogger(__name__)

FOLDER = "draws"
_NAME = re.compile(r"step_(\d{10})-chain_(\d+)" + re.escape(checkpoint.SUFFIX))


@functools.cache
def _flusher() -> ThreadPoolExecutor:
    """A thread that waits for the disk, in which a draw spends seven eighths of its time."""
    return ThreadPoolExecutor(1, "draws")


def file_name(step: int, chain: int) -> str:
    """That of a draw's file."""
    return f"step_{step:010d}-chain_{chain}{checkpoint.SUFFIX}"


class Entry(NamedTuple):
    """Where a draw stands: the step it was taken at, its chain, its file."""

    step: int
    chain: int
    path: Path


class DrawStack:
    """folder: of the run's checkpoints. writes: whether this process is the one that does. run: the run's identity,
    which its draws name; None of runs of earlier versions, whose do not. until: the step after which draws are left
    alone."""

    def __init__(self, folder: Path, *, writes: bool = True, run: str | None = None, until: float = math.inf):
        self.folder, self.writes, self.run, self.until = folder / FOLDER, writes, run, until
        self._flushing: list[Future[None]] = []

    def entries(self) -> list[Entry]:
        """Every draw, the oldest first, chains in order."""
        matches = [(match, path) for path in self.folder.glob("step_*") if (match := _NAME.fullmatch(path.name))]
        every = sorted(Entry(int(match[1]), int(match[2]), path) for match, path in matches)
        return [entry for entry in every if entry.step <= self.until]

    def write(self, step: int, draw: Draw) -> None:
        """Add a draw, which `settle` will have on the disk.

        Raises:
          UserError: it cannot be written.
        """
        if self.writes:
            check_held(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / file_name(step, draw.chain)
            notes = {"step": step, "chain": draw.chain, "monitors": draw.monitors}
            notes |= {} if self.run is None else {"run": self.run}
            checkpoint.save(path, draw.params, notes, flush=False)
            self._flushing.append(_flusher().submit(flushed, path))

    def settle(self) -> None:
        """Wait until every draw is on the disk.

        Raises:
          UserError: the disk does not take one.
        """
        while self._flushing:
            self._flushing.pop(0).result()

    def note(self, stopped: list[Stopped]) -> None:
        """Say which chains have stopped, in `stopped.json`."""
        if self.writes:
            check_held(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            content = json.dumps([chain._asdict() for chain in stopped], indent=1) + "\n"
            write_atomically(self.folder / "stopped.json", content.encode())

    def stopped(self) -> list[Stopped]:
        """The chains that have stopped.

        Raises:
          UserError: `stopped.json` is damaged.
        """
        path = self.folder / "stopped.json"
        if not path.exists():
            return []
        try:
            chains = [Stopped(**chain) for chain in json.loads(path.read_text(encoding="utf-8"))]
            if not all(type(one.chain) is type(one.step) is int and isinstance(one.reason, str) for one in chains):
                raise TypeError("a chain and a step are whole numbers")
        except (OSError, ValueError, TypeError, RecursionError):
            raise UserError(
                f"{path} is damaged: it does not hold a list of chains that have stopped; delete it, and a run that "
                "goes on writes it anew."
            ) from None
        return chains

    def drop_after(self, step: int) -> None:
        """Take away what was drawn after a step.

        Raises:
          UserError: a draw is of another run; it is the user's, and stays.
        """
        self.settle()
        for entry in self.entries():
            try:
                metadata = checkpoint.read_metadata(entry.path)
            except checkpoint.DamagedCheckpoint as error:  # the averages, which need it, come after training
                if entry.step <= step:
                    log.warning("%s The averages of the run need it.", error)
                continue
            checkpoint.check_run(entry.path, metadata, self.run)
        if self.writes and self.folder.exists():
            check_held(self.folder)
            clear_leftovers(self.folder)
            for entry in self.entries():
                if entry.step > step:
                    entry.path.unlink()
            if earlier := [chain for chain in self.stopped() if chain.step <= step]:
                self.note(earlier)
            else:
                (self.folder / "stopped.json").unlink(missing_ok=True)

    def load(self, entry: Entry, like: Any) -> tuple[Any, dict[str, float]]:
        """A draw's parameters, and its chain's scalars at that moment.

        Raises:
          DamagedCheckpoint: it is damaged, of another model, of another run, or another draw than its name says.
        """
        arrays, notes = checkpoint.read(entry.path)
        checkpoint.check_run(entry.path, notes, self.run)
        if (held := (notes.get("step"), notes.get("chain"))) != (entry.step, entry.chain):  # a copy would count twice
            raise checkpoint.DamagedCheckpoint(
                f"{entry.path} holds the draw of step {held[0]} and chain {held[1]}, and not that of its name; put its "
                "own in its place."
            )
        params = checkpoint.arranged(arrays, like, entry.path)
        return params, notes["monitors"]

    def params(self, like: Any, count: int | None = None) -> Iterator[Any]:
        """The parameters of the first draws, or of all, one after the other."""
        for entry in self.entries()[:count]:
            yield self.load(entry, like)[0]

    def mean(self, like: Any, count: int | None = None) -> Any:
        """The mean of the first draws, or of all.

        Raises:
          UserError: there are none.
        """
        if (found := mean_over(self.params(like, count), like)) is None:
            raise UserError(f"{self.folder} holds no draws.")
        return found


def mean_over(several: Iterable[Any], like: Any) -> Any:
    """The mean of parameters, one of which is in memory at a time; None of none."""
    total, taken = None, 0
    for params in several:
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        total = wide if total is None else jax.tree.map(np.add, total, wide)
        taken += 1
    if total is None:
        return None
    return jax.tree.map(lambda leaf, shape: jnp.asarray(leaf / taken, shape.dtype), total, like)


class Sampling:
    """When an algorithm's draws are taken, for the loop."""

    def __init__(self, algorithm: SamplesPosterior, plan: Plan, stack: DrawStack):
        self.algorithm, self.plan, self.stack = algorithm, plan, stack
        self.every = algorithm.thinning(plan.steps_per_epoch)
        self._told: set[int] = set()

    def check(self) -> None:
        """Refuse a run that is too short for a draw.

        Raises:
          UserError: it is; the sentence has the settings that decide over it.
        """
        if self.plan.total_steps - (last := self._latest()) < self.every:
            raise UserError(
                f"A run of {self.plan.total_steps} steps keeps no draw where its burn-in ends as late as step {last} "
                f"and a draw is kept every {self.every} steps; set trainer.steps, trainer.validate_every, "
                f"algorithm.burn_in or algorithm.thinning."
            )

    def _latest(self) -> int:
        """The step at which the burn-in ends at the latest."""
        total, rhythm = self.plan.total_steps, self.plan.trainer.validate_every
        known = self.algorithm.burn_in(total)
        if known is not None:
            return known
        return next((s for s in range(rhythm, total, rhythm) if self.algorithm.burned_in(s, total, 0)), total)

    def begins(self, burned_in: int) -> int | None:
        """The step at which the burn-in ended or will; None where validation has yet to tell."""
        known = self.algorithm.burn_in(self.plan.total_steps)
        return known if known is not None else burned_in if burned_in >= 0 else None

    def notes(self, burned_in: int) -> dict[str, int | None]:
        """For a state's checkpoint: after which step draws were kept, None where none was yet, and every how many."""
        return {"after": self.begins(burned_in), "every": self.every}

    def stop_after(self, step: int, burned_in: int) -> int:
        """The next step at which a draw is due, or the run's last."""
        begins = self.begins(burned_in)
        if begins is None:
            return self.plan.total_steps
        due = begins + (max(step - begins, 0) // self.every + 1) * self.every
        return min(due, self.plan.total_steps)

    def validated(self, step: int, burned_in: int, validations_since_best: int) -> int:
        """The step at which the burn-in ended, -1 while it lasts; asked after every validation."""
        over = self.algorithm.burned_in(step, self.plan.total_steps, validations_since_best)
        if burned_in >= 0 or self.algorithm.burn_in(self.plan.total_steps) is not None or not over:
            return burned_in
        log.info("The burn-in is over at step %d; a draw is kept every %d steps.", step, self.every)
        return step

    def visit(self, step: int, burned_in: int, state: Any) -> None:
        """Keep draws where they are due; say which chains have stopped."""
        stopped = self.algorithm.stopped(state)
        for chain in stopped:
            if chain.chain not in self._told:
                log.warning("Chain %d stopped at step %d: %s; the others go on.", *chain)
        if {chain.chain for chain in stopped} - self._told:
            self.stack.note(stopped)
            self._told |= {chain.chain for chain in stopped}
        begins = self.begins(burned_in)
        if begins is not None and step > begins and (step - begins) % self.every == 0:
            for draw in self.algorithm.draws(state):
                self.stack.write(step, draw)
