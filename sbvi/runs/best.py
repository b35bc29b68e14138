"""The parameters that a run stands for: those that validated best, or the mean of the draws that it keeps."""

import logging
from typing import Any, NamedTuple

from sbvi.runs.directory import RunDirectory
from sbvi.training import Store
from sbvi.training.draws import DrawStack
from sbvi.training.lacking import lacking

log = logging.getLogger(__name__)


class Best(NamedTuple):
    """draws: how many the parameters are the mean of, 0 where they are one state.  fitted: whether the recognition
    model was fitted to them, as it is where a run ends."""

    params: Any
    draws: int
    fitted: bool


def best_of(directory: RunDirectory, like: Any) -> Best:
    """Of a run that keeps draws and has not ended, or has gone on since, the mean of those that there are.

    It takes no data: its recognition model is the mean of theirs.

    Raises:
      UserError: a checkpoint or a draw is gone, damaged, of another model or of another run.
    """
    known = directory.identity
    store = Store(directory.checkpoints, run=known)
    stack = DrawStack(directory.checkpoints, writes=False, run=known)
    params, notes = store.load_best(like)
    entries = stack.entries()
    of = int(notes.get("draws", 0))
    if not entries or (of and entries[-1].step <= notes["step"]):
        if not of and "draws" in store.notes("last"):
            log.warning("%s keeps no draws yet: the state that validated best stands for it.", directory.path)
        return Best(params, of, True)
    log.warning(
        "%s is not finished: unless told otherwise its parameters are the mean of the %d draws that it has, and of "
        "their recognition models; task.parameters=mean fits one to that mean, as the run does when it ends.",
        *(directory.path, len(entries)),
    )
    if (gone := lacking(store, stack)).any:
        log.warning("%s; the mean is of those that are there.", gone)
    warn_of_starts(stack, directory.read_run()["config"].get("init_from"))
    return Best(stack.mean(like), len(entries), False)


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
