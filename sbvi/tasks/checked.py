"""What a task gives is checked before any of it is written: a package's may give what nothing can be made of."""

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.core.errors import reason
from sbvi.core.plugins import called, ours
from sbvi.reporting.images import save_gif
from sbvi.reporting.panels import Panel, save_picture
from sbvi.tasks.task import Projection, TaskResult

#: Of the file that `about` is written into beside these, and arguments of NumPy's function that writes arrays.
_OWN_FACTS, _OWN_ARRAYS = ("task", "command", "metrics"), ("file", "allow_pickle")
#: How much of a value a sentence shows.
_SHOWN = 60


def title_of(task: Any) -> str:
    """A task's title, with which names of files begin.

    Raises:
      UserError: it is no such text.
    """
    if not _names_a_file(title := task.title):
        _refuse(f"{called(type(task), 'title')} gives", title, "", "a text that can begin a file's name")
    return str(title)


def checked(result: Any, task: Any, function: str = "run") -> TaskResult:
    """What a task's function gave: numbers as Python's, arrays as NumPy's.

    Raises:
      UserError: the first part that cannot be printed, drawn or kept.
    """
    gives = f"{called(type(task), function)} gives"
    if not isinstance(result, TaskResult):
        _refuse(gives, result, "", "a sbvi.tasks.TaskResult")
    if not isinstance(result.table, str):
        _refuse(gives, result.table, "table", "a text")
    if not isinstance(result.beside, list | tuple) or not all(isinstance(path, str | Path) for path in result.beside):
        _refuse(gives, result.beside, "beside", "paths of files")
    _check_facts(gives, _named(gives, "about", result.about))
    if result.projection is not None:
        _check_projection(gives, result.projection)
    made = dataclasses.replace(
        result,
        scalars={k: _number(gives, k, v) for k, v in _named(gives, "scalars", result.scalars).items()},
        arrays={k: _kept(gives, k, v) for k, v in _named(gives, "arrays", result.arrays).items()},
        pictures={k: _picture(gives, k, v) for k, v in _named(gives, "pictures", result.pictures).items()},
        animations={k: _frames(gives, k, v) for k, v in _named(gives, "animations", result.animations).items()},
    )
    if not ours(type(task)):  # others are drawn once, as they are written
        _try_drawing(gives, made)
    return made


def _refuse(gives: str, value: Any, part: str, allowed: str) -> NoReturn:
    """part: of the result, as which it is given."""
    try:
        said = " ".join(repr(value).split())
    except Exception:  # of a class of any kind
        said = type(value).__name__
    said = said if len(said) <= _SHOWN else f"{said[:_SHOWN]}..."
    _end(gives, said, part, allowed)


def _refuse_array(gives: str, value: Any, part: str, allowed: str) -> NoReturn:
    if not isinstance(shape := getattr(value, "shape", None), tuple):
        _refuse(gives, value, part, allowed)
    _end(gives, f"an array of shape {shape} and dtype {value.dtype}", part, allowed)


def _end(gives: str, said: str, part: str, allowed: str) -> NoReturn:
    raise UserError(f"{gives} {said}{f' as {part}' if part else ''}; allowed: {allowed}.")


def _names_a_file(name: Any) -> bool:
    return isinstance(name, str) and name.isprintable() and "/" not in name and bool(name.strip(" ."))


def _named(gives: str, part: str, values: Any) -> Mapping[str, Any]:
    """What is given under names."""
    if not isinstance(values, Mapping):
        _refuse(gives, values, part, "a dict by names")
    files = part in ("pictures", "animations")
    taken = {"about": _OWN_FACTS, "arrays": _OWN_ARRAYS}.get(part, ())
    for name in values:
        if not (_names_a_file(name) if files else isinstance(name, str) and bool(name)) or name in taken:
            allowed = "texts that can begin a file's name" if files else "texts"
            other = f" other than {', '.join(taken)}" if taken else ""
            _refuse(gives, name, f"a name of {part}", allowed + other)
    return values


def _array(value: Any) -> np.ndarray:
    """As NumPy's; of what is none, one of objects."""
    try:
        return np.asarray(value)
    except Exception:  # rows that differ in length, values of a compiled function
        return np.empty(0, object)


