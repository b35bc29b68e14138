"""Training algorithms: `init`, `step`, what validates, and what is kept.

To add one: a module with a `spec` that is an `AlgorithmSpec`, whose `build(model, examples)` gives an `Algorithm`; a
line in ALGORITHMS; a file in `configs/algorithm/`; a row in the contract test.
"""

from sbvi.algorithms.algorithm import Algorithm, AlgorithmSpec, Hyper, Info
from sbvi.algorithms.bihm import BiHMSpec
from sbvi.algorithms.expectation_maximisation import ExpectationMaximisationSpec
from sbvi.algorithms.gradient_ascent import GradientAscentSpec
from sbvi.algorithms.optimizer import Optimizer
from sbvi.algorithms.reweighted_wake_sleep import ReweightedWakeSleepSpec
from sbvi.algorithms.sgmcmc_settings import SGMCMCSpec
from sbvi.algorithms.wake_sleep import WakeSleepSpec
from sbvi.core.plugins import extend

ALGORITHMS: dict[str, type] = {
    "bihm": BiHMSpec,
    "expectation_maximisation": ExpectationMaximisationSpec,
    "gradient_ascent": GradientAscentSpec,
    "reweighted_wake_sleep": ReweightedWakeSleepSpec,
    "sgmcmc": SGMCMCSpec,
    "wake_sleep": WakeSleepSpec,
}
extend(ALGORITHMS, "sbvi.algorithms", ("completed", "check", "build"))

__all__ = ["ALGORITHMS", "Algorithm", "AlgorithmSpec", "Hyper", "Info", "Optimizer"]
