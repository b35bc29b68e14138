"""Training algorithms: `init`, `step`, `predictor`."""

from sbvi.algorithms.algorithm import Algorithm, Hyper, Info
from sbvi.algorithms.gradient_ascent import GradientAscent
from sbvi.algorithms.optimizer import Optimizer

__all__ = ["Algorithm", "GradientAscent", "Hyper", "Info", "Optimizer"]
