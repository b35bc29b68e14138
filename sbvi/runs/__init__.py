"""From config to objects, the run directory, and trained runs as objects."""

from sbvi.runs.api import train
from sbvi.runs.experiment import Experiment
from sbvi.runs.loaded import LoadedRun, load_run

__all__ = ["Experiment", "LoadedRun", "load_run", "train"]
