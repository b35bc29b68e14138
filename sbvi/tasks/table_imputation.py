"""Filling the gaps of a table by column: of the user's own file, or of the run's data with entries removed."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sbvi.core import UserError
from sbvi.data import Dataset, Preprocessing
from sbvi.data.formats.text_tables import Texts
from sbvi.data.tabular.columns import Column, encoded, framed
from sbvi.data.tabular.removal import Removal
from sbvi.evaluation.filling import Draw, Filled, Guess, drawing, fill
from sbvi.inference.psis import LIMIT
from sbvi.inference.resampling import How
from sbvi.models import require
from sbvi.models.capabilities import Tabular
from sbvi.reporting.figures import Figure
from sbvi.reporting.tables import text_table
from sbvi.runs.assembly import load_dataset
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import run_dataset
from sbvi.tasks.files import new_outputs
from sbvi.tasks.filled_texts import filled_rows, own_texts, put_rows
from sbvi.tasks.filling import Filling
from sbvi.tasks.table_intervals import Tails, calibrated, scored_themselves
from sbvi.tasks.table_pictures import picture
from sbvi.tasks.tables import beside, check_tables, filled_frame, named_by, put_frame, read_table, whole_again
from sbvi.tasks.task import TaskResult

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, kw_only=True)
class TableImputation(Filling):
    """What is asked for; see `ImputationTask`."""

    draws: How
    samples: int
    interval: float
    guess: Guess

    def run(self, run: LoadedRun, title: str) -> TaskResult:
        """Fill, score where the truth is known, and write.

        Raises:
          UserError: the files are wrong.
        """
        require(run.model, Tabular, "Filling a table")
        known = run.preprocessing
        assert known.table is not None
        parts = ["lower", "upper", *(str(i + 1) for i in range(self.imputations if self.imputations > 1 else 0))]
        if self.output is not None:
            check_tables(self.output, parts)
        truth: np.ndarray | None = None
        train = np.zeros((0, 0))
        dataset: Dataset | None = None
        frame: pandas.DataFrame | None = None
        texts: Texts | None = None
        named = True
        if self.input is not None:
            read = read_table(self.input)
            frame, named = read.frame, read.named
            texts = own_texts(self.input, self.output)
            held = known.store(encoded(known.table, frame, read.where), read.where)
        else:
            dataset = run_dataset(run)
            truth, held = self._removed(run, dataset)
            train = dataset.seen("train")
        draw = drawing(run.model, self.samples, max(self.imputations, 500), self.draws)
        tails = self._tails(run, dataset, known.table, draw)
        filled = fill(draw, run.params, known, held, self.seed, self.interval, self.imputations, tails.sides)
        gaps = np.isnan(held)
        wanting = gaps.any(1) if gaps.any() else np.ones(len(gaps), bool)  # of the others nothing hangs on samples
        values = filled.guess(self.guess)
        scalars = {
            "imputation/missing": float(gaps.mean()),
            "imputation/effective_samples": float(np.median(filled.effective[wanting])),
        }
        if (known_tails := filled.khat[gaps.any(1) & ~np.isnan(filled.khat)]).size:
            scalars[f"imputation/khat_above_{LIMIT}"] = float(np.mean(known_tails > LIMIT))
        if self.draws == "chain":
            scalars["imputation/accepted"] = float(filled.accepted.mean())
        about: dict[str, Any] = {"intervals": tails.about}
        pictures: dict[str, Figure] = {}
        table = ""
        if truth is not None:
            scored = scores(filled, self.guess, truth, gaps, train, known)
            scalars |= {f"imputation/{name}": value for name, value in scored["all"].items()}
            about["columns"] = scored["columns"]
            table = _shown(scored, scalars)
            pictures[title] = picture(filled, values, truth, gaps)
        written: list[Path] = []
        if self.output is not None:
            if frame is None:
                frame, named = framed(known.table, known.to_source(held)), named_by(known.table)
            written = self._write(filled, values, frame, gaps, named, texts)
        arrays = {
            "filled": values,
            "lower": filled.lower,
            "upper": filled.upper,
            "missing": gaps,
            "imputations": filled.draws,
            "effective_samples": filled.effective,
            "khat": filled.khat,
        }
        return TaskResult(scalars, arrays, pictures, table=table, about=about, beside=written[1:])

    def _tails(self, run: LoadedRun, dataset: Dataset | None, columns: tuple[Column, ...], draw: Draw) -> Tails:
        """Calibrated with as many entries hidden as the task hides."""
        if self.input is None and self.split == "validation":
            return scored_themselves()
        hides = self.input is None and not _removed_on_purpose(run)
        return calibrated(run, dataset, columns, draw, self.interval, self.fraction if hides else None, self.seed)

    def _write(
        self,
        filled: Filled,
        values: np.ndarray,
        frame: "pandas.DataFrame",
        gaps: np.ndarray,
        named: bool,
        texts: Texts | None,
    ) -> list[Path]:
        """The files' places, that of the filled table first, which is there once all are."""
        assert self.output is not None
        files = {self.output: values, "lower": filled.lower, "upper": filled.upper}
        files |= {str(i + 1): draw for i, draw in enumerate(filled.draws)} if self.imputations > 1 else {}
        places = [Path(self.output) if part == self.output else beside(self.output, part) for part in files]
        with new_outputs(places) as opened:
            for file, place, numbers in zip(opened, places, files.values(), strict=True):
                if texts is not None:
                    put_rows(file, place, texts, filled_rows(texts, filled.columns, frame, numbers, gaps))
                    continue
                made = filled_frame(filled.columns, frame, numbers, gaps)
                put_frame(file, place, made if place.suffix == ".parquet" else whole_again(made), named)
        return places

    def _removed(self, run: LoadedRun, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """The truth in source numbers, NaN where nobody knows it, and held values with gaps: those that the run's data
        set removed, else a share of what there is."""
        part = dataset.evaluated(self.split, self.examples)
        held = part.x[:].astype(np.float32)
        if _removed_on_purpose(run):
            whole = replace(run.experiment, dataset=replace(run.experiment.dataset, missing=Removal()))
            other = load_dataset(whole, run.data)
            return other.preprocessing.to_source(other.evaluated(self.split, self.examples).x[:]), held
        truth = run.preprocessing.to_source(held)
        gone = (np.random.default_rng(self.seed).random(held.shape) < self.fraction) & ~np.isnan(held)
        if not gone.any():
            raise UserError(
                f"task.fraction={self.fraction} removes no value of {len(held)} rows, so that there is nothing to fill "
                "in; allowed: a greater task.fraction."
            )
        return truth, np.where(gone, np.float32(np.nan), held)


def _removed_on_purpose(run: LoadedRun) -> bool:
    """Whether `dataset.missing` removed entries before training."""
    removal = getattr(run.experiment.dataset, "missing", None)
    return isinstance(removal, Removal) and bool(removal.fraction)


def scores(
    filled: Filled,
    guess: Guess,
    truth: np.ndarray,
    gaps: np.ndarray,
    train: np.ndarray,
    known: Preprocessing,
) -> dict[str, Any]:
    """Of gaps whose truth is known: over all columns, and by column, those left out that no training row has.

    n: how many entries are scored.  rmse: of numbers in standard deviations of the training rows.  accuracy: of
    categories and ranks.  coverage, width: of the intervals of numbers; widths in standard deviations.  ..._of_means:
    what the training rows' means and most frequent categories score.
    """
    train = known.to_source(train)
    values = filled.guess(guess)
    scored = gaps & ~np.isnan(truth)
    squares: list[np.ndarray] = []
    base: list[np.ndarray] = []
    covered: list[np.ndarray] = []
    widths: list[np.ndarray] = []
    right: list[np.ndarray] = []
    usual: list[np.ndarray] = []
    columns: dict[str, dict[str, float]] = {}
    count = 0
    for d, column in enumerate(filled.columns):
        rows, own = scored[:, d], train[:, d][~np.isnan(train[:, d])]
        if not rows.any() or not len(own):
            continue
        true = truth[rows, d]
        count += len(true)
        about: dict[str, float] = {"n": len(true)}
        if column.coded:
            codes, counts = np.unique(own, return_counts=True)
            right.append(values[rows, d] == true)
            usual.append(codes[counts.argmax()] == true)
            about |= {"accuracy": float(right[-1].mean()), "accuracy_of_modes": float(usual[-1].mean())}
            columns[column.name] = about
            continue
        spread = own.std() or 1.0
        squares.append(((values[rows, d] - true) / spread) ** 2)
        base.append(((own.mean() - true) / spread) ** 2)
        covered.append((filled.lower[rows, d] <= true) & (true <= filled.upper[rows, d]))
        widths.append((filled.upper[rows, d] - filled.lower[rows, d]) / spread)
        columns[column.name] = about | {
            "rmse": float(np.sqrt(squares[-1].mean())),
            "rmse_of_means": float(np.sqrt(base[-1].mean())),
            "coverage": float(covered[-1].mean()),
            "width": float(widths[-1].mean()),
        }
    total: dict[str, float] = {"n": count}
    if squares:
        total["rmse"] = float(np.sqrt(np.concatenate(squares).mean()))
        total["rmse_of_means"] = float(np.sqrt(np.concatenate(base).mean()))
        total["coverage"] = float(np.concatenate(covered).mean())
        total["width"] = float(np.concatenate(widths).mean())
    if right:
        total["accuracy"] = float(np.concatenate(right).mean())
        total["accuracy_of_modes"] = float(np.concatenate(usual).mean())
    return {"all": total, "columns": columns}


def _shown(scored: dict[str, Any], scalars: dict[str, float]) -> str:
    names = ("rmse", "rmse_of_means", "coverage", "width", "accuracy", "accuracy_of_modes")
    rows = [
        [name, f"{values['n']:.0f}", *(f"{values[n]:.3f}" if n in values else "" for n in names)]
        for name, values in {**scored["columns"], "all": scored["all"]}.items()
    ]
    head = [f"{name}: {scalars[f'imputation/{name}']:.3f}" for name in ("missing", "effective_samples")]
    return text_table(["column", "n", *names], rows) + "\n" + "\n".join(head)
