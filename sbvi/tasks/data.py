"""What a task works on: the run's own data, checked to be what it was trained on, or the user's."""

import logging

import jax
import numpy as np

from sbvi.data import Dataset, Split
from sbvi.data.checks import not_there
from sbvi.data.tabular.columns import encoded
from sbvi.data.traced import Traced
from sbvi.runs.assembly import data_record, load_dataset
from sbvi.runs.loaded import LoadedRun
from sbvi.runs.whereabouts import check_same, check_there
from sbvi.tasks.files import read_values
from sbvi.tasks.tables import read_table

log = logging.getLogger(__name__)

OWN = "input"


def run_dataset(run: LoadedRun) -> Dataset:
    """The run's data set, binarized as in training.

    Raises:
      UserError: what is found now differs from what the run was trained on.
    """
    check_there(run.experiment, run.directory.path)
    dataset = load_dataset(run.experiment, run.data)
    check_same(run.experiment, run.directory.path, run.data, data_record(dataset))
    return dataset


def chosen(
    run: LoadedRun, split: str, examples: int | None, input_path: str | None, default: int | None = None
) -> tuple[Dataset, str]:
    """A data set, and which of its splits to use, as evaluation sees it: `examples` of the run's split (`default` where
    none are asked for), or the user's file, whole unless `examples` are asked for, as the test split of a data set of
    its own, named `input`.

    Raises:
      UserError: see `run_dataset` and `own_dataset`.
    """
    if input_path is None:
        dataset = run_dataset(run)
        return dataset.with_split(split, dataset.evaluated(split, examples or default)), split
    return own_dataset(run, *own_values(run, input_path, examples)), "test"


def scored(dataset: Dataset, split: str, key: jax.Array) -> jax.Array:
    """A split, as evaluation sees it, as scores take it, (N, D): dequantised values with noise, by the key."""
    held = dataset.split(split).x[:]
    prepare = Traced(dataset.preprocessing, False)
    return prepare(key, jax.device_put(held.reshape(len(held), -1)))  # not by jnp.asarray, which may refuse gaps


def own_values(
    run: LoadedRun, input_path: str, examples: int | None = None, *, allow_nan: bool = False
) -> tuple[np.ndarray, str]:
    """The values of the user's file in the run's own order of columns, and what to call them.

    examples: the first rows to keep; it is said when that leaves some out.

    Raises:
      UserError: see `read_values`; or columns that the run knows are not there.
    """
    columns: tuple[str, ...] | None
    if (table := run.preprocessing.table) is not None:  # gaps are what it is for
        read = read_table(input_path)
        x, where = encoded(table, read.frame, read.where), read.where
        columns = tuple(column.name for column in table)
    else:
        x, columns, where = read_values(input_path, run.preprocessing.columns, allow_nan=allow_nan)
    if columns is not None:
        log.info("Columns of %s by name: %s.", input_path, ", ".join(columns[:20]))
    if examples is not None and examples < len(x):
        log.info("The first %d of the %d rows of %s.", examples, len(x), input_path)
        x = x[:examples]
    return x, where


def own_dataset(run: LoadedRun, x: np.ndarray, where: str = OWN) -> Dataset:
    """The user's source values as a data set that this run's model can score.

    Raises:
      UserError: see `Preprocessing.store`.
    """
    split = Split(run.preprocessing.own(x, where))
    return Dataset(OWN, split, split, split, run.preprocessing)


def own_with_gaps(run: LoadedRun, input_path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The user's file, NaN where a value is missing: model input (N, D), where values are missing (N, D), and the
    source values (N, D).

    Raises:
      UserError: see `own_values` and `Preprocessing.store`.
    """
    values, where = own_values(run, input_path, allow_nan=True)
    missing = not_there(values)
    return run.preprocessing.to_model(values, where, missing), missing, values.reshape(len(values), -1)
