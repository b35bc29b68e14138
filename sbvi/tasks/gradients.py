"""Bias, variance and cost of every gradient rule on a trained run."""

import dataclasses
import math
from typing import Any, Literal

import jax

from sbvi.algorithms import ALGORITHMS
from sbvi.algorithms.algorithm import Descent
from sbvi.core import PositiveInt, Seed, UserError, spec
from sbvi.core.spec import fields
from sbvi.evaluation.estimator_study import MANY, Descended, EstimatorStudy, study_algorithms, study_estimators
from sbvi.evaluation.gradient_study import RuleStudy, study
from sbvi.models import require
from sbvi.models.capabilities import GaussianRecognition, offers
from sbvi.objectives.discrete import DISCRETE
from sbvi.reporting.figures import Figure, new_figure
from sbvi.reporting.tables import text_table
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import chosen, scored
from sbvi.tasks.task import TaskResult

BOUNDS_HEADER = ("bound or algorithm", "estimator", "bias", "noise", "var q", "var p", "us/gradient", "var q x time")
HEADER = ("rule", "bias", "noise", "var mean", "var covariance", "us/sample", "var x time")
NOISE = 1  # the key's part of dequantised values


@spec
class GradientsTask:
    """Gradient rules for E_q[log p(x | z)], side by side, on examples of the run's data; or where latents are discrete
    the estimators of the bounds' gradients, and what the algorithms descend that have estimators of their own."""

    split: Literal["train", "validation", "test"] = "test"
    """Which part of the data."""
    examples: PositiveInt = 20
    """Examples, evenly spaced over the split."""
    draws: PositiveInt = 2000
    """Draws of each rule."""
    reference_draws: PositiveInt = 20_000
    """Draws of the reference, by the reparameterised rule or by vimco; a fiftieth of them, of fifty times the samples,
    for algorithms that weigh these."""
    num_samples: PositiveInt = 5
    """Samples of the bounds and algorithms, where latents are discrete."""
    seed: Seed = 1
    """Seed of the draws."""

    @property
    def title(self) -> str:
        return f"gradients-{self.split}"

    def run(self, run: LoadedRun) -> TaskResult:
        discrete = not offers(run.model, GaussianRecognition) and DISCRETE[0] in run.experiment.model.estimators
        if not discrete:
            require(run.model, GaussianRecognition, "task=gradients")
        x = scored(*chosen(run, self.split, self.examples, None), jax.random.fold_in(jax.random.key(self.seed), NOISE))
        if discrete:
            return self._estimators(run, x)
        pairs = list(study(run.model, run.params, x, self.draws, self.reference_draws, self.seed))
        studies = [result for result, _ in pairs]
        scalars = {
            f"gradients/{result.rule}/{name}": value
            for result in studies
            for name, value in result._asdict().items()
            if isinstance(value, float) and math.isfinite(value)
        }
        arrays = {
            f"{result.rule}/{node}/{name}": values
            for result, kept in pairs
            if kept is not None
            for name in ("mean", "variance")
            for node, values in getattr(kept, name).items()
        }
        return TaskResult(scalars, arrays, {"gradients": _draw(studies)}, _table(studies))

    def _estimators(self, run: LoadedRun, x: jax.Array) -> TaskResult:
        sizes = (self.num_samples, self.draws, self.reference_draws, self.seed)
        descended, left = descended_by(run, self.num_samples)
        studies = [
            *study_estimators(run.model, run.params, x, *sizes, run.experiment.model.estimators),
            *study_algorithms(descended, run.params, x, *sizes[1:]),
        ]
        scalars = {
            f"gradients/{row.bound}/{row.estimator}/{name}": value
            for row in studies
            for name, value in row._asdict().items()
            if isinstance(value, float)
        }
        return TaskResult(scalars, {}, {}, "\n".join([_bounds_table(studies), *left]))


def descended_by(run: LoadedRun, samples: int) -> tuple[dict[str, Descended], list[str]]:
    """What every algorithm descends that draws `samples` samples and can train the run's model: the run's own as it was
    set, others as they are by default. And a sentence of each that could with more samples."""
    found: dict[str, Descended] = {}
    left: list[str] = []
    own: Any = run.experiment.algorithm
    for name, kind in ALGORITHMS.items():
        if "num_samples" not in fields(kind):
            continue
        settings: Any = own if type(own) is kind else kind()
        few, many = (dataclasses.replace(settings, num_samples=count) for count in (samples, MANY * samples))
        try:
            many.check(run.experiment.model)
        except UserError:
            continue
        try:
            few.check(run.experiment.model)
        except UserError as error:
            own_key = str(error).replace("algorithm.num_samples", "task.num_samples")
            left.append(f"{name} was left out: {own_key}")
            continue
        algorithm = few.build(run.model, 1)
        if isinstance(algorithm, Descent):
            limit = (many if algorithm.normalised else few).build(run.model, 1)
            found[name] = Descended(algorithm.loss, limit.loss, algorithm.normalised)
    return found, left


def _bounds_table(studies: list[EstimatorStudy]) -> str:
    rows = [
        (
            r.bound,
            r.estimator,
            f"{r.bias:.4f}",
            f"{r.noise:.4f}",
            f"{r.variance_recognition:.4g}",
            f"{r.variance_generative:.4g}",
            f"{r.microseconds:.1f}",
            f"{r.variance_recognition * r.microseconds:.4g}",
        )
        for r in studies
    ]
    notes = [
        "bias: distance of the mean from the reference, relative to it; noise: the part of it that sampling",
        "error alone explains. var: of one gradient, summed over the parameters of q and of p.",
        f"own: the algorithm's, beside its gradient over {MANY} times the samples where it weighs them by normalised",
        "weights, so that its bias holds what few samples cost, which that of a bound's estimator does not.",
    ]
    return "\n".join([text_table(BOUNDS_HEADER, rows), *notes])


def _table(studies: list[RuleStudy]) -> str:
    served = [r for r in studies if not r.refusal]
    rows = [
        (
            r.rule,
            f"{r.bias:.4f}",
            f"{r.noise:.4f}",
            f"{r.variance_mean:.4g}",
            f"{r.variance_covariance:.4g}",
            f"{r.microseconds:.1f}",
            f"{(r.variance_mean + r.variance_covariance) * r.microseconds:.4g}",
        )
        for r in served
    ]
    notes = [
        "bias: distance of the mean from the reference, relative to it; noise: the part of it that sampling",
        "error alone explains. var: of one sample, summed over parameters, mean over examples.",
        *(f"{r.rule} was left out: {r.refusal}" for r in studies if r.refusal),
    ]
    return "\n".join([text_table(HEADER, rows), *notes])


def _draw(studies: list[RuleStudy]) -> Figure:
    """Variance against cost, a point for each rule and part of the parameters."""
    figure = new_figure(7, 4)
    axes = figure.add_subplot()
    for r in studies:
        if not r.refusal:
            (line,) = axes.plot(r.microseconds, r.variance_mean, "o", label=r.rule)
            axes.plot(r.microseconds, max(r.variance_covariance, 1e-12), "s", color=line.get_color(), mfc="none")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("microseconds a sample")
    axes.set_ylabel("variance: mean (dots), covariance (squares)")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure
