"""What a run ends with: the final test and the pictures."""

import logging
import math

from sbvi.core import UserError
from sbvi.core.quantities import OF_LABELS_ALONE
from sbvi.reporting.recorder import RunRecorder, Silent
from sbvi.runs.advice import tell_baseline, tell_inactive
from sbvi.runs.assembly import Assembly, load_best_params
from sbvi.runs.directory import RunDirectory
from sbvi.runs.pictures import left_out
from sbvi.training import Outcome

log = logging.getLogger(__name__)

#: What says that a file cannot be written, or a logger's service does not answer: it ends a run as it does elsewhere.
WRITING = (OSError, UserError)


def finish(
    assembly: Assembly, directory: RunDirectory, recorder: RunRecorder | Silent, outcome: Outcome, chosen: int | None
) -> None:
    """The final test of the best parameters, those of the chosen step or a mean of draws, and the pictures; one
    that cannot be drawn costs the run nothing else."""
    params = load_best_params(assembly.model, directory)
    step, epoch = outcome.progress.step, outcome.progress.step / assembly.plan.steps_per_epoch
    if assembly.experiment.evaluation.test:
        how, samples = assembly.evaluator.how, assembly.experiment.evaluation.num_samples
        means = {"exact": "exactly", "labels": "by their guesses"}
        means["quadrature"] = f"by quadrature, and with {samples} samples"
        said = means.get(how, f"with {samples} samples")
        whose = "mean of the draws" if chosen is None else f"parameters of step {chosen}"
        log.info("Testing the %s %s.", whose, said)
        scalars, _ = assembly.evaluator.summary(params, "test")
        if assembly.experiment.model.labelled and how != "labels" and assembly.dataset.test.label is not None:
            scalars |= assembly.evaluator.of_labels(params, "test")[0]
        tell_inactive(scalars, assembly.experiment.algorithm)
        if odd := [name for name, value in scalars.items() if not math.isfinite(value)]:
            log.warning("%s of the final test: not finite; result.json has null there.", ", ".join(odd))
        if "test/nll" in scalars and (baseline := assembly.evaluator.independent_nll) is not None:
            scalars |= {"test/nll_independent": baseline}
            if assembly.algorithm.monitor not in OF_LABELS_ALONE:
                tell_baseline(scalars, assembly.dataset, type(assembly.experiment.algorithm))
        recorder.scalars(step, epoch, scalars)
    if not directory.writes:
        return
    for name, panel in assembly.pictures.of(params, assembly.experiment.seed).items():
        with left_out(name, WRITING):
            recorder.picture(step, name, panel)
    with left_out("curves", WRITING):
        recorder.curves(assembly.algorithm.monitor, chosen)
