"""What can be done with a trained run. A task is a `spec` with `title` and `run(LoadedRun) -> Findings`.

To add one: a module here, a line in TASKS, a file in `configs/task/`.
"""

from sbvi.experiment.tasks.annealed import AnnealedTask
from sbvi.experiment.tasks.embedding import EmbeddingTask
from sbvi.experiment.tasks.gradients import GradientsTask
from sbvi.experiment.tasks.imputation import ImputationTask
from sbvi.experiment.tasks.likelihood import LikelihoodTask
from sbvi.experiment.tasks.posterior import PosteriorTask
from sbvi.experiment.tasks.samples import SamplesTask
from sbvi.experiment.tasks.task import Findings, Task

TASKS: dict[str, type] = {
    "likelihood": LikelihoodTask,
    "annealed": AnnealedTask,
    "samples": SamplesTask,
    "embedding": EmbeddingTask,
    "imputation": ImputationTask,
    "posterior": PosteriorTask,
    "gradients": GradientsTask,
}

__all__ = ["TASKS", "Findings", "Task"]
