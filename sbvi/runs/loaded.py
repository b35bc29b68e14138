"""A trained model as an object, on NumPy arrays."""

import contextlib
import copy
import functools
import logging
import secrets
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sbvi.core import UserError, at_least_one, seed_of
from sbvi.core.memory import require as room
from sbvi.core.places import path_of
from sbvi.data.recorded import recorded
from sbvi.models.capabilities import Generative, offers
from sbvi.models.values import DataFacts
from sbvi.runs import runtime
from sbvi.runs.averaged import Averaged
from sbvi.runs.best import best_of, drawn
from sbvi.runs.directory import RunDirectory
from sbvi.runs.experiment import Experiment
from sbvi.runs.memory import abstract_params, check_event, check_fits
from sbvi.runs.parts import means as means_of
from sbvi.runs.parts.completion import Completion
from sbvi.runs.parts.encodings import Encoding as Encoding  # by this name pickled results of earlier versions find it
from sbvi.runs.parts.encodings import Encodings
from sbvi.runs.parts.queries import Queries
from sbvi.runs.parts.rows import Rows
from sbvi.runs.parts.scores import Scores
from sbvi.runs.trial import whole
from sbvi.runs.whereabouts import located
from sbvi.runs.words import words
from sbvi.training.draws import DrawStack
from sbvi.training.lacking import Lacking, lacking

log = logging.getLogger(__name__)


