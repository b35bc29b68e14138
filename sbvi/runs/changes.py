"""What may change when a run goes on, and the record of what was changed.

A run that goes on with another length, budget or rhythm is the same run, and so is one whose data lies elsewhere now;
with anything else it would be another.
"""

import datetime
import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from sbvi.core import UserError
from sbvi.runs.compose import LENGTHS
from sbvi.runs.experiment import ABSENT
from sbvi.runs.whereabouts import PLACE, check_has_path
from sbvi.runs.words import flat, words

log = logging.getLogger(__name__)

#: Settings that a resumed run may be given anew, beside where it runs.
MAY_CHANGE = (
    "trainer.steps",
    "trainer.epochs",
    "trainer.examples",
    "trainer.max_minutes",
    "trainer.log_every",
    "trainer.validate_every",
    "trainer.patience",
    "trainer.checkpoint_minutes",
    "evaluation.num_samples",
    "evaluation.chunk",
    "evaluation.test",
)
#: Keys that change nothing of a run's numbers: where it is computed and where it is logged.
ELSEWHERE = ("runtime.", "logger.")
CHOSEN_ELSEWHERE = ("logger",)
#: Nor do these, of how often a run is told and saved.
RHYTHM = ("trainer.log_every", "trainer.checkpoint_minutes")


def changed(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A config with settings (dotted keys) given anew; a length clears the others.

    Raises:
      UserError: a setting that may not change.
    """
    new: dict[str, Any] = json.loads(json.dumps(config))
    given = [key for key in values if key in {f"trainer.{length}" for length in LENGTHS}]
    for key, value in sorted(values.items()):  # a choice before the keys of what is chosen
        group, _, name = key.partition(".")
        if key in CHOSEN_ELSEWHERE:
            new[group] = {"name": value}
            continue
        check_may_change(key, value)
        if key == PLACE:
            check_has_path("path" in new["dataset"], value)
        if len(given) == 1 and key in given:
            new[group] = {**new[group], **dict.fromkeys(LENGTHS)}
        new[group] = {**new.get(group, ABSENT.get(group, {})), name: value}
    return new


def check_may_change(key: str, value: object) -> None:
    """Refuse a setting of which a run cannot go on with another.

    Raises:
      UserError: it may not change.
    """
    if key not in (*MAY_CHANGE, PLACE) and not is_elsewhere(key):
        raise UserError(
            f"resume=DIR goes on with the run's own settings, and {key}={value} was given; what may change is "
            f"runtime.*, logger, logger.*, {PLACE} where the same data has moved, and {', '.join(MAY_CHANGE)}; to "
            "train with others, use init_from=DIR."
        )


def is_elsewhere(key: str) -> bool:
    """Whether a key changes nothing of a run's numbers."""
    return key in CHOSEN_ELSEWHERE or key.startswith(ELSEWHERE)


def of_numbers(key: str) -> bool:
    """Whether a run's numbers depend on a key, beyond the order of sums."""
    return not is_elsewhere(key) and key not in RHYTHM


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Key -> [value before, value after], of everything but where the run is computed and where it is logged."""
    there, here = (flat(words(json.loads(json.dumps(c)))) for c in (before, after))
    keys = sorted(set(there) | set(here))
    return {k: [there.get(k), here.get(k)] for k in keys if there.get(k) != here.get(k) and not k.startswith(ELSEWHERE)}


def identity(config: Mapping[str, Any], data: str) -> str:
    """What names a run in its checkpoints: a digest of its settings, those that may change left out, and of its data's.
    It is made once and recorded: a later version may have more settings."""
    kept = {k: v for k, v in flat(words(config)).items() if k not in MAY_CHANGE and not k.startswith(ELSEWHERE)}
    return hashlib.sha256(json.dumps([kept, data], sort_keys=True).encode()).hexdigest()[:16]


def noted(
    record: Mapping[str, Any], config: Mapping[str, Any], what: Mapping[str, list[Any]], step: int
) -> dict[str, Any]:
    """A run's record with a changed config and a line of its history."""
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    line = {"when": when, "step": step, "changed": dict(what)}
    return {**record, "config": dict(config), "history": [*record.get("history", []), line]}


def retrained_from(record: Mapping[str, Any], step: int) -> bool:
    """Whether a run went on from a step with other settings of training: a session that ended before its first
    checkpoint left the one of that step, which says how training stood before they were given."""
    given_there = [line.get("changed", {}) for line in record.get("history", []) if line.get("step") == step]
    return any(key.startswith("trainer.") for keys in given_there for key in keys)


def tell_schedules(config: Mapping[str, Any], what: Mapping[str, list[Any]]) -> None:
    """Say what happens to a schedule that spans the whole run when its length changes."""
    schedule = words(config).get("optimizer", {}).get("schedule", {})
    if schedule.get("kind") in ("cosine", "exponential") and any(f"trainer.{length}" in what for length in LENGTHS):
        log.warning(
            "optimizer.schedule.kind=%s spans the whole run: from here on the rate is that of a run of the new length, "
            "which may be higher than where it stood.",
            schedule["kind"],
        )
