"""What a task works on: the run's own data, checked to be what it was trained on, or the user's."""

import numpy as np

from sbvi.core import UserError
from sbvi.data import Dataset, Split
from sbvi.runs.assembly import load_dataset
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.files import read_array

OWN = "input"


def run_dataset(run: LoadedRun) -> Dataset:
    """The run's data set, binarized as in training.

    Raises:
      UserError: what is found now differs from what the run was trained on.
    """
    dataset = load_dataset(run.experiment)
    if dataset.digest() != run.data["digest"]:
        raise UserError(f"{run.directory.path} was trained on other data than is found now.")
    return dataset


def chosen(run: LoadedRun, split: str, examples: int | None, input_path: str | None) -> tuple[Dataset, str]:
    """A data set, and which of its splits to use: `examples` of the run's split, or the user's
    file as all splits of a data set of its own, named `input`.

    Raises:
      UserError: see `run_dataset` and `read_array`.
    """
    if input_path is None:
        dataset = run_dataset(run)
        dataset = dataset.with_split(split, dataset.some(split, examples))
        return dataset, split
    own = own_dataset(run, read_array(input_path)[:examples])
    return own, "test"


def own_dataset(run: LoadedRun, x: np.ndarray) -> Dataset:
    """The user's array as a data set that this run's model can score."""
    checked = run.checked(x).reshape(-1, *run.event_shape)
    levels, binary = run.data["levels"], bool(run.data["binary"])
    if binary:
        checked, levels = checked.astype(np.uint8), 1
    elif x.dtype == np.uint8 and levels:
        checked = x.reshape(checked.shape)
    else:
        levels = None
    split = Split(checked)
    noisy = bool(levels) and not binary and run.experiment.model.dequantizes
    return Dataset(OWN, split, split, split, levels=levels, binary=binary, dequantized=noisy)
