"""One interface to every way of recovering a network's latents from its output: `recover(problem, method)`."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sbvi.core import UserError
from sbvi.core.errors import choices
from sbvi.core.precision import full_precision
from sbvi.inference.ml_vamp.descent import Descent, descend
from sbvi.inference.ml_vamp.problem import Problem
from sbvi.inference.ml_vamp.solve import Settings, infer


@dataclass(frozen=True)
class Recovery:
    """What a method found, by example.

    latents, variances: (B, n) of z; variances are NaN where a method gives none. signal, signal_variances: (B, m) of
    the network's output given y; where y is bits of it, the probability p that each is 1, and the bit's variance
    p (1 - p), of which the doubt about p is a part. seconds: wall time, compilation included. diagnostics: by name.
    """

    latents: np.ndarray
    variances: np.ndarray
    signal: np.ndarray
    signal_variances: np.ndarray
    seconds: float
    diagnostics: Mapping[str, np.ndarray]


Estimates = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Mapping[str, np.ndarray]]


def _passing(settings: Settings) -> Callable[[Problem, int], Estimates]:
    def find(problem: Problem, seed: int) -> Estimates:
        inferred = infer(problem, settings)
        about = {
            "gap": inferred.gap,
            "converged": inferred.converged,
            "iterations": inferred.iterations,
            "damping": inferred.damping,
            "free_energy": inferred.free_energy,
            **{f"guard_{name}": count for name, count in inferred.clips.items()},
        }
        return inferred.means[0], inferred.latent_variances, inferred.signal, inferred.signal_variances, about

    return find


def _langevin(problem: Problem, seed: int) -> Estimates:
    from sbvi.inference.ml_vamp.chains import Chain, langevin  # BlackJAX takes a second to import

    return langevin(problem, Chain(), seed)


def _hamiltonian(problem: Problem, seed: int) -> Estimates:
    from sbvi.inference.ml_vamp.chains import Chain, hamiltonian

    return hamiltonian(problem, Chain(samples=500, warmup=300), seed)


METHODS: dict[str, Callable[[Problem, int], Estimates]] = {
    "ml_vamp": _passing(Settings()),
    "ml_vamp_map": _passing(Settings(mode="map")),
    "gradient": lambda problem, seed: descend(problem, Descent(), seed),
    "langevin": _langevin,
    "hamiltonian": _hamiltonian,
}


def recover(
    problem: Problem, method: str | Settings | Descent | Callable[[Problem, int], Estimates] = "ml_vamp", seed: int = 0
) -> Recovery:
    """Latents and signal of every row of the problem's y.

    Args:
      problem: the network, its output and y.
      method: a name of METHODS, settings of message passing or of descent, or a function of the same kind.
      seed: of starts and chains.

    Raises:
      UserError: the method is not known, or cannot differentiate the network.
    """
    if isinstance(method, str) and method in METHODS:
        find = METHODS[method]
    elif isinstance(method, str) or not (callable(method) or isinstance(method, Settings | Descent)):
        raise choices("method", str(method), METHODS)
    elif isinstance(method, Settings):
        find = _passing(method)
    elif isinstance(method, Descent):
        options = method

        def find(problem: Problem, seed: int) -> Estimates:
            return descend(problem, options, seed)
    else:
        find = method
    start = time.perf_counter()
    with full_precision():
        latents, variances, signal, signal_variances, about = find(problem, seed)
    if not np.isfinite(latents).all():
        raise UserError(f"method={method} left latents that are not finite.")
    return Recovery(latents, variances, signal, signal_variances, time.perf_counter() - start, about)
