"""The likelihood of a run as the number of parameter draws, or of runs, behind it grows."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from sbvi.core import UserError
from sbvi.data import Dataset
from sbvi.data.recorded import same_data
from sbvi.evaluation import Evaluator
from sbvi.evaluation.evaluator import UNAVERAGED
from sbvi.evaluation.standard_error import standard_error
from sbvi.reporting.figures import Figure, new_figure
from sbvi.runs.averaged import running_averages
from sbvi.runs.kept import tuned_means
from sbvi.runs.loaded import LoadedRun, load_run

Curve = dict[int, np.ndarray]


def averaged(log_likelihoods: Iterable[np.ndarray], counts: Sequence[int]) -> Curve:
    """Number of draws M -> -log (1/M) sum_m p(x | theta_m) of the first M, (N,), nats; all of them are always among
    the numbers.

    log_likelihoods: log p(x | theta_m), (N,), of one draw after the other.
    """
    curve: Curve = {}
    for count, log_average in enumerate(running_averages(log_likelihoods), 1):
        curve = {kept: nll for kept, nll in curve.items() if kept in counts} | {count: -log_average}
    return curve


class Told(dict[str, np.ndarray]):
    """What likelihoods say of themselves beside their values, such as khat: name -> (M N,), of one set of parameters
    after the other."""

    def nll(self, scored: Mapping[str, np.ndarray]) -> np.ndarray:
        """-log p(x) of one, whose other numbers are kept."""
        for name in [n for n in UNAVERAGED if n in scored]:
            self[name] = np.concatenate([*([self[name]] if name in self else []), scored[name]])
        return scored["nll"]


def of_draws(
    run: LoadedRun, evaluator: Evaluator, split: str, num_samples: int, counts: Sequence[int], told: Told
) -> Curve:
    """`averaged` over the draws that a run keeps.

    Raises:
      UserError: there are fewer draws than a count.
    """
    held = len(run.draws.entries())
    if odd := [count for count in counts if count > held]:
        raise UserError(f"task.draws={odd[0]} is more than the {held} draws that {run.directory.path} keeps.")
    each = (-told.nll(evaluator.likelihood(one.params, split, num_samples)) for one in run.each_draw(held))
    return averaged(each, counts)


def of_runs(
    run: LoadedRun,
    others: Sequence[str],
    evaluator: Evaluator,
    split: str,
    num_samples: int,
    counts: Sequence[int],
    told: Told,
) -> Curve:
    """`averaged` over the best parameters of a run and of others on the same data, which are an ensemble.

    Raises:
      UserError: what `_check_members` refuses; or there are fewer than a count.
    """
    if odd := [count for count in counts if count > 1 + len(others)]:
        raise UserError(f"task.draws={odd[0]} is more than the {1 + len(others)} runs of the ensemble.")
    _check_members(run, others)

    def made(one: LoadedRun) -> Any:
        return one.experiment.model, one.directory.read_run().get("structure")

    def each() -> Iterator[np.ndarray]:
        yield -told.nll(evaluator.likelihood(run.params, split, num_samples))
        for folder in others:
            other = load_run(folder)
            own = evaluator  # one program for all that have one model
            if made(other) != made(run):
                own = Evaluator(other.model, evaluator.dataset, evaluator.settings, anneals=evaluator.anneals)
            yield -told.nll(own.likelihood(other.params, split, num_samples))

    return averaged(each(), counts)


def _check_members(run: LoadedRun, others: Sequence[str]) -> None:
    """Refuse an ensemble whose average would have no meaning, before any of it is computed.

    Raises:
      UserError: a run is none, is of other data, gives densities where the first gives probabilities or the other way
        round, or the probability of gaps where the first gives none or the other way round, or holds the same
        parameters as one before it.
    """
    first = run.directory.path
    met = {_digest(run.params): first}
    for folder in others:
        other = load_run(folder)
        if not same_data(run.data, other.data):
            raise UserError(f"task.ensemble: {folder} was trained on other data than {first}.")
        if other.model.discrete != run.model.discrete:
            kinds = {True: "probabilities", False: "densities"}
            raise UserError(
                f"task.ensemble: {folder} gives {kinds[other.model.discrete]} of x and {first} "
                f"{kinds[run.model.discrete]}, which have no average."
            )
        gaps = [one.experiment.model.scores_gaps for one in (other, run)]
        if gaps[0] != gaps[1]:
            what = {True: "the entries with the places of gaps", False: "the entries alone"}
            raise UserError(
                f"task.ensemble: {folder} gives densities of {what[gaps[0]]} and {first} of {what[gaps[1]]}, which "
                f"have no average; allowed: runs of one likelihood.missingness."
            )
        digest = _digest(other.params)
        if digest in met:
            raise UserError(
                f"task.ensemble: {folder} holds the same parameters as {met[digest]}; allowed: each run once."
            )
        met[digest] = other.directory.path


def _digest(params: Any) -> bytes:
    bits = hashlib.sha256()
    for leaf in jax.tree.leaves(jax.device_get(params)):
        bits.update(np.ascontiguousarray(leaf).tobytes())
    return bits.digest()


def of_means(
    run: LoadedRun, dataset: Dataset, evaluator: Evaluator, split: str, num_samples: int, counts: Sequence[int]
) -> Curve:
    """Number of draws M -> -log p(x | mean of the first M), each with a proposal fitted to it, (N,), nats."""
    curve = {}
    for count, params in tuned_means(run, dataset, counts):
        fitted = jax.block_until_ready(jax.device_put(params))  # or the likelihood's bar would count the fit as its own
        curve[count] = evaluator.likelihood(fitted, split, num_samples)["nll"].astype(np.float64)
    return curve


def scalars(curve: Mapping[int, np.ndarray], split: str) -> dict[str, float]:
    """`<split>/draws_<M>/nll` and its standard error."""
    metrics = {}
    for count, values in curve.items():
        metrics[f"{split}/draws_{count}/nll"] = float(values.mean())
        metrics[f"{split}/draws_{count}/nll_stderr"] = standard_error(values)
    return metrics


def picture(curve: Mapping[int, np.ndarray], what: str) -> Figure:
    """A figure of the negative log-likelihood against the number of draws, with standard errors."""
    figure = new_figure()
    axes = figure.add_subplot()
    errors = [standard_error(values) for values in curve.values()]
    axes.errorbar(list(curve), [v.mean() for v in curve.values()], errors, marker="o", capsize=3, label=what)
    axes.set_xscale("log")
    axes.set_xticks(list(curve), [str(count) for count in curve])
    axes.minorticks_off()
    axes.set_xlabel("runs" if what == "ensemble" else "draws of the parameters")
    axes.set_ylabel("negative log-likelihood (nats)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure
