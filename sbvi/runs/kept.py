"""What a run keeps whose algorithm draws parameters: beside the stack, the draws' mean with a proposal fitted to it."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from sbvi.algorithms.posterior_samples import SamplesPosterior
from sbvi.core import UserError
from sbvi.data import Dataset
from sbvi.runs.assembly import Assembly
from sbvi.runs.best import warn_of_starts
from sbvi.runs.loaded import LoadedRun
from sbvi.runs.memory import abstract_params
from sbvi.training import Plan, Progress, ResidentBatches, Store, StreamedBatches
from sbvi.training.draws import DrawStack, Sampling
from sbvi.training.lacking import lacking
from sbvi.training.tuning import Tuner

log = logging.getLogger(__name__)


def sampling(assembly: Assembly, store: Store) -> Sampling | None:
    """For the loop: what keeps draws; None where the algorithm has none."""
    if not isinstance(assembly.algorithm, SamplesPosterior):
        return None
    stack = DrawStack(store.folder, writes=store.writes, run=store.run)
    return Sampling(assembly.algorithm, assembly.plan, stack)


def check_draws(assembly: Assembly, store: Store) -> None:
    """Refuse a run that would end without a draw, before anything of it is written.

    Raises:
      UserError: see `Sampling.check`.
    """
    if (draws := sampling(assembly, store)) is not None:
        draws.check()


def tuner(algorithm: SamplesPosterior, batches: ResidentBatches | StreamedBatches, plan: Plan, seed: int) -> Tuner:
    """Fits the recognition model to a mean of draws, as the run's settings say."""
    tuning, epochs = algorithm.tuning()
    return Tuner(tuning, batches, plan, epochs, seed)


def keep_mean(
    assembly: Assembly, store: Store, batches: ResidentBatches | StreamedBatches, progress: Progress
) -> dict[str, float]:
    """Write the mean of the draws as the run's best parameters; what validation says of it.

    A function of the stack and the seed: where it is interrupted it is done again.
    """
    algorithm = assembly.algorithm
    if not isinstance(algorithm, SamplesPosterior):
        return {}
    stack, like = DrawStack(store.folder, writes=False, run=store.run), abstract_params(assembly.model)
    count, gone, best = len(stack.entries()), lacking(store, stack), store.notes("best")
    if gone.any and best.get("draws") and best["step"] == progress.step:
        log.warning("%s; the mean that the run has of all %d stands.", gone, best["draws"])
        return _of_mean(assembly.validator(assembly.placement.replicated(store.load_best(like)[0])))
    if not count:
        ended = "the run ended within its burn-in"
        log.warning("%s. Its best state stands for the posterior.", gone if gone.any else f"No draw was kept: {ended}")
        return {}
    if gone.any:
        log.warning("%s; the mean is of the %d that are there.", gone, count)
    warn_of_starts(stack, assembly.experiment.init_from)
    log.info("Fitting the recognition model to the mean of %d draws.", count)
    mean = assembly.placement.replicated(stack.mean(like))
    params = tuner(algorithm, batches, assembly.plan, assembly.experiment.seed)(mean)
    metrics = assembly.validator(params)
    score = metrics[f"validation/{assembly.algorithm.monitor}"]
    notes: dict[str, Any] = {"step": progress.step, "score": score, "draws": count}
    store.save_best(jax.tree.map(np.asarray, jax.device_get(params)), notes)
    return _of_mean(metrics)


def _of_mean(metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"mean_of_draws/{name.partition('/')[2]}": value for name, value in metrics.items()}


def tuned_means(run: LoadedRun, dataset: Dataset, counts: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Numbers of draws with the mean of as many, the first ones, each with a recognition model fitted to it.

    Raises:
      UserError: there are fewer draws.
    """
    held = len(run.draws.entries())
    for count in counts:
        if count > held:
            raise UserError(f"task.draws={count} is more than the {held} draws that {run.directory.path} keeps.")
    experiment = run.experiment
    algorithm = experiment.algorithm.build(run.model, len(dataset.train))
    plan = Plan(experiment.trainer, len(dataset.train))
    with contextlib.closing(ResidentBatches(dataset, experiment.trainer.batch_size, experiment.seed)) as batches:
        fitted = tuner(algorithm, batches, plan, experiment.seed)
        for count in counts:
            log.info("Fitting the recognition model to the mean of %d draws.", count)
            yield count, fitted(run.draws.mean(abstract_params(run.model), count))
