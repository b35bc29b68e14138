"""The likelihood of a run as the number of parameter draws behind it grows."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from sbvi.core import UserError
from sbvi.data import Dataset
from sbvi.evaluation import Evaluator
from sbvi.reporting.figures import new_figure, pixels
from sbvi.runs.kept import tuned_means
from sbvi.runs.loaded import LoadedRun

Curve = dict[int, np.ndarray]


def averaged(run: LoadedRun, evaluator: Evaluator, split: str, num_samples: int, counts: Sequence[int]) -> Curve:
    """Number of draws M -> -log (1/M) sum_m p(x | theta_m) of the first M, (N,), nats; all draws are always among
    them.

    Raises:
      UserError: there are fewer draws than a count.
    """
    held = len(run.draws.entries())
    if odd := [count for count in counts if count > held]:
        raise UserError(f"task.draws={odd[0]} is more than the {held} draws that {run.directory.path} keeps.")
    wanted, found = {*counts, held}, {}
    total: np.ndarray | None = None
    for taken, one in enumerate(run.each_draw(held), 1):
        log_p = -evaluator.likelihood(one.params, split, num_samples)["nll"].astype(np.float64)
        total = log_p if total is None else np.logaddexp(total, log_p)
        if taken in wanted:
            found[taken] = np.log(taken) - total
    return found


def of_means(
    run: LoadedRun, dataset: Dataset, evaluator: Evaluator, split: str, num_samples: int, counts: Sequence[int]
) -> Curve:
    """Number of draws M -> -log p(x | mean of the first M), each with a proposal fitted to it, (N,), nats."""
    return {
        count: evaluator.likelihood(jax.device_put(params), split, num_samples)["nll"].astype(np.float64)
        for count, params in tuned_means(run, dataset, counts)
    }


def scalars(curve: Mapping[int, np.ndarray], split: str) -> dict[str, float]:
    """`<split>/draws_<M>/nll` and its standard error."""
    found = {}
    for count, values in curve.items():
        found[f"{split}/draws_{count}/nll"] = float(values.mean())
        found[f"{split}/draws_{count}/nll_stderr"] = float(values.std() / np.sqrt(max(1, len(values) - 1)))
    return found


def picture(curve: Mapping[int, np.ndarray], what: str) -> np.ndarray:
    """The negative log-likelihood against the number of draws, with standard errors; (H, W, 3) uint8."""
    figure = new_figure()
    axes = figure.add_subplot()
    errors = [values.std() / np.sqrt(max(1, len(values) - 1)) for values in curve.values()]
    axes.errorbar(list(curve), [v.mean() for v in curve.values()], errors, marker="o", capsize=3, label=what)
    axes.set_xscale("log")
    axes.set_xticks(list(curve), [str(count) for count in curve])
    axes.minorticks_off()
    axes.set_xlabel("draws of the parameters")
    axes.set_ylabel("negative log-likelihood (nats)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return pixels(figure)
