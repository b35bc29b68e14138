"""Training algorithms: `init`, `step`, `eval_params`.

To add one: a module with a `spec` whose `build` gives an `Algorithm`, a line in ALGORITHMS, a file in
`configs/algorithm/`, a test in `tests/algorithms/`.
"""

from sbvi.algorithms.algorithm import Algorithm, Hyper, Info
from sbvi.algorithms.gradient_ascent import GradientAscent, GradientAscentSpec
from sbvi.algorithms.optimizer import Optimizer
from sbvi.algorithms.reweighted_wake_sleep import ReweightedWakeSleepSpec
from sbvi.algorithms.wake_sleep import WakeSleep, WakeSleepSpec

ALGORITHMS: dict[str, type] = {
    "gradient_ascent": GradientAscentSpec,
    "reweighted_wake_sleep": ReweightedWakeSleepSpec,
    "wake_sleep": WakeSleepSpec,
}

__all__ = ["ALGORITHMS", "Algorithm", "GradientAscent", "Hyper", "Info", "Optimizer", "WakeSleep"]
