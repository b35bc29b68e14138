"""What data the trials of a search's study were trained on: those of other data cannot be ranked with them.

The first trial leaves the digest of its data with the study, and each one after it compares its own before it trains. A
study whose trials are all of an earlier version has none, and takes that of the next trial.
"""

import contextlib
import functools
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sbvi.core import UserError
from sbvi.sweeps.pruning import opened, running_trial

log = logging.getLogger(__name__)

#: What the refusal of other data says, by which a trial's own is known.
UNRANKED = "has trials on other data than is found now"
#: What of a search's own settings names the data: where one of these is searched over, trials may differ by it.
PLACES = ("dataset", "dataset.path", "experiment")


def study_data(sweeper: Any) -> Callable[[Any, str], None] | None:
    """What a trial's run tells of its experiment and the digest of its data; None where no study is kept.

    sweeper: Hydra's config of the sweeper; None of a run by itself.
    """
    storage, name = (getattr(sweeper, key, None) for key in ("storage", "study_name"))
    if not isinstance(storage, str) or not name:
        return None
    return functools.partial(check_data, storage, str(name))


def check_returned(storage: str, name: str, jobs: Sequence[Any]) -> None:
    """End a search of which one of the jobs that a launcher gives back was refused for its data: its other trials would
    be too. The study is told how the trials of these jobs ended, which the sweeper does not come to.

    Raises:
      UserError: what that job says.
    """
    refused = next((said for job in jobs if UNRANKED in (said := str(getattr(job, "_return_value", "")))), None)
    if refused is None:
        return
    import optuna

    with contextlib.suppress(optuna.exceptions.OptunaError, KeyError, OSError, RuntimeError):
        kept = opened(storage)
        try:
            study = optuna.load_study(study_name=name, storage=kept, sampler=optuna.samplers.RandomSampler())
            for job in jobs:
                _tell(study, job.overrides or (), job._return_value)
        finally:
            kept.engine.dispose()
    raise UserError(refused)


def _tell(study: Any, words: Iterable[str], value: Any) -> None:
    """Tell a study how the trial of a job with these overrides ended: its score, a number, or that it failed."""
    import optuna

    if (own := running_trial(study, words)) is None:
        return
    if isinstance(value, int | float):
        study.tell(own.number, float(value))
    else:
        study.tell(own.number, state=optuna.trial.TrialState.FAIL)


def check_data(storage: str, name: str, experiment: Any, digest: str) -> None:
    """Refuse to train a trial on other data than those before it; leave the digest of the first with the study.

    Raises:
      UserError: the data of the trials that are completed there is other data.
    """
    import optuna

    settings = dict(experiment.to_config()["dataset"])
    path = settings.pop("path", None)
    complete = optuna.trial.TrialState.COMPLETE
    try:
        kept = opened(storage)
        try:
            sampler = optuna.samplers.RandomSampler()  # nothing is sampled here
            study = optuna.load_study(study_name=name, storage=kept, sampler=sampler)
            trials = study.get_trials(deepcopy=False)
            # By its place too only where that is searched over: the same file may be named in another way.
            place = path if any(key in trial.params for trial in trials for key in PLACES) else None
            # Settings such as the seed of the split may be searched over, by which a trial's data is another.
            text = json.dumps([settings, place, experiment.model.binary], sort_keys=True)
            key = f"data {hashlib.sha256(text.encode()).hexdigest()[:16]}"
            there = study.user_attrs.get(key)
            if there == digest:
                return
            if there is None or not any(trial.state == complete for trial in trials):
                study.set_user_attr(key, digest)
                return
        finally:
            kept.engine.dispose()
    except (optuna.exceptions.StorageInternalError, KeyError, OSError, RuntimeError) as error:
        log.warning(
            "The study %s of %s cannot be asked what data its trials are of (%s); the trial goes on.",
            *(name, storage, str(error).splitlines()[0]),
        )
        return
    own = "" if path is None else f" in {path}"
    raise UserError(
        f"The study {name} of {storage} {UNRANKED}{own}, so that their scores cannot be "
        "ranked together; give another hydra.sweep.dir or hydra.sweeper.study_name."
    )
