"""The data of a run, checked to be the data it was trained on."""

from sbvi.config import UserError
from sbvi.data import Dataset
from sbvi.experiment.assembly import load_dataset
from sbvi.experiment.run import LoadedRun


def run_dataset(run: LoadedRun) -> Dataset:
    """The run's data set, binarized as in training.

    Raises:
      UserError: what is found now differs from what the run was trained on.
    """
    dataset = load_dataset(run.experiment)
    if dataset.digest() != run.data["digest"]:
        raise UserError(f"{run.directory.path} was trained on other data than is found now.")
    return dataset
