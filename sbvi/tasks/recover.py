"""Recovering latents and data from a part of the data, or from projections of it, by what the trained model knows."""

from typing import Literal

import numpy as np

from sbvi.core import NonNegativeInt, Positive, PositiveInt, Probability, UserError, spec
from sbvi.inference.ml_vamp.problem import Problem
from sbvi.inference.ml_vamp.recovery import Recovery, recover
from sbvi.inference.ml_vamp.sensing import entries, fits, network_of, projections
from sbvi.models import require
from sbvi.models.api import Layered
from sbvi.reporting.images import grid, shown
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import own_with_gaps, run_dataset
from sbvi.tasks.files import check_output, read_array, write_arrays
from sbvi.tasks.task import TaskResult

SHOWN = 8


@spec
class RecoverTask:
    """Message passing through the generative network, or the methods that it is compared with."""

    method: Literal["ml_vamp", "ml_vamp_map", "gradient", "langevin", "hamiltonian"] = "ml_vamp"
    """Message passing for means and variances or for the mode; descent with restarts; chains."""
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
    """Standard deviation of noise on grey values and on projections."""
    split: Literal["train", "validation", "test"] = "test"
    """Which part of the run's data."""
    examples: PositiveInt = 20
    """Examples, evenly spaced over the split."""
    input: str | None = None
    """The user's own data in place of the run's, NaN where missing; with an operator, its projections."""
    operator: str | None = None
    """A matrix (m, D) in place of random projections, of data as the model sees it (.npz, .npy, .csv)."""
    output: str | None = None
    """Where to write latents and data, each with its variances (.npz)."""
    seed: NonNegativeInt = 1
    """Seed of what is erased, of projections, of starts and of chains."""

    @property
    def title(self) -> str:
        where = "input" if self.input is not None else f"{self.measure}-{self.split}"
        return f"recover-{where}-{self.method}"

    def run(self, run: LoadedRun) -> TaskResult:
        if self.output is not None:
            check_output(self.output)
        problem, truth, missing = self._problem(run)
        found = recover(problem, self.method, self.seed)
        about = {name: np.asarray(values) for name, values in found.diagnostics.items()}
        scalars = {"recover/seconds": found.seconds} | self._scores(found, truth, missing, bool(run.data["binary"]))
        scalars |= {f"recover/{name}": float(v.mean()) for name, v in about.items() if v.ndim == 1}
        arrays = {
            "latents": found.latents,
            "latent_variances": found.variances,
            "data": found.signal,
            "data_variances": found.signal_variances,
        }
        if self.output is not None:
            write_arrays(self.output, arrays)
        table = "\n".join(f"{name.removeprefix('recover/'):28}{value:12.5g}" for name, value in scalars.items())
        return TaskResult(scalars, arrays | about, self._pictures(run, found, truth, missing), table)

    def _problem(self, run: LoadedRun) -> tuple[Problem, np.ndarray | None, np.ndarray | None]:
        """What is to be solved, the truth where it is known, and what is erased where something is."""
        layers = require(run.model, Layered, "task=recover").layers(run.params)
        size, binary = int(np.prod(run.event_shape)), bool(run.data["binary"])
        fits(network_of(layers), size)
        signs = self.measure == "sign"
        generator = np.random.default_rng(self.seed)
        operator = None if self.operator is None else read_array(self.operator)
        if self.input is not None:
            if operator is not None:
                y = read_array(self.input, allow_nan=True)
                return projections(layers, y, operator, binary, self.noise, signs), None, None
            x, missing, _ = own_with_gaps(run, self.input)
            return entries(layers, x, missing, binary, self.noise), None, missing
        truth = run_dataset(run).seen(self.split, self.examples)
        if self.measure in ("mask", "rows"):
            if operator is not None:
                raise UserError(f"task.operator serves task.measure=gaussian and sign, not {self.measure}.")
            missing = np.broadcast_to(self._erased(run, generator, size), truth.shape)
            return entries(layers, truth, missing, binary, self.noise), truth, missing
        if operator is None:
            operator = generator.standard_normal((self.measurements, size)) / np.sqrt(size)
        if operator.shape[1:] != (size,):
            raise UserError(f"task.operator has shape {operator.shape}; allowed: (m, {size}).")
        y = truth @ operator.T + self.noise * generator.standard_normal((len(truth), len(operator)))
        y = (y > 0).astype(np.float64) if signs else y
        return projections(layers, y, operator, binary, self.noise, signs), truth, None

    def _erased(self, run: LoadedRun, generator: np.random.Generator, size: int) -> np.ndarray:
        if self.measure == "mask":
            return generator.permutation(size) < round(self.fraction * size)
        if len(run.event_shape) < 2:
            raise UserError(f"task.measure=rows needs images, and the data has shape {run.event_shape}.")
        height, last = run.event_shape[0], self.first_row + self.rows
        if last > height or self.rows == height:
            raise UserError(f"task.rows={self.rows} from task.first_row={self.first_row}; the images have {height}.")
        hole = np.zeros(run.event_shape, bool)
        hole[self.first_row : last] = True
        return hole.ravel()

    def _scores(
        self, found: Recovery, truth: np.ndarray | None, missing: np.ndarray | None, binary: bool
    ) -> dict[str, float]:
        """Root mean squared error over what was erased, or over all; for bits the log-loss (nats an entry), for values
        the share within 1.96 standard deviations, 0.95 where variances are right."""
        if truth is None:
            return {}
        places = np.ones(truth.shape, bool) if missing is None else missing
        apart = (found.signal - truth)[places]
        scores = {"recover/rmse": float(np.sqrt(np.mean(apart**2)))}
        if binary:
            p, x = np.clip(found.signal[places], 1e-6, 1 - 1e-6), truth[places]
            scores["recover/log_loss"] = float(-np.mean(x * np.log(p) + (1 - x) * np.log1p(-p)))
        elif np.isfinite(found.signal_variances).all():
            spread = np.sqrt(found.signal_variances[places] + self.noise**2)
            scores["recover/coverage"] = float(np.mean(np.abs(apart) < 1.96 * spread))
        return scores

    def _pictures(
        self, run: LoadedRun, found: Recovery, truth: np.ndarray | None, missing: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """Row by row: the truth, what is left of it, and what was recovered."""
        if shown(found.signal[:1], run.event_shape) is None:
            return {}
        rows: list[np.ndarray] = []
        for row in range(min(SHOWN, len(found.signal))):
            if truth is not None:
                rows.append(truth[row])
                rows += [] if missing is None else [np.where(missing[row], 0.5, truth[row])]
            rows.append(found.signal[row])
        images = shown(np.stack(rows), run.event_shape)
        assert images is not None
        return {self.title: grid(images, len(rows) // min(SHOWN, len(found.signal)))}
