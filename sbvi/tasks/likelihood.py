"""Likelihood of a trained run, with per-example values."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from sbvi.core import PositiveInt, UserError, spec
from sbvi.evaluation import Evaluator
from sbvi.evaluation.evaluator import UNAVERAGED
from sbvi.evaluation.standard_error import standard_error
from sbvi.evaluation.trust import trust
from sbvi.models.capabilities import Bidirectional, offers
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks import draws_curve
from sbvi.tasks.data import OWN, chosen, run_dataset
from sbvi.tasks.files import check_output, write_arrays
from sbvi.tasks.parameters import Parameters, with_parameters
from sbvi.tasks.task import TaskResult

log = logging.getLogger(__name__)

#: What the array of E_q[log p(x | z)], the bound's first term, is called.
FIRST_TERM = "expected_log_likelihood"


@spec
class LikelihoodTask:
    """-log p(x): exact where the model knows it, by quadrature of one or two continuous latents, else by importance
    sampling from the recognition model; and of a Helmholtz machine -log p*(x)."""

    split: Literal["train", "validation", "test"] = "test"
    """Which part of the data."""
    num_samples: PositiveInt = 5000
    """Importance samples S for each example; of a model that knows log p(x) exactly none are drawn."""
    counts: tuple[PositiveInt, ...] = ()
    """Further numbers of samples, to see how estimates rise with them; each adds `<split>/samples_<S>/...`."""
    partition_samples: PositiveInt | None = None
    """Draws behind the constant of p*, for models that have one; null for what the run's evaluation says."""
    parameters: Parameters | None = None
    """Of a run that keeps draws of its parameters: their mean, the average of p(x | draw), or the newest draw; null for
    the run's best, which is the mean."""
    draws: tuple[PositiveInt, ...] = ()
    """Numbers of draws, the first ones each, to see what more of them do; each adds `<split>/draws_<M>/...`. Of an
    ensemble numbers of runs."""
    ensemble: tuple[str, ...] = ()
    """Further runs on the same data, such as those of other seeds: the average of p(x | run) over this run and them."""
    examples: PositiveInt | None = None
    """Examples, evenly spaced over the split, of the user's own data the first rows; null for all."""
    input: str | None = None
    """The user's own data (.npz, .npy, .csv, .tsv, .parquet) in place of the run's."""
    output: str | None = None
    """Where to write per-example values (.npz), beside the copy in the run's folder: nll, -log p(x), and of a model
    with latents elbo, kl, expected_log_likelihood (their sum) and what the samples are worth."""

    @property
    def title(self) -> str:
        return f"likelihood-{OWN if self.input is not None else self.split}"

    def run(self, run: LoadedRun) -> TaskResult:
        """Scalars named `<split>/...` or `input/...`, and per-example arrays (N,)."""
        if self.output is not None:
            check_output(self.output)
        if self.draws and self.parameters not in ("mean", "average") and not self.ensemble:
            raise UserError(
                f"task.draws={list(self.draws)} needs task.parameters named; allowed: mean, average, which are over "
                f"several draws."
            )
        if self.ensemble and self.parameters is not None:
            raise UserError(f"task.ensemble is of the runs' best parameters; leave task.parameters={self.parameters}.")
        average = bool(self.ensemble) or self.parameters == "average"
        if self.counts and average:
            raise UserError(f"task.counts has no use with {self._averaged}; task.num_samples is one number.")
        run = with_parameters(run, self.parameters)
        dataset, split = chosen(run, self.split, self.examples, self.input)
        settings = run.experiment.evaluation
        if self.partition_samples is not None:
            settings = replace(settings, partition_samples=self.partition_samples)
        evaluator = Evaluator(run.model, dataset, settings, anneals=run.experiment.model.moves_latents)
        if self.input is not None and evaluator.how == "labels":
            raise UserError(
                f"task.input={self.input} holds no labels, and of such data this model knows p(label | x) alone; use "
                f"task=classification."
            )
        self._without_use(evaluator, average)
        curve: draws_curve.Curve = {}
        if average:
            told = draws_curve.Told()
            words = (evaluator, split, self.num_samples, self.draws, told)
            if self.ensemble:
                curve = draws_curve.of_runs(run, self.ensemble, *words)
            else:
                curve = draws_curve.of_draws(run, *words)
            most = max(curve)
            arrays = {"nll": curve[most]}
            last = draws_curve.scalars({most: curve[most]}, split)
            scalars = {name.replace(f"draws_{most}/", ""): value for name, value in last.items()}
            scalars |= {f"{split}/draws": float(most)} | trust(split, told, evaluator.anneals)
        else:
            if evaluator.how == "labels":
                log.info("The model knows p(label | x) alone.")
            else:
                log.info("-log p(x): %s.", evaluator.how)
            scalars, arrays = evaluator.summary(run.params, split, self.num_samples)
            # The scalar's name is that of the training log, and beside `nll` would be taken for its negative.
            arrays = {FIRST_TERM if name == "log_likelihood" else name: values for name, values in arrays.items()}
            if self.draws:
                curve = draws_curve.of_means(run, run_dataset(run), evaluator, split, self.num_samples, self.draws)
        scalars |= draws_curve.scalars(curve, split) if self.draws else {}
        what = self.parameters or "ensemble"
        pictures = {f"{self.title}-draws": draws_curve.picture(curve, what)} if len(curve) > 1 else {}
        for count in self.counts:
            scalars |= self._at(evaluator, run.params, split, count, scalars)
        if self.input is not None:
            scalars = {f"{OWN}/{name.split('/', 1)[1]}": value for name, value in scalars.items()}
        if self.output is not None:
            write_arrays(self.output, arrays)
        return TaskResult(scalars, arrays, pictures, about={"likelihood": evaluator.how})

    def _without_use(self, evaluator: Evaluator, average: bool) -> None:
        """Refuse a setting that would change nothing.

        Raises:
          UserError: numbers of samples of a likelihood without samples, or draws behind a constant that there is not.
        """
        if self.counts and evaluator.how in ("exact", "labels"):
            raise UserError(
                f"task.counts={list(self.counts)} has no use for this run, whose model knows its likelihood without "
                f"samples; leave it out."
            )
        if self.partition_samples is not None and (average or not offers(evaluator.model, Bidirectional)):
            raise UserError(
                f"task.partition_samples={self.partition_samples} has no use "
                + (f"with {self._averaged}" if average else "for this run, whose model has no constant of p*")
                + "; leave it out."
            )

    @property
    def _averaged(self) -> str:
        return "task.ensemble" if self.ensemble else "task.parameters=average"

    def _at(
        self, evaluator: Evaluator, params: Any, split: str, count: int, whole: Mapping[str, float]
    ) -> dict[str, float]:
        """What `count` samples give, with log p* by the constant that stands among the whole's scalars."""
        arrays, where = evaluator.likelihood(params, split, count, by_samples=True), f"{split}/samples_{count}"
        scalars = trust(where, arrays, evaluator.anneals)
        for name in [n for n in arrays if n not in UNAVERAGED]:
            scalars[f"{where}/{name}"] = float(np.mean(arrays[name], dtype=np.float64))
            scalars[f"{where}/{name}_stderr"] = standard_error(arrays[name])
        if f"{split}/log_z2" in whole:
            bound, error = (scalars[f"{where}/nll_geometric_bound{end}"] for end in ("", "_stderr"))
            scalars[f"{where}/nll_geometric"] = bound + whole[f"{split}/log_z2"]
            scalars[f"{where}/nll_geometric_stderr"] = float(np.hypot(error, whole[f"{split}/log_z2_stderr"]))
        return scalars
