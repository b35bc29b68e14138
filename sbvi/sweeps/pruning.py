"""A trial of a search that stops early: its validation bound tells that others before it were better.

A search's trials are runs of their own, in this process or another, and what they have in common is the study in
its database. A run finds its trial there by its words, reports each validation to it, and asks Optuna's pruner.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from sbvi.core import NonNegativeInt, UserError, make, spec

log = logging.getLogger(__name__)


@spec
class Pruning:
    """When a trial stops early."""

    rule: Literal["median", "halving"] | None = None
    """`median`: its best validation so far is below the median of what earlier trials had at that step. `halving`: it
    is not among the best quarter at 1, 4, 16 ... times the first validation (successive halving). null: never."""
    startup_trials: NonNegativeInt = 5
    """The first trials, which `median` lets run."""
    first_step: NonNegativeInt = 0
    """No trial stops before this step, under `median`."""


class Pruner:
    """Whether a run of a search should stop: `pruner(step, score)` after each validation."""

    def __init__(self, settings: Pruning, storage: str, study_name: str, words: Sequence[str], every: int):
        """words: the overrides of the run's job, the trial's settings among them. every: steps between validations.

        Raises:
          UserError: the study has no such trial.
        """
        import optuna

        optuna.logging.set_verbosity(logging.WARNING)
        if settings.rule == "median":
            pruner: Any = optuna.pruners.MedianPruner(settings.startup_trials, settings.first_step)
        else:
            pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=max(1, every), reduction_factor=4)
        sampler = optuna.samplers.RandomSampler()  # nothing is sampled here
        study = optuna.load_study(study_name=study_name, storage=storage, sampler=sampler, pruner=pruner)
        running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        own = [t for t in running if {f"{name}={value}" for name, value in t.params.items()} <= set(words)]
        if not own:
            raise UserError(f"pruning: the study {study_name} has no trial of {' '.join(words)}.")
        # A sweep that was killed leaves trials that seem to run; the newest is this one.
        self.trial = optuna.trial.Trial(study, max(own, key=lambda t: t.number)._trial_id)

    def __call__(self, step: int, score: float) -> bool:
        self.trial.report(score, step)
        stops = bool(self.trial.should_prune())
        if stops:
            self.trial.set_user_attr("pruned", True)
            log.info("Pruned at step %d: trials before it had a better validation (%.2f here).", step, score)
        return stops


def pruner_of(
    settings: Mapping[str, Any], sweeper: Any, words: Sequence[str], every: int
) -> Callable[[int, float], bool] | None:
    """What a run asks after each validation; None where nothing is pruned.

    Args:
      settings: of `Pruning`, as the config has them.
      sweeper: Hydra's config of the sweeper; None of a run by itself.
      words: the job's overrides.
      every: steps between validations.

    Raises:
      UserError: a setting is wrong, or pruning is asked for where no study is kept.
    """
    pruning = make(Pruning, settings, "pruning")
    if pruning.rule is None:
        return None
    storage, name = (getattr(sweeper, key, None) for key in ("storage", "study_name"))
    if not storage or not name:
        raise UserError(
            "pruning is for searches whose study is kept: give --multirun and search=NAME, or hydra/sweeper=optuna "
            "with hydra.sweeper.storage and hydra.sweeper.study_name."
        )
    return Pruner(pruning, str(storage), str(name), words, every)
