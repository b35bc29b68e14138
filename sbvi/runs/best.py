"""The parameters that a run stands for: those that validated best, or the mean of the draws that it keeps."""

import logging
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from sbvi.runs.directory import RunDirectory
from sbvi.training import Store
from sbvi.training.checkpoint import DamagedCheckpoint
from sbvi.training.draws import DrawStack, mean_over
from sbvi.training.lacking import lacking

log = logging.getLogger(__name__)


class Best(NamedTuple):
    """params: gives the parameters.  draws: of how many they are the mean, but for any that cannot be read; 0 where
    they are one state.  fitted: whether the recognition model was fitted to them, as it is where a run ends."""

    params: Callable[[], Any]
    draws: int
    fitted: bool


def drawn(directory: RunDirectory) -> tuple[Store, DrawStack]:
    """A run's checkpoints and draws, up to its newest state: a crash may tear those that came after it, and the run
    draws them again.

    Raises:
      UserError: run.json cannot be read.
    """
    folder, known = directory.checkpoints, directory.identity
    store = Store(folder, run=known)
    return store, DrawStack(folder, writes=False, run=known, until=store.notes("last").get("step", math.inf))


def best_of(directory: RunDirectory, like: Any) -> Best:
    """Of a run that keeps draws and has not ended, or has gone on since, the mean of those that there are, which is
    computed where it is asked for.

    It takes no data: its recognition model is the mean of theirs.

    Raises:
      UserError: the best parameters are gone, damaged, of another model or of another run.
    """
    store, stack = drawn(directory)
    params, notes = store.load_best(like)
    entries = stack.entries()
    of = int(notes.get("draws", 0))
    if not entries or (of and entries[-1].step <= notes["step"]):
        if not of and "draws" in store.notes("last"):
            log.warning("%s keeps no draws yet: the state that validated best stands for it.", directory.path)
        return Best(lambda: params, of, True)
    return Best(lambda: _mean(directory, like), len(entries), False)


def _mean(directory: RunDirectory, like: Any) -> Any:
    """Of the draws that can be read; the best parameters where none can."""
    store, stack = drawn(directory)
    log.warning(
        "%s is not finished: unless told otherwise its parameters are the mean of the %d draws that it has, and of "
        "their recognition models; task.parameters=mean fits one to that mean, as the run does when it ends.",
        *(directory.path, len(stack.entries())),
    )
    if (gone := lacking(store, stack)).any:
        log.warning("%s; the mean is of those that are there.", gone)
    warn_of_starts(stack, directory.read_run()["config"].get("init_from"))
    if (mean := mean_over(_readable(stack, like), like)) is None:
        log.warning("None of them can be read: the parameters in %s stand for the run.", store.path("best"))
        return store.load_best(like)[0]
    return mean


def _readable(stack: DrawStack, like: Any) -> Iterator[Any]:
    for entry in stack.entries():
        try:
            yield stack.load(entry, like)[0]
        except DamagedCheckpoint as error:
            log.warning("%s The mean leaves it out.", error)


def warn_of_starts(stack: DrawStack, init_from: str | None) -> None:
    """Say that a mean over chains from different starts may be like none of its draws: the latents of a model can
    change places, and each chain has an order of its own."""
    if init_from is None and (chains := len({entry.chain for entry in stack.entries()})) > 1:
        log.warning(
            "The draws are of %d chains from different starts, which may hold the same latents in another order, so "
            "that their mean, of which test/nll is, can be worse than every draw; compare with sbvi-evaluate "
            "task=likelihood task.parameters=average, or begin all chains from one point by init_from.",
            chains,
        )
