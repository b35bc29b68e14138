"""sbvi-evaluate: works on a trained run, `run=DIR task=NAME`."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from sbvi.cli import hydra_app
from sbvi.core import UserError, unknown_key


def main() -> None:
    """The entry point of `sbvi-evaluate`."""
    hydra_app.run(_task, "evaluate", known_keys)


def known_keys(group: str) -> Sequence[str]:
    from sbvi.core import fields
    from sbvi.tasks import TASKS

    if group == "task":
        return sorted({key for entry in TASKS.values() for key in fields(entry)})
    return [] if group else ["run", "task"]


def _task(config: Any) -> None:
    import numpy as np

    from sbvi.core import build, plain
    from sbvi.core.atomic import write_atomically
    from sbvi.reporting.images import save_png
    from sbvi.reporting.projector import write_projector
    from sbvi.reporting.tensorboard import TensorBoard
    from sbvi.runs import load_run
    from sbvi.tasks import TASKS, Task

    values = hydra_app.plain(config)
    for key in values:
        if key not in ("run", "task"):
            raise unknown_key(key, values[key], ["run", "task"])
    if not isinstance(values["run"], str) or not isinstance(values["task"], dict):
        raise UserError(f"run={values['run']} must be the folder of a run.")
    task: Task = build(TASKS, "task", values["task"])
    run = load_run(values["run"])
    found = task.run(run)
    folder = run.directory.path / "evaluations"
    folder.mkdir(exist_ok=True)
    content = {
        "task": {"name": values["task"]["name"], **plain(task)},
        "command": sys.argv[1:],
        "metrics": found.scalars,
        **found.about,
    }
    with open(folder / f"{task.title}.npz.tmp", "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **found.arrays)
    (folder / f"{task.title}.npz.tmp").replace(folder / f"{task.title}.npz")
    board = TensorBoard(folder / task.title)
    board.scalars(0, found.scalars)
    for name, picture in found.pictures.items():
        save_png(folder / f"{name}.png", picture)
        board.image(0, name, picture)
    board.close()
    if (shown := found.projection) is not None:
        write_projector(folder / task.title, shown.name, shown.points, shown.label, shown.images)
    write_atomically(folder / f"{task.title}.json", (json.dumps(content, indent=2) + "\n").encode())
    if found.table:
        print(found.table)
    else:
        for key, value in found.scalars.items():
            print(f"{key}: {value:.4f}")
    print(
        f"written: {folder / task.title}.json and .npz",
        *(folder / f"{name}.png" for name in found.pictures),
        sep="\n  ",
    )


if __name__ == "__main__":
    main()
