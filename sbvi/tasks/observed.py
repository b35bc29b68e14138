"""What is observed of a network's output in `task=recover`: a part of the run's data, or the user's file."""

from typing import NamedTuple

import numpy as np

from sbvi.core import UserError
from sbvi.data.checks import not_there
from sbvi.inference.ml_vamp.network import Network
from sbvi.inference.ml_vamp.problem import Problem
from sbvi.inference.ml_vamp.sensing import entries, fits, network_of, projections
from sbvi.inference.ml_vamp.units import UNITS
from sbvi.models import require
from sbvi.models.capabilities import Layered
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import own_with_gaps, run_dataset
from sbvi.tasks.files import read_array


class Measurement(NamedTuple):
    """How an output is observed; see `RecoverTask`."""

    measure: str
    fraction: float
    first_row: int
    rows: int
    measurements: int
    noise: float
    split: str
    examples: int
    input: str | None
    operator: str | None
    seed: int


class Observed(NamedTuple):
    """problem: what is to be solved. truth (B, D) where it is known. missing (B, D): what is erased, where something
    is. binary: whether the output is of bits."""

    problem: Problem
    truth: np.ndarray | None
    missing: np.ndarray | None
    binary: bool
    event_shape: tuple[int, ...]


def of_run(how: Measurement, run: LoadedRun) -> Observed:
    """A part of the run's own data, or the user's file, as the run's model sees it.

    Raises:
      UserError: the model has no such layers, or the measurement does not fit the data.
    """
    network = network_of(require(run.model, Layered, "task=recover").layers(run.params))
    size, binary = int(np.prod(run.event_shape)), bool(run.data["binary"])
    fits(network, size)
    if how.input is not None:
        if how.operator is not None:
            return _projected(how, network, binary, run.event_shape)
        x, missing, _ = own_with_gaps(run, how.input)
        return Observed(entries(network, x, missing, binary, how.noise), None, missing, binary, run.event_shape)
    generator = np.random.default_rng(how.seed)
    truth = run_dataset(run).seen(how.split, how.examples)
    if how.measure in ("mask", "rows"):
        if how.operator is not None:
            raise UserError(f"task.operator serves task.measure=gaussian and sign, not {how.measure}.")
        missing = np.broadcast_to(_erased(how, run.event_shape, generator), truth.shape)
        return Observed(entries(network, truth, missing, binary, how.noise), truth, missing, binary, run.event_shape)
    if how.operator is not None:
        operator = read_array(how.operator, "task.operator")
    else:
        operator = generator.standard_normal((how.measurements, size)) / np.sqrt(size)
    if operator.shape[1:] != (size,):
        raise UserError(f"task.operator has shape {operator.shape}; allowed: (m, {size}).")
    y = truth @ operator.T + how.noise * generator.standard_normal((len(truth), len(operator)))
    signs = how.measure == "sign"
    y = (y > 0).astype(np.float64) if signs else y
    problem = projections(network, y, operator, binary, how.noise, signs)
    return Observed(problem, truth, None, binary, run.event_shape)


def of_decoder(how: Measurement, network: Network) -> Observed:
    """The user's file of a network of their own, whose output is of bits where it ends in a sigmoid.

    Raises:
      UserError: no file is given, or it does not fit the network.
    """
    if how.input is None:
        raise UserError("decoder=FILE needs what was observed, as task.input=FILE: a decoder has no data of its own.")
    binary, shape = network.layers[-1] == UNITS["sigmoid"], (network.outputs,)
    network = Network(network.layers[:-1]) if binary else network
    if how.operator is not None:
        return _projected(how, network, binary, shape)
    y = read_array(how.input, allow_nan=True)
    if y.shape[1:] != shape:
        raise UserError(f"task.input has shape {y.shape}; allowed: (N, {network.outputs}), as the decoder's output.")
    missing = not_there(y)
    return Observed(entries(network, y, missing, binary, how.noise), None, missing, binary, shape)


def _projected(how: Measurement, network: Network, binary: bool, event_shape: tuple[int, ...]) -> Observed:
    """The user's projections y (N, m) by the user's operator."""
    assert how.input is not None
    assert how.operator is not None
    y, operator = read_array(how.input, allow_nan=True), read_array(how.operator, "task.operator")
    problem = projections(network, y, operator, binary, how.noise, how.measure == "sign")
    return Observed(problem, None, None, binary, event_shape)


def _erased(how: Measurement, event_shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """What the same values of every example lose, (D,) bool."""
    size = int(np.prod(event_shape))
    if how.measure == "mask":
        return generator.permutation(size) < round(how.fraction * size)
    if len(event_shape) < 2:
        raise UserError(f"task.measure=rows needs images, and the data has shape {event_shape}.")
    height, last = event_shape[0], how.first_row + how.rows
    if last > height or how.rows == height:
        raise UserError(f"task.rows={how.rows} from task.first_row={how.first_row}; the images have {height}.")
    hole = np.zeros(event_shape, bool)
    hole[how.first_row : last] = True
    return hole.ravel()
