"""What run.json and result.json must hold for the commands that read them: a file that was edited or damaged and is
still JSON would else be met in the middle of one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sbvi.core import UserError
from sbvi.reporting.metrics import is_number

#: Of result.json: numbers, or null where one was not finite.
NUMBERS = (
    "epochs",
    "best_step",
    "best_validation",
    "examples_per_second",
    "train_seconds",
    "earlier_train_seconds",
    "wall_seconds",
)
#: Of result.json: how a session ended.
STATUSES = ("completed", "stopped", "failed")
#: Of result.json, where a run is completed or stopped.
ENDED = ("steps", "epochs", "train_seconds", "wall_seconds")


def check_data(data: Mapping[str, Any], path: Path) -> None:
    """Refuse a run.json that says of its data what none is.

    Raises:
      UserError: the key, what it holds, and what it must.
    """
    may_lack = data.get("preprocessing")
    if may_lack is not None and not isinstance(may_lack, Mapping):
        raise UserError(f"{path} holds {may_lack!r} as data.preprocessing; it must be a group of settings.")
    classes = data.get("classes", 0)
    if type(classes) is not int or classes < 0:
        raise UserError(f"{path} holds {classes!r} as data.classes; it must be a whole number of 0 or more.")


def check_record(record: Mapping[str, Any], path: Path) -> None:
    """Refuse a run.json whose name or history is none.

    Raises:
      UserError: the key, what it holds, and what it must.
    """
    if not isinstance(record.get("identity", ""), str):
        raise UserError(f"{path} holds {record['identity']!r} as identity, which must be a text.")
    history = record.get("history", [])
    if not isinstance(history, list) or not all(map(_is_change, history)):
        raise UserError(
            f"{path} holds {history!r} as history; it must be a list of changes, each with its step and what was "
            "changed."
        )


def _is_change(line: Any) -> bool:
    return isinstance(line, Mapping) and type(line.get("step")) is int and isinstance(line.get("changed"), Mapping)


def check_result(result: Mapping[str, Any], path: Path) -> None:
    """Refuse a result.json whose numbers are none.

    Raises:
      UserError: the key, what it holds, and what it must.
    """
    metrics = result.get("metrics", {})
    if not isinstance(metrics, dict):
        raise UserError(f"{path} holds {metrics!r} as metrics, and no names with numbers.")
    for name, value in {**metrics, **{key: result[key] for key in NUMBERS if key in result}}.items():
        if value is not None and not is_number(value):
            raise UserError(f"{path} holds {value!r} as {name}, which is no finite number.")
    steps = result.get("steps", 0)
    if type(steps) is not int or steps < 0:
        raise UserError(f"{path} holds {steps!r} as steps; it must be a whole number of 0 or more.")
    if result.get("status", STATUSES[0]) not in STATUSES:
        raise UserError(f"{path} holds {result['status']!r} as status; allowed: {', '.join(STATUSES)}.")
    for name in ("reason", "monitor"):
        if not isinstance(result.get(name, ""), str):
            raise UserError(f"{path} holds {result[name]!r} as {name}, which must be a text.")


def check_ended(result: Mapping[str, Any], path: Path) -> None:
    """Refuse the result of a run that has ended, where it lacks what is told of one.

    Raises:
      UserError: what it lacks, and what makes it whole again.
    """
    if lacking := [name for name in ENDED if result.get(name) is None]:
        raise UserError(
            f"{path} lacks {', '.join(lacking)}, which every run that has ended has; without this file the same "
            f"command tests the run's parameters again and writes it anew."
        )
