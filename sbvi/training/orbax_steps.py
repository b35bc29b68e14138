"""Checkpoints that all processes of a run write together, through Orbax.

Every array is written by the processes that hold it, and read back as host arrays on any number of
processes and devices. Orbax makes a step appear whole or not at all; it does not notice a flipped bit, so
each array's digest stands in the step's metadata and is checked.
"""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sbvi.training.checkpoint import DamagedCheckpoint, arranged

FOLDER = "steps"
KEPT = 2  # the newest, and a spare


def _manager(folder: Path) -> Any:
    import orbax.checkpoint as ocp

    logging.getLogger("absl").setLevel(logging.ERROR)
    options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, enable_async_checkpointing=False)
    return ocp.CheckpointManager(folder.absolute() / FOLDER, item_names=("state", "metadata"), options=options)


def save(folder: Path, state: Any, metadata: dict[str, Any]) -> None:
    """state: arrays over the devices of all processes, which all call this."""
    import orbax.checkpoint as ocp

    located = jax.tree_util.tree_flatten_with_path(state)[0]
    step = int(metadata["step"])
    digests = {jax.tree_util.keystr(where): _digest(leaf) for where, leaf in located}
    arrays = {f"{number:04d}": leaf for number, (_, leaf) in enumerate(located)}
    with _manager(folder) as manager:
        if step in manager.all_steps(read=True):
            manager.delete(step)  # perhaps a damaged one, over which nothing would be saved
        manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.PyTreeSave(arrays),
                metadata=ocp.args.JsonSave({"metadata": metadata, "digests": digests}),
            ),
            force=True,
        )
        manager.wait_until_finished()


def saved_steps(folder: Path) -> list[int]:
    """Steps that processes have saved together, the newest first."""
    steps = folder / FOLDER
    names = [entry.name for entry in steps.iterdir()] if steps.is_dir() else []
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def load(folder: Path, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
    """One step as host arrays of the structure of `like`, and its metadata.

    Raises:
      DamagedCheckpoint: it cannot be read, was altered, or is of another model.
    """
    import orbax.checkpoint as ocp

    place = folder / FOLDER / str(step)
    try:
        with _manager(folder) as manager:
            document = manager.restore(step, args=ocp.args.Composite(metadata=ocp.args.JsonRestore()))["metadata"]
            digests, metadata = dict(document["digests"]), dict(document["metadata"])
            numbers = {f"{number:04d}": 0 for number in range(len(digests))}
            as_arrays = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), numbers)
            wanted = ocp.args.PyTreeRestore(numbers, restore_args=as_arrays)
            arrays = manager.restore(step, args=ocp.args.Composite(state=wanted))["state"]
    except Exception as error:  # Orbax and TensorStore raise many kinds
        reason = (str(error).splitlines() or [""])[0][:120]
        raise DamagedCheckpoint(f"{place} is damaged: it cannot be read ({type(error).__name__}: {reason}).") from None
    leaves = dict(zip(digests, (arrays[number] for number in numbers), strict=True))
    for name, array in leaves.items():
        if _digest(array) != digests[name]:
            raise DamagedCheckpoint(f"{place} is damaged: {name} does not match its digest.")
    return arranged(leaves, like, place), metadata


def all_loaded(folder: Path, like: Any) -> Iterator[tuple[Any, dict[str, Any]] | DamagedCheckpoint]:
    """What each saved step holds, the newest first; for a bad one, why."""
    for step in saved_steps(folder):
        try:
            yield load(folder, step, like)
        except DamagedCheckpoint as error:
            yield error


def _digest(leaf: Any) -> str:
    array = np.asarray(leaf)
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
