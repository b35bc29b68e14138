"""Training from Python, without a terminal."""

import contextlib
import datetime
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sbvi.core import UserError
from sbvi.core.atomic import write_atomically
from sbvi.core.leftovers import JOB_LEAVINGS, Before, forget
from sbvi.core.places import path_of
from sbvi.data.checks import Frames, unmasked
from sbvi.data.formats.own_files import ARRAYS
from sbvi.data.own import in_memory
from sbvi.data.tabular.split_column import SPLITS
from sbvi.runs.compose import checked_words
from sbvi.runs.directory import KEPT_ARRAYS, KEPT_PARQUET, KEPT_TEXT, RunDirectory
from sbvi.runs.experiment import Experiment
from sbvi.runs.frame_files import kept_frame, same_content
from sbvi.runs.frame_splits import is_frame, joined
from sbvi.runs.loaded import LoadedRun, load_run
from sbvi.runs.train import train as train_run

if TYPE_CHECKING:
    import pandas


def train(
    experiment: Experiment | Sequence[str] = (),
    directory: Path | str | None = None,
    *,
    x: "np.ndarray | pandas.DataFrame | Mapping[str, np.ndarray | pandas.DataFrame] | None" = None,
    labels: "np.ndarray | Mapping[str, np.ndarray] | None" = None,
) -> LoadedRun:
    """Train and test one experiment in a directory, or go on where an earlier call stopped.

    Args:
      experiment: what to train, or the overrides that `sbvi-train` would be given, such as `["dataset=mnist"]`.
      directory: the run's directory; made when absent. By default a new one below outputs/.
      x: data in memory in place of `dataset=`: an array (N, ...), from which validation and test examples are split
        off; a DataFrame; or a dict of either with the keys train, validation and test, of which train must be there,
        frames matched by the names of their columns, and with the training frame's order of categories. It is kept in
        the run's directory, as data.npz, data.csv or, where text would not hold a frame's dtypes, data.parquet; frames
        by split as one with a column `split`.
      labels: of every example, (N,); a dict where x is one; of a DataFrame the name of a column is given instead, as
        dataset.labels=NAME.

    Returns:
      The trained run, as `load_run` gives it.

    Raises:
      UserError: the experiment or the data is wrong, the directory holds another run or is in use, or the run failed or
        was stopped.
    """
    if not isinstance(experiment, Experiment):
        experiment = checked_words(experiment)
    folder = path_of(directory, "directory") if directory is not None else _new()
    known, stood, kept, path, argument = folder.exists(), Before.of([folder]), None, Path(), "x"
    if x is None:
        if labels is not None:
            raise UserError("labels are of x=, which was not given.")
        chosen = experiment if isinstance(experiment, Experiment) else Experiment.from_overrides(experiment)
    else:
        if isinstance(experiment, Experiment):
            raise UserError("x= goes with a list of overrides; an Experiment has data of its own.")
        if named := [word for word in experiment if word.lstrip("+").startswith(("dataset=", "dataset.path="))]:
            raise UserError(f"x= is the data, and {named[0]} was given too.")
        told = _told(experiment) if _has_categories(x) else {}
        argument = _argument(x)
        x, words = _as_one(x, experiment, told)
        kind, path, content = _kept(x, labels, folder, told)
        chosen = Experiment.from_overrides([f"dataset={kind}", f"dataset.path={path.name}", *words, *experiment])
        # Not as a word, whose grammar has marks that a folder's name may have too.
        chosen = replace(chosen, dataset=replace(chosen.dataset, path=str(path)))
        kept = path if _write(path, content) else None
    try:
        with contextlib.nullcontext() if x is None else in_memory(path, argument):
            result = train_run(chosen, folder)
    except BaseException as error:
        if x is not None and isinstance(error, UserError):
            error.args = (_of_argument(str(error), path, isinstance(x, Mapping)),)
        if not RunDirectory(folder).has_run():  # what never began leaves nothing behind
            if kept is not None:
                kept.unlink(missing_ok=True)
            if not known:
                forget(folder, JOB_LEAVINGS, stood)
        raise
    if result["status"] != "completed":
        raise UserError(f"{folder} is {result['status']} ({result.get('reason', '')}); the same call goes on.")
    return load_run(folder)


def _new() -> Path:
    """A directory as `sbvi-train` names it."""
    return Path("outputs") / datetime.datetime.now().strftime("%Y-%m-%d/%H-%M-%S-%f")


def _has_categories(x: Any) -> bool:
    """Whether a frame, or one of several, has a column whose dtype is of categories."""
    frames = filter(is_frame, x.values() if isinstance(x, Mapping) and not is_frame(x) else [x])
    return any(str(dtype) == "category" for frame in frames for dtype in frame.dtypes)


def _argument(x: Any) -> str:
    """What sentences call x, by which they find a row of frames by split in its own."""
    if not isinstance(x, Mapping) or not all(map(is_frame, x.values())):
        return "x"
    return Frames("x", [(f"x[{name!r}]", len(x[name])) for name in SPLITS if name in x])