class LoadedRun(Scores, Encodings, Queries, Completion, Rows):
    """A run's best parameters, ready to use.

    Data is (N, *event_shape) or (N, D), in the units of the run's data set, whatever its dtype: 0..16 for the digits.
    A model of binarized data takes 0 and 1, or grey values that it binarizes by the run's own rule, and gives
    probabilities. Latents are a dict from node to (N, K), or one
    array for a model with a single node. Everything is in nats. What a model cannot do is refused in a sentence.
    """

    _told = False  # which draws are gone

    def __init__(self, folder: Path | str, data_path: str | None = None):
        """data_path: where the run's data is now, if it has moved."""
        self.directory = RunDirectory(folder)
        record = self.directory.read_run()
        self.experiment = Experiment.from_config(record["config"], recorded=True)
        self.experiment = located(self.experiment, self.directory.path, data_path)
        self._on_what_is_at_hand()
        self.data = record["data"]
        self.event_shape = _event_shape(self.data.get("event_shape"), self.directory.path)
        self.preprocessing = recorded(
            self.data, self.event_shape, self.experiment.dataset, bool(self.experiment.model.dequantizes)
        )
        self._structure = record.get("structure")
        self.model = self._built()
        check_fits(self.experiment, self.model)
        best = best_of(self.directory, abstract_params(self.model))
        self.mean_of, self.fitted = best.draws, best.fitted
        if best.fitted:
            self.params = jax.device_put(best.params())
        else:
            self._mean = best.params
        self._compiled: dict[Any, Any] = {}

    @functools.cached_property
    def params(self) -> Any:
        """Where they are a mean of draws that is yet to be computed."""
        return jax.device_put(self._mean())

    def _on_what_is_at_hand(self) -> None:
        """A run of eight GPUs is read on a laptop."""
        runtime.apply(replace(self.experiment.runtime, platform="auto", devices=1, distributed=False))

    def _built(self) -> Any:
        facts = DataFacts(
            self.event_shape,
            bool(self.data["binary"]),
            self.data["levels"],
            int(self.data.get("classes", 0)),
            self.preprocessing.table,
        )
        check_event(facts)
        return whole(self.experiment.model.build(facts, self._structure), self.experiment.model)

    def __copy__(self) -> "LoadedRun":
        """With the same model and programs: those that one has compiled serve the other."""
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__
        return other

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs, the parameters as NumPy's: the model and its programs are made again there."""
        state = {name: value for name, value in self.__dict__.items() if name not in ("model", "_compiled", "_mean")}
        return state | {"params": jax.device_get(self.params)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._on_what_is_at_hand()
        self.model, self.params, self._compiled = self._built(), jax.device_put(self.params), {}

    def __repr__(self) -> str:
        """What was trained on what, how far, and what it reached."""
        config = words(self.experiment.to_config())
        parts = [f"{config['model']['name']} on {config['dataset']['name']} {self.event_shape}"]
        parts += [f"{word} {config[word]['name']}" for word in ("likelihood", "posterior", "prior") if word in config]
        result: dict[str, Any] = {}
        with contextlib.suppress(UserError):  # a result that is damaged is no matter of the parameters
            result = self.directory.read_result() or {}
        parts += [f"{result['steps']:,} steps"] if "steps" in result else []
        reached = result.get("metrics", {}).get("test/nll")
        parts += [f"test/nll {reached:.2f} nats"] if reached is not None else []
        return f"<LoadedRun {self.directory.path}: {', '.join(parts)}>"

    def offers(self, capability: type) -> bool:
        """Whether the model has a capability of `sbvi.models.capabilities`."""
        return offers(self.model, capability)

    @property
    def draws(self) -> DrawStack:
        """The draws of the parameters that the run keeps; of those that are gone it warns, once.

        Raises:
          UserError: it keeps none, or all are gone.
        """
        stack = drawn(self.directory)[1]
        held, gone = len(stack.entries()), None
        if not held or not self._told:
            gone = self.lacking()
        if not held:
            if gone is not None and gone.any:
                raise UserError(f"{gone}; none is there.")
            raise UserError(f"{self.directory.path} keeps no draws of its parameters; runs of algorithm=sgmcmc do.")
        if gone is not None and gone.any:
            log.warning("%s; averages are over the %d that are there.", gone, held)
        self._told = True
        return stack

    def lacking(self) -> Lacking:
        """The draws that the run has kept and that are gone."""
        return lacking(*drawn(self.directory))

    def each_draw(self, count: int | None = None) -> "Iterator[LoadedRun]":
        """The run with the parameters of each of its first draws, or of all, one at a time in memory."""
        for params in self.draws.params(abstract_params(self.model), count):
            yield self._with(jax.device_put(params))

    def with_params(self, params: Any) -> "LoadedRun":
        """The run with other parameters of its model, in the form of its own.

        Raises:
          UserError: they have another form.
        """
        ours, theirs = (jax.tree.map(np.shape, each) for each in (abstract_params(self.model), params))
        if ours != theirs:
            raise UserError("params= must have the names and shapes of the run's own parameters, run.params.")
        return self._with(params)

    def _with(self, params: Any) -> "LoadedRun":
        other = copy.copy(self)
        other.params = params
        return other

    def averaged(self, draws: int | None = None) -> Averaged:
        """Averages over the first draws of the parameters, or over all; for runs of `algorithm=sgmcmc`."""
        return Averaged(self, draws)

    def sample(self, num: int, seed: int | None = None, *, means: bool = False) -> np.ndarray:
        """Draws from the generative model, or their means given what was drawn before; (num, *event_shape).

        Of a table by column numbers and codes of categories; `sample_table` gives its rows as the user has them.

        seed: the same one gives the same draws; without one every call draws anew.
        """
        num = at_least_one(num, "num")
        room(4 * num * prod(self.event_shape), f"num={num} draws")
        model = self._able(Generative, "sample")
        key = jax.random.key(secrets.randbits(31) if seed is None else seed_of(seed))
        if means and self.preprocessing.table is not None:
            drawn = self._jitted("means", means_of.of_draws(model, self.preprocessing), 2)(self.params, key, num)
            return means_of.to_source(np.asarray(drawn), self.preprocessing).reshape(-1, *self.event_shape)
        drawn = self._jitted("sample", model.sample, 2)(self.params, key, num)
        values = np.asarray(drawn.mean if means else drawn.value)
        return self.preprocessing.to_source(values).reshape(-1, *self.event_shape)

    def checked(self, x: np.ndarray) -> np.ndarray:
        """Source values as model input, float32 (N, D)."""
        return self.preprocessing.to_model(x)


def _event_shape(shape: Any, folder: Path) -> tuple[int, ...]:
    if not isinstance(shape, list) or not shape or not all(type(n) is int and n > 0 for n in shape):
        raise UserError(f"{folder}: run.json gives the event shape {shape}; it must be a list of positive sizes.")
    return tuple(shape)


def load_run(folder: Path | str, data_path: str | None = None) -> LoadedRun:
    """The trained model of a run directory; see `LoadedRun`."""
    return LoadedRun(path_of(folder, "folder"), data_path)
