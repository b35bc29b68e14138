"""A trial of a search that stops early: its validation bound tells that others before it were better.

A search's trials are runs of their own, in this process or another, and what they have in common is the study in
its database. A run finds its trial there by its words, reports each validation to it, and asks Optuna's pruner.
"""

import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from sbvi.core import NonNegativeInt, UserError, make, spec
from sbvi.sweeps.databases import alone

log = logging.getLogger(__name__)

#: Seconds that a trial waits for a study's SQLite file that others write.
PATIENCE = 60.0


@spec
class Pruning:
    """When a trial stops early."""

    rule: Literal["median", "halving"] | None = None
    """`median`: its best validation so far is below the median of what completed trials had at that step. `halving`: it
    is not among the best quarter at 1, 4, 16 ... times the first validation (successive halving). null: never."""
    startup_trials: NonNegativeInt = 5
    """Under `median`: none stops before so many trials are complete."""
    first_step: NonNegativeInt = 0
    """Under `median`: none stops before this step."""


class Pruner:
    """A run's trial in its study."""

    def __init__(self, settings: Pruning, storage: str, study_name: str, words: Sequence[str], every: int):
        """words: the overrides of the run's job, the trial's settings among them. every: steps between validations.

        Raises:
          UserError: the study cannot be read, or has no such trial.
        """
        import optuna

        optuna.logging.set_verbosity(logging.WARNING)
        if settings.rule == "median":
            pruner: Any = optuna.pruners.MedianPruner(settings.startup_trials, settings.first_step)
        else:
            pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=max(1, every), reduction_factor=4)
        self._faults = (optuna.exceptions.StorageInternalError, RuntimeError, KeyError)
        try:
            kept = opened(storage)
            sampler = optuna.samplers.RandomSampler()  # nothing is sampled here
            study = optuna.load_study(study_name=study_name, storage=kept, sampler=sampler, pruner=pruner)
        except (optuna.exceptions.StorageInternalError, KeyError, OSError) as error:
            raise UserError(f"pruning: the study {study_name} of {storage} cannot be read ({error}).") from None
        if (own := running_trial(study, words)) is None:
            raise UserError(f"pruning: the study {study_name} has no trial of {' '.join(words)}.")
        self.trial = optuna.trial.Trial(study, own._trial_id)

    def recall(self, validations: Iterable[tuple[int, float]], pruned: bool = False) -> None:
        """What the run's directory has already of an earlier session: a trial whose run was made before, or begun."""
        for step, score in validations:
            self.report(step, score)
            self._asked(self.trial.should_prune)  # by which halving enters a value among those of its rung
        if pruned:
            self._asked(lambda: self.trial.set_user_attr("pruned", True))

    def report(self, step: int, score: float) -> None:
        """Tell the study of a validation."""
        self._asked(lambda: self.trial.report(score, step))

    def stops(self, step: int) -> bool:
        """Whether the trial should go no further than this step, the last that it reported."""
        stops = bool(self._asked(self.trial.should_prune))
        if stops:
            self._asked(lambda: self.trial.set_user_attr("pruned", True))
            log.info("Pruned at step %d: by its best validation so far it is behind the trials before it.", step)
        return stops

    def _asked(self, question: Any) -> Any:
        """The study's answer; None, with a warning, where it cannot be reached: a search is no reason to lose a run."""
        try:
            return question()
        except self._faults as error:
            log.warning("The study of this search does not answer (%s); the trial goes on.", str(error).splitlines()[0])
            return None


def running_trial(study: Any, words: Iterable[str]) -> Any:
    """The trial of a job, found by the job's overrides, among which its settings are; None where there is none. A sweep
    that was killed leaves trials that seem to run: the newest is the job's."""
    import optuna

    given = set(words)
    running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    own = [t for t in running if t.params and {f"{name}={value}" for name, value in t.params.items()} <= given]
    return max(own, key=lambda t: (len(t.params), t.number), default=None)


def opened(storage: str) -> Any:
    """The database of studies at a URL, which is waited for where others write to its file."""
    import optuna

    waits = {"connect_args": {"timeout": PATIENCE}} if storage.startswith("sqlite") else {}
    with alone(storage):
        return optuna.storages.RDBStorage(storage, engine_kwargs=waits)


def pruning_of(settings: Any) -> Pruning | None:
    """What a config says of pruning; None where nothing is pruned.

    Raises:
      UserError: a setting is wrong.
    """
    if settings is None:
        return None
    if not isinstance(settings, Mapping):
        raise UserError(f"pruning={settings} must be a group of settings: give pruning.rule={settings}.")
    pruning = make(Pruning, settings, "pruning")
    return None if pruning.rule is None else pruning


def trial_of(settings: Any, sweeper: Any, words: Sequence[str], every: int) -> Callable[[], Pruner] | None:
    """What finds a run's trial once the run begins; None where nothing is pruned.

    Args:
      settings: of `Pruning`, as the config has them.
      sweeper: Hydra's config of the sweeper; None of a run by itself.
      words: the job's overrides.
      every: steps between validations.

    Raises:
      UserError: a setting is wrong, or pruning is asked for where no study is kept.
    """
    if (pruning := pruning_of(settings)) is None:
        return None
    storage, name = (getattr(sweeper, key, None) for key in ("storage", "study_name"))
    if not isinstance(storage, str) or not name:
        raise UserError(
            "pruning is for searches whose study is kept: give --multirun and search=NAME, or hydra/sweeper=optuna "
            "with hydra.sweeper.storage, a database's URL, and hydra.sweeper.study_name."
        )
    return functools.partial(Pruner, pruning, storage, str(name), words, every)
