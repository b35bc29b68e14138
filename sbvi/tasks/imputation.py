"""Filling in what is missing: on test images with pixels removed, or on the user's own data with NaN."""

from dataclasses import fields
from typing import Literal

from sbvi.core import Fraction, NonNegativeInt, PositiveInt, Probability, Seed, UserError, spec
from sbvi.inference.imputation import Method
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.chain_imputation import ChainImputation
from sbvi.tasks.holes import Hole
from sbvi.tasks.parameters import Parameters
from sbvi.tasks.table_imputation import TableImputation
from sbvi.tasks.task import TaskResult


@spec
class ImputationTask:
    """The paper's chain, or the exact one with Metropolis steps."""

    method: Method = "metropolis"
    """The paper's chain takes every proposal; the exact one accepts or refuses. Of a Helmholtz machine, whose p* is
    another law, gibbs is exact and gibbs_drop_qx cheaper and biased."""
    iterations: PositiveInt = 100
    """Steps of each chain."""
    warmup: NonNegativeInt = 20
    """First steps, which find the size of local moves and are left out of averages."""
    chains: PositiveInt = 4
    """Chains for each example, whose disagreement is told as R-hat; models that draw missing values themselves need
    and take one."""
    leapfrog_steps: NonNegativeInt = 5
    """Steps of the local moves of metropolis, of models with continuous latents; 0 for global moves by q alone."""
    parameters: Parameters | None = None
    """Of a run that keeps draws of its parameters: their mean, each of them for a part of the chain, or the newest;
    null for the run's best, which is the mean."""
    missing: Hole = "random"
    """Values removed from the run's own data: at random, a square in the middle, or the lower half of an image."""
    fraction: Probability = 0.6
    """Share of values removed at random, or of the area of the square."""
    split: Literal["train", "validation", "test"] = "test"
    """Which part of the data."""
    examples: PositiveInt = 100
    """Examples, evenly spaced over the split; the user's own data is filled in whole."""
    input: str | None = None
    """The user's own data (.npz, .npy, .csv, .tsv, .parquet), NaN where a value is missing, in place of the run's."""
    output: str | None = None
    """Where to write filled values, their spread and the draws (.npz); of a table by column the table itself (.csv,
    .tsv, .parquet), and beside it its bounds and each imputation."""
    imputations: PositiveInt = 1
    """Completed data sets written to `output`, evenly spaced along the chains."""
    seed: Seed = 1
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
        usual = next(field.default for field in fields(self) if field.name == "fraction")
        if self.missing == "lower_half" and self.fraction != usual:
            raise ValueError(
                f"fraction={self.fraction} is of no use with missing=lower_half, which is a half; "
                f"allowed there: {usual}"
            )

    @property
    def title(self) -> str:
        where = "input" if self.input is not None else self.split
        return f"imputation-{where}"

    def run(self, run: LoadedRun) -> TaskResult:
        by_column = run.preprocessing.table is not None
        kind, other = (TableImputation, ChainImputation) if by_column else (ChainImputation, TableImputation)
        names = [field.name for field in fields(kind)]
        self._without_use(
            {field.name for field in fields(other)}.difference(names),
            "tables by column" if by_column else "this run's data",
        )
        return kind(**{name: getattr(self, name) for name in names}).run(run, self.title)

    def _without_use(self, names: set[str], data: str) -> None:
        """Refuse a setting that would change nothing.

        Raises:
          UserError: one of these is not its default.
        """
        for field in fields(self):
            if field.name in names and (value := getattr(self, field.name)) != field.default:
                raise UserError(f"task.{field.name}={value} has no use for {data}; leave it out.")
