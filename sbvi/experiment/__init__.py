"""From config to objects, the run directory, and trained runs as objects."""

from sbvi.experiment.config import Experiment
from sbvi.experiment.run import LoadedRun, load_run
from sbvi.experiment.train import train

__all__ = ["Experiment", "LoadedRun", "load_run", "train"]
