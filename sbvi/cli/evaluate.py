"""sbvi-evaluate: works on a trained run, `run=DIR task=NAME`, or on a decoder of the user's own."""

import contextlib
import io
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sbvi.cli import hydra_app, resolved
from sbvi.cli.catalogue import check
from sbvi.cli.help import Command
from sbvi.cli.progress import work_bar
from sbvi.cli.quoting import quoted
from sbvi.cli.reader import tell
from sbvi.core import UserError
from sbvi.core.configs import spelled
from sbvi.core.imports import uncollected
from sbvi.core.unknown import value_of

COMMAND = Command(
    name="sbvi-evaluate",
    sentence="sbvi-evaluate run=DIR [task=NAME] [task.KEY=VALUE ...]: of a trained run, by default task=likelihood.",
    groups=("task",),
    own={
        "run=DIR": "the run's directory; this or decoder=FILE must be given",
        "decoder=FILE": "a network of your own (.npz, .safetensors), for task=recover",
        "dataset.path=FILE": "where the run's data is now, if it has moved; checked to be the same",
        "folder=DIR": "where to write (default: evaluations/ in the run's directory)",
        "-m, --multirun": "several tasks or settings, one after another, as in task=likelihood,samples",
    },
    keys=("run", "decoder", "dataset", "folder"),
    examples={
        "sbvi-evaluate run=outputs/mine task=likelihood": "-log p of the test examples, with 5,000 samples each",
        "sbvi-evaluate run=outputs/mine task=imputation task.input=mine.csv task.output=filled.npz": "your own file",
        "sbvi-evaluate --help task=imputation": "every key of a task",
    },
)

#: What the words name that say of what an evaluation is.
PLACES = {"run": "folder", "decoder": "file"}


def main() -> None:
    """The entry point of `sbvi-evaluate`."""
    hydra_app.run(_task, "evaluate", COMMAND)


def _checked(config: Any) -> dict[str, Any]:
    """A composed config as plain data, checked as far as that needs no import of what evaluates.

    Raises:
      UserError: a key or value is none, or not one of run=DIR and decoder=FILE is given.
    """
    values = resolved.plain(config)
    check(values, COMMAND.groups, COMMAND.keys)
    decoder = values["decoder"]
    if decoder is not None and values["run"] is not None:
        raise UserError("Give run=DIR or decoder=FILE, not both.")
    if decoder is None and values["run"] is None:
        raise UserError(
            "run=DIR must be given, the directory of a run; or decoder=FILE, a network of your own, for task=recover."
        )
    for key in ("run", "decoder"):  # a folder's name that Hydra reads as a number
        if isinstance(values[key], int | float):
            typed = value_of(key, sys.argv[1:])  # 007 and True are no longer what was typed
            name = typed if typed and "," not in typed else spelled(values[key])
            raise UserError(
                f"{key}={name} is read as a number or a truth value; a {PLACES[key]} of that name stands in quotes: "
                f"{quoted(key, name)}."
            )
    if not isinstance(decoder or values["run"], str) or not isinstance(values["task"], dict):
        raise UserError(
            f"run={values['run']} must be the folder of a run, or decoder=FILE a network, for task=recover."
        )
    if not isinstance(values["dataset"], dict) or set(values["dataset"]) != {"path"}:
        raise UserError("Of the run's data set dataset.path=FILE alone can be given: where the data is now.")
    return values


def _task(config: Any) -> None:
    values = _checked(config)
    decoder = values["decoder"]

    with uncollected():
        from sbvi.core import build, plain
        from sbvi.core.precision import in_float32
        from sbvi.runs import load_run
        from sbvi.tasks import TASKS, DecoderTask, Task
        from sbvi.tasks.checked import checked, title_of
        from sbvi.tasks.files import own_name, writable

    task: Task = build(TASKS, "task", values["task"])
    title = title_of(task)
    if decoder is None:
        run = load_run(values["run"], data_path=values["dataset"]["path"])
        folder = writable(Path(values["folder"] or run.directory.path / "evaluations"))
        with work_bar():
            result = checked(in_float32(task.run)(run), task)
    elif isinstance(task, DecoderTask):
        folder = writable(Path(values["folder"] or "evaluations"))
        with work_bar():
            result = checked(in_float32(task.on_decoder)(decoder), task, "on_decoder")
    else:
        serving = ", ".join(name for name, entry in TASKS.items() if issubclass(entry, DecoderTask))
        raise UserError(f"task={values['task']['name']} needs run=DIR; with decoder=FILE: task={serving}.")
    settings = {"name": values["task"]["name"], **plain(task)}
    with own_name(folder, title, settings, decoder) as name, _taken(folder / name):
        drawn = _write(folder, name, name.removeprefix(title), settings, result)
    tell(
        *([result.table] if result.table else (f"{key}: {value:.4f}" for key, value in result.scalars.items())),
        f"written: {folder / name}.json and .npz",
        *(f"  {path}" for path in drawn),
        *([f"  {settings['output']}"] if settings.get("output") else []),
        *(f"  {path}" for path in result.beside),
    )


@contextlib.contextmanager
def _taken(place: Path) -> Iterator[None]:
    """Within, an error of the disk becomes a sentence that names the file, where that is known, or else the place.

    Raises:
      UserError: something cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or place} cannot be written ({error.strerror or error}).") from None


def _write(folder: Path, name: str, tail: str, settings: dict[str, Any], result: Any) -> list[Path]:
    """The files of what was found, NAME.json last; the pictures and animations among them.

    tail: what tells the names of pictures apart.
    """
    import numpy as np

    from sbvi.core.atomic import write_atomically
    from sbvi.reporting.images import save_gif
    from sbvi.reporting.panels import save_picture
    from sbvi.reporting.projector import write_projector
    from sbvi.reporting.tensorboard import TensorBoard

    content = {
        "task": settings,
        "command": sys.argv[1:],
        "metrics": {key: value if math.isfinite(value) else None for key, value in result.scalars.items()},
        **result.about,
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **result.arrays)
    write_atomically(folder / f"{name}.npz", buffer.getvalue())
    board = TensorBoard(folder / name)
    board.scalars(0, result.scalars)
    drawn: list[Path] = []
    for title, picture in result.pictures.items():
        files, seen = save_picture(folder, f"{title}{tail}", picture)
        board.image(0, title, seen)
        drawn += files
    for title, frames in result.animations.items():
        drawn.append(folder / f"{title}{tail}.gif")
        save_gif(drawn[-1], frames)
    board.close()
    if (shown := result.projection) is not None:
        write_projector(folder / name, shown.name, shown.points, shown.label, shown.images)
    write_atomically(folder / f"{name}.json", (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
    return drawn


_task.check = _checked  # type: ignore[attr-defined]  # of several evaluations, before the first begins


if __name__ == "__main__":
    main()
