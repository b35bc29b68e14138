"""State evolution beside the algorithm: predicted and actual errors of every variable on the same axes."""

from typing import NamedTuple

import numpy as np

from sbvi.core import UserError
from sbvi.inference.ml_vamp.evolution import Evolution, evolve
from sbvi.inference.ml_vamp.problem import Problem
from sbvi.inference.ml_vamp.solve import Settings, infer
from sbvi.inference.ml_vamp.trace import drawn, trace
from sbvi.reporting.figures import COLOURS, Figure, new_figure

ITERATIONS = 10
#: Of the averages over a unit's entries: errors of averages are below 0.05 dB.
DRAWS = 20_000
#: What is compared with the prediction, which knows of no damping: without, and with what recovery begins with.
DAMPING = {"actual": 1.0, "damped": Settings().damping[0][0]}


class Compared(NamedTuple):
    """Errors in dB relative to each variable's mean square, (variables, 2 * iterations), forward and backward in turn:
    `predicted` by state evolution, and the algorithm's by the names of DAMPING; recovered (variables,): of what `infer`
    hands back."""

    decibels: dict[str, np.ndarray]
    recovered: np.ndarray

    @property
    def apart(self) -> float:
        """The greatest difference of the algorithm without damping from its prediction, over all variables, dB."""
        return float(np.max(np.abs(self.decibels["actual"] - self.decibels["predicted"])))

    def scalars(self) -> dict[str, float]:
        """The latent's error after the last iteration, and the greatest difference."""
        numbers = {f"{name}_db": float(lines[0, -1]) for name, lines in self.decibels.items()}
        numbers |= {"recovered_db": float(self.recovered[0]), "greatest_difference_db": self.apart}
        return {f"recover/state_evolution/{name}": number for name, number in numbers.items()}

    def sentence(self) -> str:
        errors = ", ".join(f"{name} {lines[0, -1]:.2f} dB" for name, lines in self.decibels.items())
        return (
            f"state evolution, on latents drawn from the prior since those of data are not known: error of the latent "
            f"after {ITERATIONS} iterations {errors}, recovered {self.recovered[0]:.2f} dB; "
            f"at most {self.apart:.2f} dB between predicted and actual"
        )


def check_predictable(problem: Problem) -> None:
    """Refuse a problem that no one prediction serves.

    Raises:
      UserError: its examples miss different entries.
    """
    if (patterns := sum(1 for _ in problem.groups())) > 1:
        raise UserError(
            f"task.state_evolution predicts for one measurement, and the examples miss values in {patterns} ways; "
            "allowed: the same values of every example."
        )


def compare(problem: Problem, examples: int, seed: int) -> Compared:
    """Errors on so many examples of the network's own, measured as `problem` is: the latents of data are not known, so
    latents are drawn from N(0, I). All examples of the problem miss the same entries.

    Raises:
      UserError: a variable is always 0, to whose mean square no error can be relative.
    """
    own, truth = drawn(problem, examples, seed)
    if (dead := next((place for place, values in enumerate(truth) if not values.any()), None)) is not None:
        raise UserError(
            f"task.state_evolution tells errors relative to a variable's mean square, and z{dead} of this decoder is 0 "
            f"for all of {examples} latents; allowed: a decoder whose units are not all dead."
        )
    decibels = {"predicted": _in_turn(evolve(own, ITERATIONS, seed, DRAWS, activations=truth))}
    for name, share in DAMPING.items():
        decibels[name] = _in_turn(trace(own, truth, ITERATIONS, share))
    errors = [np.mean((mean - true) ** 2) for mean, true in zip(infer(own).means, truth, strict=False)]
    power = [np.mean(true**2) for true in truth[: len(errors)]]
    return Compared(decibels, 10 * np.log10(np.divide(errors, power)))


def _in_turn(errors: Evolution) -> np.ndarray:
    both = np.stack([errors.forward, errors.backward], axis=2) / errors.power[:, None, None]
    return np.asarray(10 * np.log10(both.reshape(len(both), -1)))


def picture(compared: Compared) -> Figure:
    """Lines are predictions, dots the algorithm without damping, crosses with it, and dashes what was recovered in the
    end, a colour for each variable."""
    from matplotlib import colormaps  # slow to import

    figure = new_figure()
    axes = figure.add_subplot()
    steps = np.arange(1, 2 * ITERATIONS + 1) / 2
    styles = {"predicted": "-", "actual": "o", "damped": "x"}
    count = len(compared.decibels["predicted"])
    colours = COLOURS if count <= len(COLOURS) else colormaps["viridis"](np.linspace(0, 0.9, count))
    for variable, lines in enumerate(zip(*(compared.decibels[name] for name in styles), strict=True)):
        colour = colours[variable]
        for (name, style), line in zip(styles.items(), lines, strict=True):
            label = f"z{variable} {name}" if variable == 0 else f"z{variable}" if name == "predicted" else None
            axes.plot(steps, line, style, color=colour, label=label, markersize=4, linewidth=1.5)
        label = "z0 recovered" if variable == 0 else None
        axes.axhline(compared.recovered[variable], color=colour, linestyle="--", linewidth=1, label=label)
    axes.set_xlabel("iteration; halves are the way up")
    axes.set_ylabel("mean squared error over mean square (dB)")
    axes.legend(frameon=False, fontsize=8)
    return figure
