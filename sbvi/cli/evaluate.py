"""sbvi-evaluate: works on a trained run, `run=DIR task=NAME`."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sbvi.cli import hydra_app
from sbvi.core import UserError, unknown_key

KEYS = ["run", "task", "dataset", "folder"]


def main() -> None:
    """The entry point of `sbvi-evaluate`."""
    hydra_app.run(_task, "evaluate", known_keys)


def known_keys(group: str) -> Sequence[str]:
    from sbvi.core import fields
    from sbvi.tasks import TASKS

    if group == "task":
        return sorted({key for entry in TASKS.values() for key in fields(entry)})
    return ["path"] if group == "dataset" else [] if group else KEYS


def _task(config: Any) -> None:
    import numpy as np

    from sbvi.core import build, plain
    from sbvi.core.atomic import write_atomically
    from sbvi.reporting.images import save_png
    from sbvi.reporting.projector import write_projector
    from sbvi.reporting.tensorboard import TensorBoard
    from sbvi.runs import load_run
    from sbvi.tasks import TASKS, Task
    from sbvi.tasks.files import unused_name, writable

    values = hydra_app.plain(config)
    for key in values:
        if key not in KEYS:
            raise unknown_key(key, values[key], KEYS)
    if not isinstance(values["run"], str) or not isinstance(values["task"], dict):
        raise UserError(f"run={values['run']} must be the folder of a run.")
    if not isinstance(values["dataset"], dict) or set(values["dataset"]) != {"path"}:
        raise UserError("Of the run's data set dataset.path=FILE alone can be given: where the data is now.")
    task: Task = build(TASKS, "task", values["task"])
    run = load_run(values["run"], data_path=values["dataset"]["path"])
    folder = writable(Path(values["folder"] or run.directory.path / "evaluations"))
    found = task.run(run)
    settings = {"name": values["task"]["name"], **plain(task)}
    name = unused_name(folder, task.title, settings)
    tail = name.removeprefix(task.title)
    content = {
        "task": settings,
        "command": sys.argv[1:],
        "metrics": {key: value if math.isfinite(value) else None for key, value in found.scalars.items()},
        **found.about,
    }
    with open(folder / f"{name}.npz.tmp", "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **found.arrays)
    (folder / f"{name}.npz.tmp").replace(folder / f"{name}.npz")
    board = TensorBoard(folder / name)
    board.scalars(0, found.scalars)
    for title, picture in found.pictures.items():
        save_png(folder / f"{title}{tail}.png", picture)
        board.image(0, title, picture)
    board.close()
    if (shown := found.projection) is not None:
        write_projector(folder / name, shown.name, shown.points, shown.label, shown.images)
    write_atomically(folder / f"{name}.json", (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
    if found.table:
        print(found.table)
    else:
        for key, value in found.scalars.items():
            print(f"{key}: {value:.4f}")
    print(
        f"written: {folder / name}.json and .npz",
        *(folder / f"{title}{tail}.png" for title in found.pictures),
        sep="\n  ",
    )


if __name__ == "__main__":
    main()