def _number(gives: str, name: str, value: Any) -> float:
    if isinstance(value, int) and abs(value) < 1e300:  # of any size
        return float(value)
    array = _array(value)
    if array.ndim or not (array.dtype.kind in "buif" or array.dtype == jnp.bfloat16):
        _refuse(gives, value, f"scalars[{name!r}]", "a real number")
    return float(array)


def _kept(gives: str, name: str, value: Any) -> np.ndarray:
    array = _array(value)
    if array.dtype.hasobject:
        _refuse(gives, value, f"arrays[{name!r}]", "an array of numbers or texts")
    return array


def _check_facts(gives: str, about: Mapping[str, Any]) -> None:
    for name, value in about.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            allowed = "what JSON holds: texts, finite numbers, lists, and dicts by texts"
            _refuse(gives, value, f"about[{name!r}]", allowed)


def _pixels(value: Any, rank: int) -> np.ndarray | None:
    """Pixels (..., H, W) or (..., H, W, C) uint8, C = 3 or 4, of so many axes in the former; None of what are none."""
    array = _array(value)
    array = 255 * array.astype(np.uint8) if array.dtype == bool else array
    fits = array.ndim == rank or (array.ndim == rank + 1 and array.shape[-1] in (3, 4))
    return array if fits and array.dtype == np.uint8 and array.size else None


def _picture(gives: str, name: str, value: Any) -> Any:
    if hasattr(value, "savefig"):  # a figure, whose class is imported where one is drawn
        return value
    bare = value.picture if isinstance(value, Panel) else value
    if (pixels := _pixels(bare, 2)) is None:
        allowed = "pixels (H, W) or (H, W, 3 or 4) uint8, alone or in a Panel, or a figure"
        _refuse_array(gives, bare, f"pictures[{name!r}]", allowed)
    return value._replace(picture=pixels) if isinstance(value, Panel) else pixels


def _frames(gives: str, name: str, value: Any) -> np.ndarray:
    if (pixels := _pixels(value, 3)) is None:
        _refuse_array(gives, value, f"animations[{name!r}]", "frames (T, H, W) or (T, H, W, 3 or 4) uint8")
    return pixels


def _check_projection(gives: str, shown: Any) -> None:
    allowed = "a Projection of points (N, K), labels (N,) and images (N, H, W[, C]), numbers, and a name"
    if not isinstance(shown, Projection):
        _refuse(gives, shown, "projection", allowed)
    parts = ((shown.points, (2,)), (shown.label, (1,)), (shown.images, (3, 4)))
    given = [(_simple(part), ranks) for part, ranks in parts if part is not None]
    fit = shown.points is not None and all(a.ndim in ranks and len(a) == len(given[0][0]) for a, ranks in given)
    if not fit or not isinstance(shown.name, str) or any(array.dtype.kind not in "buifU" for array, _ in given):
        shapes = ", ".join(f"{array.shape} {array.dtype}" for array, _ in given)
        _end(gives, f"parts of {shapes}", "projection", allowed)


def _simple(part: Any) -> np.ndarray:
    """With texts that a frame's column holds as objects, and bfloat16, as NumPy has them."""
    array = _array(part)
    if array.dtype == object and all(isinstance(each, str) for each in array.ravel()):
        return array.astype(str)
    return array.astype(np.float32) if array.dtype == jnp.bfloat16 else array


def _try_drawing(gives: str, result: TaskResult) -> None:
    """Draw all there is, elsewhere: a figure may fail only then, as for a formula in its title.

    Raises:
      UserError: the first picture that cannot be drawn.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, picture in result.pictures.items():
            with _drawing(f"{gives} pictures[{name!r}]"):
                save_picture(Path(folder), "tried", picture)
        for name, frames in result.animations.items():
            with _drawing(f"{gives} animations[{name!r}]"):
                save_gif(Path(folder, "tried.gif"), frames)


@contextlib.contextmanager
def _drawing(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, UserError):  # of the disk
        raise
    except Exception as error:  # whatever Matplotlib raises
        raise UserError(f"{what}, which cannot be drawn ({reason(error)}).") from error
