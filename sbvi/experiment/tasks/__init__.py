"""What can be done with a trained run. A task is a `spec` with `run(LoadedRun)`.

To add one: a module here, a line in TASKS, a file in `configs/task/`.
"""

from sbvi.experiment.tasks.likelihood import LikelihoodTask

TASKS: dict[str, type] = {"likelihood": LikelihoodTask}

__all__ = ["TASKS"]
