"""Training from Python, without a terminal."""

from collections.abc import Sequence
from pathlib import Path

from sbvi.core import UserError
from sbvi.runs.experiment import Experiment
from sbvi.runs.loaded import LoadedRun, load_run
from sbvi.runs.train import train as train_run


def train(experiment: Experiment | Sequence[str], directory: Path | str) -> LoadedRun:
    """Train and test one experiment in a directory, or go on where an earlier call stopped.

    Args:
      experiment: what to train, or the overrides that `sbvi-train` would be given, such as `["dataset=mnist"]`.
      directory: the run's directory; made when absent.

    Returns:
      The trained run, as `load_run` gives it.

    Raises:
      UserError: the experiment is wrong, the directory holds another run or is in use, or the run failed or was
        stopped.
    """
    if isinstance(experiment, str):
        raise UserError(f"{experiment!r} must be an Experiment or a list of overrides, such as [{experiment!r}].")
    chosen = experiment if isinstance(experiment, Experiment) else Experiment.from_overrides(experiment)
    result = train_run(chosen, directory)
    if result["status"] != "completed":
        raise UserError(f"{directory} is {result['status']} ({result.get('reason', '')}); the same call goes on.")
    return load_run(directory)
