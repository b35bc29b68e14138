"""Recovering latents and data from a part of the data, or from projections of it, by what a trained network knows."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from sbvi.core import NonNegativeInt, Positive, PositiveInt, Probability, Seed, UserError, spec
from sbvi.core.watch import counted
from sbvi.evaluation.filled import log_losses
from sbvi.evaluation.trust import passing_converged
from sbvi.inference.ml_vamp.decoder import load_decoder
from sbvi.inference.ml_vamp.recovery import Recovery, recover
from sbvi.reporting.figures import Figure
from sbvi.reporting.panels import Panel
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.files import check_output, write_arrays
from sbvi.tasks.holes import side_by_side
from sbvi.tasks.observed import Measurement, Observed, of_decoder, of_run
from sbvi.tasks.state_evolution import check_predictable, compare, picture
from sbvi.tasks.task import TaskResult

SHOWN = 8
Method = Literal["ml_vamp", "ml_vamp_map", "gradient", "langevin", "hamiltonian"]
#: Columns of the table over the methods: what is after "recover/", and what heads it.
COLUMNS = {
    "rmse": "rmse",
    "log_loss": "log-loss",
    "coverage": "coverage",
    "calibration_error": "calibration error",
    "seconds": "seconds",
}


def of_bits(chances: np.ndarray, bits: np.ndarray) -> dict[str, float]:
    """Root mean squared error of probabilities, their log-loss (nats an entry), and their calibration error: |mean
    probability - share of ones| averaged over ten bins of probability."""
    p, x = np.clip(chances, 1e-6, 1 - 1e-6).ravel(), bits.ravel()
    sums = np.bincount(np.minimum((10 * p).astype(int), 9), p - x, minlength=10)
    return {
        "rmse": float(np.sqrt(np.mean((chances - bits) ** 2))),
        "log_loss": log_losses(p, x, np.ones(p.shape, bool)) / p.size,
        "calibration_error": float(np.abs(sums).sum() / len(p)),
    }


@spec
class RecoverTask:
    """Message passing through the generative network, or the methods that it is compared with."""

    method: Method = "ml_vamp"
    """Message passing for means and variances or for the mode; descent with restarts; chains."""
    compare: tuple[Method, ...] = ()
    """Further methods on the same problem, for one table over all of them."""
    measure: Literal["mask", "rows", "gaussian", "sign"] = "mask"
    """Values erased at random, rows of an image erased, random projections, or the signs of these."""
    fraction: Probability = 0.5
    """Share of values that `mask` erases, the same ones of every example."""
    first_row: NonNegativeInt = 2
    """The first row that `rows` erases."""
    rows: PositiveInt = 3
    """How many rows `rows` erases."""
    measurements: PositiveInt = 40
    """Random projections of `gaussian` and `sign`."""
    noise: Positive = 0.1
    """Standard deviation of noise on grey values and on projections; scales of a run's likelihood are not asked."""
    split: Literal["train", "validation", "test"] = "test"
    """Which part of the run's data."""
    examples: PositiveInt = 20
    """Examples, evenly spaced over the split; the user's own data is recovered whole."""
    input: str | None = None
    """The user's own data in place of the run's, NaN where missing; with an operator, its projections."""
    operator: str | None = None
    """A matrix (m, D) in place of random projections, of data as the model sees it (.npz, .npy, .csv, .tsv,
    .parquet)."""
    output: str | None = None
    """Where to write latents and data, each with its variances (.npz): p (1 - p) of bits that are observed by
    entries."""
    state_evolution: bool = False
    """Predict message passing's error by iteration and draw it beside the actual one, on examples whose latents are
    drawn from the prior: those of data are not known."""
    seed: Seed = 1
    """Seed of what is erased, of projections, of starts and of chains."""

    @property
    def title(self) -> str:
        where = "input" if self.input is not None else f"{self.measure}-{self.split}"
        return f"recover-{where}-{self.method}"

    def run(self, run: LoadedRun) -> TaskResult:
        return self._result(lambda: of_run(self._measurement, run))

    def on_decoder(self, path: str) -> TaskResult:
        """The same with the user's own network, from `task.input`."""
        return self._result(lambda: of_decoder(self._measurement, load_decoder(path)))

    @property
    def _measurement(self) -> Measurement:
        return Measurement(**{name: getattr(self, name) for name in Measurement._fields})

    def _result(self, observe: Callable[[], Observed]) -> TaskResult:
        if self.output is not None:
            check_output(self.output)
        if self.state_evolution and self.method != "ml_vamp":
            raise UserError(f"task.state_evolution predicts task.method=ml_vamp, not {self.method}.")
        observed = observe()
        if self.state_evolution:
            check_predictable(observed.problem)  # before what takes minutes
        scalars: dict[str, float] = {}
        for method in dict.fromkeys((*self.compare, self.method)):  # the chosen one last: its result is what is kept
            (recovery,) = (
                recover(observed.problem, each, self.seed) for each in counted(f"recover by {method}", [method])
            )
            about = {name: np.asarray(values) for name, values in recovery.diagnostics.items()}
            if "converged" in about:
                passing_converged(method, about["converged"])
            numbers = {"seconds": recovery.seconds} | self._scores(recovery, observed)
            numbers |= {name: float(v.mean()) for name, v in about.items() if v.ndim == 1}
            place = "recover" if method == self.method else f"recover/{method}"
            scalars |= {f"{place}/{name}": number for name, number in numbers.items()}
        arrays = {
            "latents": recovery.latents,
            "latent_variances": recovery.variances,
            "data": recovery.signal,
            "data_variances": recovery.signal_variances,
        }
        if self.output is not None:
            write_arrays(self.output, arrays)
        arrays, pictures = arrays | about, self._pictures(recovery, observed)
        table = self._table(scalars)
        if self.state_evolution:
            compared = compare(observed.problem, self.examples, self.seed)
            scalars |= compared.scalars()
            arrays |= {f"state_evolution_{name}": lines for name, lines in compared.decibels.items()}
            pictures |= {f"{self.title}-state-evolution": picture(compared)}
            table += f"\n{compared.sentence()}"
        return TaskResult(scalars, arrays, pictures, table)

    def _table(self, scalars: dict[str, float]) -> str:
        """The numbers of the chosen method, and where others stand beside it, a line for each method."""
        own = {k.removeprefix("recover/"): v for k, v in scalars.items() if k.count("/") == 1}
        if not self.compare:
            return "\n".join(f"{name:28}{value:12.5g}" for name, value in own.items())
        heads = {name: head for name, head in COLUMNS.items() if name in own}
        lines = [f"{'method':14}" + "".join(f"{head:>19}" for head in heads.values())]
        for method in dict.fromkeys((self.method, *self.compare)):
            place = "recover" if method == self.method else f"recover/{method}"
            values = [scalars.get(f"{place}/{name}") for name in heads]
            lines.append(f"{method:14}" + "".join(f"{'-' if v is None else f'{v:.5g}':>19}" for v in values))
        return "\n".join(lines)

    def _scores(self, recovery: Recovery, observed: Observed) -> dict[str, float]:
        """Root mean squared error over what was erased, or over all where nothing was; for bits `of_bits`; for values
        the share within 1.96 standard deviations, 0.95 where variances are right. What was erased is the network's
        output with noise; noise of projections is not the data's."""
        truth, missing = observed.truth, observed.missing
        if truth is None:
            return {}
        places = missing if missing is not None and missing.any() else np.ones(truth.shape, bool)
        apart = (recovery.signal - truth)[places]
        scores = {"rmse": float(np.sqrt(np.mean(apart**2)))}
        if observed.binary:
            scores |= of_bits(recovery.signal[places], truth[places])
        elif np.isfinite(recovery.signal_variances).all():
            own = 0.0 if missing is None else self.noise**2
            spread = np.sqrt(recovery.signal_variances[places] + own)
            scores["coverage"] = float(np.mean(np.abs(apart) < 1.96 * spread))
        return scores

    def _pictures(self, recovery: Recovery, observed: Observed) -> dict[str, Panel | Figure]:
        """Row by row: the truth, what is left of it, and what was recovered."""
        few = slice(0, SHOWN)
        columns: dict[str, np.ndarray] = {}
        title = "recovered from projections"
        if observed.truth is not None:
            columns["truth"] = observed.truth[few]
            if observed.missing is not None:
                columns["given"] = np.where(observed.missing[few], np.nan, observed.truth[few])
                title = "missing pixels in magenta, then what was recovered"
        drawn = side_by_side(columns | {"recovered": recovery.signal[few]}, observed.event_shape, title)
        return {} if drawn is None else {self.title: drawn}
