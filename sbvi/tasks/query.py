"""Exact probabilities of some columns given others, row by row of the user's own file."""

import numpy as np

from sbvi.core import NonNegativeInt, UserError, choices, spec
from sbvi.data import Preprocessing
from sbvi.data.checks import not_there
from sbvi.models import require
from sbvi.models.capabilities import Marginals
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import own_values
from sbvi.tasks.files import check_output, write_arrays
from sbvi.tasks.task import TaskResult

SHOWN = 20  # rows printed


@spec
class QueryTask:
    """log p(columns asked for | columns given); what is NaN is summed out."""

    input: str | None = None
    """The rows (.npz, .npy, .csv, .tsv, .parquet): values of the columns that are given or asked for, NaN elsewhere."""
    given: tuple[NonNegativeInt | str, ...] = ()
    """Columns that are given, by name or from 0; all others that are not NaN are asked for. None: their joint
    probability."""
    output: str | None = None
    """Where to write the log-probabilities and the completed rows (.npz), beside the copy in the run's folder."""

    @property
    def title(self) -> str:
        return "query-input"

    def run(self, run: LoadedRun) -> TaskResult:
        """Arrays `log_probability` (N,), nats, and `completed` (N, D), the rows with their conditional means; a row
        whose values have probability 0 has none, and keeps its NaN."""
        if self.input is None:
            raise UserError("task=query needs task.input=FILE, the rows that are asked about.")
        if self.output is not None:
            check_output(self.output)
        require(run.model, Marginals, "task=query")
        read, where = own_values(run, self.input, allow_nan=True)
        missing = not_there(read)
        held = run.preprocessing.own(read, where, missing)  # whose refusals name the file
        if run.preprocessing.binarization != "none":  # grey values are drawn once, as rows of the whole file
            read = np.where(missing, np.nan, held.reshape(missing.shape))
        rows = read.reshape(len(read), -1).astype(float)
        given = [self._column(run, column, rows.shape[1]) for column in self.given]
        known = np.full_like(rows, np.nan)
        known[:, given] = rows[:, given]
        asked = ~np.isnan(rows) & np.isnan(known)
        if not asked.any(1).all():
            raise UserError(f"Row {int(np.flatnonzero(~asked.any(1))[0])} of {self.input} asks for no column.")
        value = run.conditional_log_likelihood(rows, known)
        possible = np.isfinite(value)
        completed = run.conditional(rows, means=True) if possible.all() else rows.copy()
        if possible.any() and not possible.all():
            completed[possible] = run.conditional(rows[possible], means=True)
        arrays = {"log_probability": value, "completed": completed}
        if self.output is not None:
            write_arrays(self.output, arrays)
        # Of real values p is a density, which can exceed 1 and is no probability.
        density = f" (density{_of(run.preprocessing)})"
        told = [f", p = {np.exp(v):.4g}" if run.model.discrete else density for v in value[:SHOWN]]
        lines = [f"row {i}: log p = {v:.4f}{more}" for i, (v, more) in enumerate(zip(value, told, strict=False))]
        rest = [f"and {len(value) - SHOWN} more rows"] if len(value) > SHOWN else []
        scalars = {"query/mean_log_probability": float(value.mean())}
        return TaskResult(scalars, arrays, table="\n".join([*lines, *rest]))

    def _column(self, run: LoadedRun, column: int | str, width: int) -> int:
        names = list(run.preprocessing.columns or ())
        if isinstance(column, str):
            if column not in names:
                raise choices("task.given", column, names or [f"0..{width - 1}"])
            return names.index(column)
        if column >= width:
            raise UserError(f"task.given={column} must be less than {width}, the number of columns.")
        return column


def _of(known: Preprocessing) -> str:
    """What a density is of, where that is not the source's own values."""
    if known.location is not None:
        return " of the columns less their location, over their scale"
    scaled = not known.binary and (known.levels is not None or known.rescale)
    return " of values scaled to 0..1" if scaled else ""
