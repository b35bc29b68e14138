"""What can be done with a trained run.

To add one: a module with a `spec` that has `title` and `run(LoadedRun) -> TaskResult`; a line in TASKS; a file in
`configs/task/`; a row in the contract test.
"""

from sbvi.core.plugins import extend
from sbvi.tasks.annealed import AnnealedTask
from sbvi.tasks.chain import ChainTask
from sbvi.tasks.classification import ClassificationTask
from sbvi.tasks.embedding import EmbeddingTask
from sbvi.tasks.gap import GapTask
from sbvi.tasks.gradients import GradientsTask
from sbvi.tasks.imputation import ImputationTask
from sbvi.tasks.likelihood import LikelihoodTask
from sbvi.tasks.posterior import PosteriorTask
from sbvi.tasks.query import QueryTask
from sbvi.tasks.recover import RecoverTask
from sbvi.tasks.samples import SamplesTask
from sbvi.tasks.task import DecoderTask, Task, TaskResult

TASKS: dict[str, type] = {
    "likelihood": LikelihoodTask,
    "annealed": AnnealedTask,
    "samples": SamplesTask,
    "classification": ClassificationTask,
    "embedding": EmbeddingTask,
    "imputation": ImputationTask,
    "posterior": PosteriorTask,
    "query": QueryTask,
    "gradients": GradientsTask,
    "chain": ChainTask,
    "gap": GapTask,
    "recover": RecoverTask,
}
extend(TASKS, "sbvi.tasks", ("title", "run"))

__all__ = ["TASKS", "DecoderTask", "Task", "TaskResult"]
