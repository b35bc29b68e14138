"""Where a run stands: at its newest state, at its start, or at its end where that is gone and only a test is asked."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from sbvi.core import UserError
from sbvi.reporting.metrics import read_lines
from sbvi.runs.assembly import Assembly
from sbvi.runs.directory import RunDirectory
from sbvi.runs.memory import abstract_params
from sbvi.runs.records import check_ended
from sbvi.training import Progress, Store
from sbvi.training.checkpoint import DamagedCheckpoint, OtherModel, OtherRun
from sbvi.training.draws import DrawStack

log = logging.getLogger(__name__)


def standing(
    assembly: Assembly, directory: RunDirectory, store: Store, begun: bool, changed: Mapping[str, list[Any]]
) -> tuple[Any, Progress, bool]:
    """State, progress and whether training has ended, of the newest checkpoint or of the start.

    Raises:
      UserError: the run has gone further than its length, or the state that it would go on from is gone.
    """
    state = assembly.seeded_state()
    if (saved := store.load_last(state)) is not None:  # without the run that it came from, which may be gone
        state, metadata = saved
        progress, ended = Progress(**metadata["progress"]), bool(metadata["ended"])
        total = assembly.plan.total_steps
        if total < progress.step:
            raise UserError(
                f"{directory.path} has taken {progress.step} steps already, and the length now given is {total}; "
                f"allowed: more."
            )
        return assembly.placement.replicated(state), progress, ended
    if begun and not _saved_none(directory, store):
        return state, _tested_alone(assembly, directory, store, changed), True
    state = assembly.initial_state(state)
    if begun:
        log.info("%s was begun before and saved no checkpoint: it begins anew.", directory.path)
    return assembly.placement.replicated(state), Progress(), False


def _saved_none(directory: RunDirectory, store: Store) -> bool:
    """Whether a run without a state never had one, as far as its files tell."""
    result = directory.read_result() or {}
    if not store.has_best():  # one that was stopped before its first save has a result too
        return not (result.get("status") == "completed" and result.get("steps"))
    if result.get("status") in ("completed", "stopped") and result.get("steps"):
        return False
    # Killed in its first save, of which `best` is written first, it has logged nothing after that.
    first = store.notes("best").get("first_save")
    logged = (line["step"] for line in read_lines(directory.path / "metrics.jsonl"))
    return first is not None and max(logged, default=0) <= first


def _tested_alone(
    assembly: Assembly, directory: RunDirectory, store: Store, changed: Mapping[str, list[Any]]
) -> Progress:
    """That of a run which has ended and is tested again, for which its best parameters and its result are enough.

    Raises:
      UserError: it would train on.
    """
    result = directory.read_result() or {}
    trains = not changed or any(key.startswith("trainer.") for key in changed)
    if result.get("status") != "completed" or trains or not store.has_best():
        helps = f", or train in another directory, from its best parameters with init_from={directory.path}"
        raise UserError(
            f"{store.path('last')} is gone, the state that the run would go on from: put it back"
            f"{helps if store.has_best() else ', or train in another directory'}; without best.safetensors and "
            f"result.json too {directory.path} begins anew."
        )
    check_ended(result, directory.path / "result.json")
    log.info("%s is gone: nothing is trained, and the best parameters are tested.", store.path("last"))
    steps, best, speed = result["steps"], result.get("best_validation"), result.get("examples_per_second")
    return Progress(
        step=steps,
        best=-math.inf if best is None else best,
        best_step=int(result.get("best_step") or 0),
        train_seconds=result["train_seconds"],
        steady_seconds=steps * assembly.plan.trainer.batch_size / speed if speed else 0.0,
        steady_steps=steps,
        pruned=bool(result.get("pruned")),
    )


def check_best(assembly: Assembly, directory: RunDirectory, store: Store, progress: Progress, ended: bool) -> None:
    """See to it that the run will have best parameters to test; where it trains on without them, the best from here on
    are kept.

    Raises:
      UserError: it has ended, and they are gone or cannot be used.
    """
    if progress.best_step < 0 or (ended and DrawStack(store.folder, writes=False).entries()):
        return  # of draws the mean is made anew
    try:
        store.load_best(abstract_params(assembly.model))
    except (OtherModel, OtherRun):
        raise
    except DamagedCheckpoint as error:
        path = store.path("best")
        what = str(error).removesuffix(".") if store.has_best() else f"{path} is gone"
        if ended:
            raise UserError(
                f"{what}, the parameters that would be tested: put it back, or train for longer, as by "
                f"resume={directory.path} trainer.steps={2 * progress.step}, which keeps the best from there on."
            ) from None
        log.warning("%s: the best parameters from step %d on are kept.", what, progress.step)
        progress.best, progress.best_step, progress.validations_since_best = -math.inf, -1, 0
