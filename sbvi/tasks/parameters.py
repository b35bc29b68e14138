"""Which parameters a task works with, of a run that keeps draws of them."""

from typing import Literal

import jax

from sbvi.runs.kept import tuned_means
from sbvi.runs.loaded import LoadedRun
from sbvi.runs.memory import abstract_params
from sbvi.tasks.data import run_dataset

#: The draws' mean, which is what such a run has for its best; an average of what each draw says; the newest draw.
Parameters = Literal["mean", "average", "last"]


def with_parameters(run: LoadedRun, parameters: Parameters | None) -> LoadedRun:
    """The run with its best parameters, or the newest draw's; averages go through `run.each_draw`.

    Of a run that is not finished the recognition model is fitted to the draws' mean where that is named, as its end
    does.

    Raises:
      UserError: the run keeps no draws, and parameters were named.
    """
    if parameters is None or (parameters == "mean" and run.mean_of and run.fitted):
        return run
    stack = run.draws
    if parameters == "mean":
        ((_, params),) = tuned_means(run, run_dataset(run), [len(stack.entries())])
        return run.with_params(params)
    if parameters != "last":
        return run
    return run.with_params(jax.device_put(stack.load(stack.entries()[-1], abstract_params(run.model))[0]))