def _told(given: Sequence[str]) -> dict[str, Any]:
    """What overrides say of a table's columns: of each its kind or ranks; labels and splits are no columns of it."""
    dataset: Any = Experiment.from_overrides(["dataset=table", "dataset.path=x", *given]).dataset
    apart = [name for name in (dataset.labels, dataset.split) if name is not None]
    return {str(name): kind for name, kind in (dataset.columns or {}).items()} | dict.fromkeys(apart, "ignored")


def _as_one(x: Any, given: Sequence[str], told: Mapping[str, Any] | None = None) -> tuple[Any, list[str]]:
    """Frames by split as one, and the override that names the column of splits, or where their columns have no names as
    arrays by split; anything else as it is.

    Raises:
      UserError: see `joined`; or such a column is given too.
    """
    if not isinstance(x, Mapping) or not any(map(is_frame, x.values())):
        return x, []
    if named := [word for word in given if word.lstrip("+").startswith("dataset.split=")]:
        raise UserError(f"x= is by split, and {named[0]} was given too.")
    frame, column = joined(x, told)
    return frame, [] if column is None else [f"dataset.split={column}"]


def _kept(x: Any, labels: Any, folder: Path, told: Mapping[str, Any] | None = None) -> tuple[str, Path, bytes]:
    """The name of the data set, the file that data in memory is kept in, and its content; told: see `kept_frame`.

    Raises:
      UserError: the data has no such form.
    """
    if isinstance(x, str | Path):
        kind = "npz" if str(x).lower().endswith(ARRAYS) else "table"
        what = "text" if isinstance(x, str) else "a path"
        raise UserError(
            f"x={str(x)!r} is {what}, and must be an array, a DataFrame or a dict of either; a file is given by "
            f"overrides, as dataset={kind} dataset.path={x}."
        )
    if hasattr(x, "to_csv"):
        if not hasattr(x, "columns"):
            raise UserError(f"x is a {type(x).__name__}; it must be an array, a DataFrame or a dict of either.")
        if labels is not None:
            raise UserError("labels of a DataFrame are one of its columns, given as dataset.labels=NAME.")
        name, content = kept_frame(x, told)
        return "table", (folder / name).absolute(), content
    if hasattr(x, "to_pandas") and hasattr(x, "columns"):  # of Arrow's, which NumPy takes for an array without names
        raise UserError(f"x is a {type(x).__name__} of {type(x).__module__.partition('.')[0]}; give x.to_pandas().")
    arrays = {f"x_{name}": _plain(value, "x") for name, value in _by_split(x, "x").items()}
    arrays |= {f"y_{name}": _plain(value, "labels") for name, value in _by_split(labels, "labels").items()}
    if "x_train" not in arrays:
        raise UserError(f"x has the keys {', '.join(x)}; train must be one of them.")
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: arrays[name] for name in sorted(arrays)})
    return "npz", (folder / KEPT_ARRAYS).absolute(), buffer.getvalue()


def _of_argument(sentence: str, path: Path, by_split: bool) -> str:
    """A sentence about the file in which data in memory is kept, as one about the argument that the caller gave."""
    for prefix, name in (("x", "x"), ("y", "labels")):
        for part in SPLITS:
            own = f"{name}[{part!r}]" if by_split else name
            sentence = sentence.replace(f"{path}: {prefix}_{part} ", f"{own} ").replace(
                f", {prefix}_{part} ", f", {own} "
            )
    return sentence.replace(f"dataset.path={path}", "x").replace(str(path), "x")


def _plain(values: Any, what: str) -> np.ndarray:
    """Values as an array that a file can hold; labels that are objects, as frames have them, as words or whole numbers.

    Raises:
      UserError: they are other objects, or hidden by a mask.
    """
    array = unmasked(values, what)
    if array.dtype.kind != "O":
        return array
    if what == "labels":
        for kind, dtype in ((str, np.str_), (int | np.integer, np.int64)):
            if all(isinstance(value, kind) for value in array.flat):
                return array.astype(dtype)
    allowed = "whole numbers or words, none of them missing" if what == "labels" else "numeric"
    raise UserError(f"{what} has dtype object; it must be {allowed}.")


def _by_split(values: Any, what: str) -> Mapping[str, Any]:
    if values is None:
        return {}
    named: Mapping[str, Any] = values if isinstance(values, Mapping) else {"train": values}
    if odd := [name for name in named if name not in SPLITS]:
        raise UserError(f"{what} has the key {odd[0]}; allowed: {', '.join(SPLITS)}.")
    return named


def _write(path: Path, content: bytes) -> bool:
    """Write the file of a run's data, which stays as it is; False when it was there.

    Raises:
      UserError: the directory holds other data, or a run on other data.
    """
    if path.exists() and not same_content(path, content):
        raise UserError(f"{path} holds other data than x; use another directory.")
    there = RunDirectory(path.parent)
    known = there.read_run()["config"].get("dataset", {}).get("path", "") if there.has_run() else str(path)
    moved = path.exists() and Path(known).name == path.name  # the run with its folder; the same x lies in it
    if known != str(path) and not moved:
        earlier = path.name == KEPT_PARQUET and known == str(path.with_name(KEPT_TEXT))
        goes_on = f", or, where an earlier version kept x as text, resume={path.parent}" if earlier else ""
        raise UserError(f"{path.parent} holds another run, on other data than x; use another directory{goes_on}.")
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return True
