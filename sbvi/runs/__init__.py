"""From config to objects, the run directory, and trained runs as objects."""

from sbvi.runs.experiment import Experiment
from sbvi.runs.loaded import LoadedRun, load_run
from sbvi.runs.train import train

__all__ = ["Experiment", "LoadedRun", "load_run", "train"]
