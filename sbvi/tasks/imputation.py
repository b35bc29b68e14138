"""Filling in what is missing: on test images with pixels removed, or on the user's own data with NaN."""

from dataclasses import fields
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import Fraction, NonNegativeInt, PositiveInt, Probability, UserError, spec
from sbvi.inference.imputation import Imputation, impute
from sbvi.reporting.images import grid, shown
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import own_with_gaps, run_dataset
from sbvi.tasks.files import check_output, write_arrays
from sbvi.tasks.table_imputation import TableImputation
from sbvi.tasks.task import TaskResult

BATCH, SHOWN = 250, 8


@spec
class ImputationTask:
    """The paper's chain, or the exact one with a Metropolis step."""

    method: Literal["pseudo_gibbs", "metropolis", "gibbs", "gibbs_drop_qx"] = "metropolis"
    """The paper's chain takes every proposal; the exact one accepts or refuses. Of a Helmholtz machine, whose p* is
    another law, gibbs is exact and gibbs_drop_qx cheaper and biased."""
    iterations: PositiveInt = 100
    """Steps of the chain."""
    warmup: NonNegativeInt = 20
    """First steps, which take every proposal and are left out of averages."""
    missing: Literal["random", "square"] = "random"
    """Values removed from the run's own data: at random, or a square in the middle."""
    fraction: Probability = 0.6
    """Share of values removed at random, or of the area of the square."""
    split: Literal["train", "validation", "test"] = "test"
    """Which part of the data."""
    examples: PositiveInt = 100
    """Examples, evenly spaced over the split."""
    input: str | None = None
    """The user's own data (.npz, .npy, .csv, .tsv, .parquet), NaN where a value is missing, in place of the run's."""
    output: str | None = None
    """Where to write filled values, their spread and the draws (.npz); of a table by column the table itself (.csv,
    .tsv, .parquet), and beside it its bounds and each imputation."""
    imputations: PositiveInt = 1
    """Completed data sets written to `output`, evenly spaced along the chain."""
    seed: NonNegativeInt = 1
    """Seed of the chain and of the missing places."""
    draws: Literal["importance", "chain"] = "importance"
    """Of tables by column: what chooses among importance samples, resampling by weight or an exact chain over them."""
    samples: PositiveInt = 2000
    """Of tables by column: importance samples for each row."""
    interval: Fraction = 0.9
    """Of tables by column: probability between the written bounds."""
    guess: Literal["mean", "median", "mode"] = "mean"
    """Of tables by column: what is filled in; categories get their mode."""

    def __post_init__(self) -> None:
        if self.warmup >= self.iterations:
            raise ValueError(f"warmup={self.warmup} must be less than iterations={self.iterations}")
        if self.imputations > self.iterations - self.warmup:
            raise ValueError(f"imputations={self.imputations} must be at most iterations - warmup")

    @property
    def title(self) -> str:
        where = "input" if self.input is not None else self.split
        return f"imputation-{where}"

    def run(self, run: LoadedRun) -> TaskResult:
        if run.preprocessing.table is not None:
            names = [field.name for field in fields(TableImputation)]
            return TableImputation(**{name: getattr(self, name) for name in names}).run(run, self.title)
        if self.output is not None:
            check_output(self.output)
        truth: np.ndarray | None = None
        source: np.ndarray | None = None
        if self.input is not None:
            x, missing, source = own_with_gaps(run, self.input)
        else:
            truth, x, missing = self._removed(run)
        chain = jax.jit(lambda params, key, x, m: self._chain(run, params, key, x, m))
        parts: list[dict[str, np.ndarray]] = []
        pictures: dict[str, np.ndarray] = {}
        for start in range(0, len(x), BATCH):  # a chain's whole course is held for one batch at a time
            rows = slice(start, start + BATCH)
            key = jax.random.fold_in(jax.random.key(self.seed), start)
            found: Imputation = jax.device_get(chain(run.params, key, jnp.asarray(x[rows]), jnp.asarray(missing[rows])))
            parts.append(self._reduced(found, x[rows], missing[rows], None if truth is None else truth[rows]))
            if not start:
                pictures = self._pictures(run, truth, x, missing, found)
        arrays = {name: np.concatenate([part[name] for part in parts]) for name in ("filled", "spread", "missing")}
        scalars = {
            "imputation/missing": float(missing.mean()),
            "imputation/accepted": float(np.mean([part["accepted"] for part in parts])),
        }
        if truth is not None:
            scores = self._scores(run, truth, missing, parts)
            scalars |= {f"imputation/{name}": float(values[-1]) for name, values in scores.items()}
            arrays |= scores
        if self.output is not None:
            imputations = np.concatenate([part["imputations"] for part in parts], 1)
            units = run.preprocessing
            own = {
                "filled": units.filled(arrays["filled"], missing, source),
                "spread": units.to_source(arrays["spread"]) - units.to_source(np.zeros_like(arrays["spread"])),
                "imputations": units.filled(imputations, missing, source),
            }
            write_arrays(self.output, {n: v.reshape(*v.shape[:-1], *run.event_shape) for n, v in own.items()})
        return TaskResult(scalars, arrays, pictures)

    def _reduced(
        self, found: Imputation, x: np.ndarray, missing: np.ndarray, truth: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """What is kept of a batch's chain; errors as sums over missing entries, (T + 1,), the average last."""
        kept = slice(self.warmup, None)
        places = np.linspace(self.warmup, self.iterations - 1, self.imputations).round().astype(int)
        filled = np.where(missing, found.means[kept].mean(0), x)
        part: dict[str, np.ndarray] = {
            "filled": filled,
            "spread": np.where(missing, found.draws[kept].std(0), 0),
            "missing": missing,
            "imputations": np.asarray(found.draws)[places],
            "accepted": np.asarray(found.accepted[kept].mean()),
        }
        if truth is not None:
            guesses = [*found.means, filled]
            part["squares"] = np.array([_squares(g, truth, missing) for g in guesses])
            part["log_losses"] = np.array([_log_losses(g, truth, missing) for g in guesses])
        return part

    def _chain(self, run: LoadedRun, params: object, key: jax.Array, x: jax.Array, missing: jax.Array) -> Imputation:
        return impute(run.model, params, key, x, missing, self.iterations, self.warmup, self.method)

    def _removed(self, run: LoadedRun) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        dataset = run_dataset(run)
        truth = dataset.seen(self.split, self.examples)
        generator = np.random.default_rng(self.seed)
        if self.missing == "random":
            missing = generator.random(truth.shape) < self.fraction
        else:
            if len(run.event_shape) < 2:
                raise UserError(f"task.missing=square needs images, and the data has shape {run.event_shape}.")
            height, width = run.event_shape[:2]
            hole = np.zeros(run.event_shape, bool)
            sides = [round(np.sqrt(self.fraction) * side) for side in (height, width)]
            top, left = (height - sides[0]) // 2, (width - sides[1]) // 2
            hole[top : top + sides[0], left : left + sides[1]] = True
            missing = np.broadcast_to(hole.reshape(1, -1), truth.shape).copy()
        return truth, np.where(missing, 0, truth), missing

    def _scores(
        self, run: LoadedRun, truth: np.ndarray, missing: np.ndarray, parts: list[dict[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """RMSE on missing entries at every iteration and, last, of the average; and of the training means.
        With binary data also the log-loss (nats an entry)."""
        base = run_dataset(run)
        column = np.broadcast_to(base.seen("train").mean(0), truth.shape)
        total = max(1, int(missing.sum()))
        found = {
            "rmse_of_means": np.sqrt([_squares(column, truth, missing) / total]),
            "rmse": np.sqrt(np.sum([part["squares"] for part in parts], 0) / total),
        }
        if run.data["binary"]:
            found["log_loss_of_means"] = np.array([_log_losses(column, truth, missing) / total])
            found["log_loss"] = np.sum([part["log_losses"] for part in parts], 0) / total
        return found

    def _pictures(
        self, run: LoadedRun, truth: np.ndarray | None, x: np.ndarray, missing: np.ndarray, found: Imputation
    ) -> dict[str, np.ndarray]:
        """Row by row as in the paper's figure 5: the truth, what is left of it, and the chain."""
        if shown(x[:1], run.event_shape) is None:
            return {}
        steps = sorted({0, 1, 2, 4, 7, 14, self.iterations - 1} & set(range(self.iterations)))
        rows = []
        for row in range(min(SHOWN, len(x))):
            first = [truth[row]] if truth is not None else []
            left = np.where(missing[row], 0.5, x[row])
            chain = [np.where(missing[row], found.means[t, row], x[row]) for t in steps]
            rows += [*first, left, *chain]
        columns = len(rows) // min(SHOWN, len(x))
        images = shown(np.stack(rows), run.event_shape)
        assert images is not None
        return {self.title: grid(images, columns)}


def _squares(guess: np.ndarray, truth: np.ndarray, missing: np.ndarray) -> float:
    return float(np.sum(((guess - truth) ** 2)[missing], dtype=np.float64))


def _log_losses(guess: np.ndarray, truth: np.ndarray, missing: np.ndarray) -> float:
    """Of Bernoulli means against 0 or 1."""
    p = np.clip(guess, 1e-6, 1 - 1e-6)
    return float(-np.sum((truth * np.log(p) + (1 - truth) * np.log1p(-p))[missing], dtype=np.float64))
