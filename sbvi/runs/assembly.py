"""From an experiment to the objects that do the work."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sbvi.algorithms import Algorithm
from sbvi.core import UserError
from sbvi.core.placement import Placement
from sbvi.data import Dataset, binarize
from sbvi.data.streaming import streams
from sbvi.evaluation import Evaluator
from sbvi.models import BuiltDLGM
from sbvi.runs.directory import RunDirectory
from sbvi.runs.experiment import Experiment
from sbvi.runs.memory import check_fits
from sbvi.runs.pictures import Pictures
from sbvi.training import Plan, ResidentBatches, Store, StreamedBatches


def load_dataset(experiment: Experiment) -> Dataset:
    """The experiment's data set, binarized as it says, fit for its likelihood."""
    spec = experiment.dataset
    dataset = binarize(spec.load(), spec.binarization, getattr(spec, "split_seed", 0))
    if experiment.likelihood.binary and not dataset.binary:
        raise UserError("The likelihood needs binary data, and the data set is not binary.")
    if not experiment.likelihood.binary and dataset.binary:
        raise UserError(
            "The data set is binary, for which a continuous density has no bound; use likelihood=bernoulli."
        )
    experiment.likelihood.check(dataset.levels)
    if getattr(experiment.likelihood, "dequantize", False) and dataset.levels is not None:
        dataset = replace(dataset, preprocessing=dataset.preprocessing.but(dequantize=True))
    smallest = min(dataset.splits, key=lambda name: len(dataset.split(name)))
    if (count := len(dataset.split(smallest))) < 2:
        key = f"dataset.{smallest}_size" if smallest != "train" else "dataset.validation_size and dataset.test_size"
        raise UserError(f"Every split needs at least two examples, and {smallest} has {count}: set {key}.")
    return dataset


def build_model(experiment: Experiment, event_shape: Sequence[int]) -> BuiltDLGM:
    model: BuiltDLGM = experiment.model.build(event_shape, experiment.likelihood, experiment.posterior)
    return model


class Shared:
    """What runs of one process have in common, kept from one to the next: data, and compiled evaluations.

    Files are taken to stay as they are meanwhile.
    """

    LIMIT = 6  # enough for the points of a sweep that stand side by side

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}
        self._turn = threading.RLock()

    def __reduce__(self) -> tuple[type, tuple]:
        """Another process, to which a launcher may send what holds this, has nothing in common yet."""
        return Shared, ()

    def get(self, experiment: Experiment, groups: Sequence[str], make: Callable[[], Any]) -> Any:
        """What `make` made for an experiment that had the same config in these groups."""
        config = experiment.to_config()
        key = json.dumps({group: config[group] for group in groups}, sort_keys=True)
        with self._turn:
            if key not in self._kept:
                while len(self._kept) >= self.LIMIT:
                    del self._kept[next(iter(self._kept))]
                self._kept[key] = make()
            return self._kept[key]


_DATA = ("dataset", "likelihood")
_EVALUATED = (*_DATA, "model", "posterior", "objective", "evaluation", "runtime")


@dataclass
class Assembly:
    """Everything a run needs, built once."""

    experiment: Experiment
    dataset: Dataset
    model: BuiltDLGM
    algorithm: Algorithm
    evaluator: Evaluator
    pictures: Pictures
    placement: Placement

    @classmethod
    def build(cls, experiment: Experiment, shared: Shared | None = None) -> "Assembly":
        shared = shared or Shared()
        dataset = shared.get(experiment, _DATA, lambda: load_dataset(experiment))
        check_fits(experiment, dataset.event_shape)
        wanted = experiment.runtime.devices
        if experiment.runtime.distributed and wanted == 1:
            wanted = "all"  # the default is one for runs of one process
        placement = Placement.over(jax.device_count() if wanted == "all" else wanted)
        placement.check(experiment.trainer.batch_size, "trainer.batch_size")

        def evaluated() -> tuple[Evaluator, Pictures]:
            model = build_model(experiment, dataset.event_shape)
            evaluator = Evaluator(model, experiment.objective, dataset, experiment.evaluation, placement)
            return evaluator, Pictures(model, dataset)

        evaluator, pictures = shared.get(experiment, _EVALUATED, evaluated)
        algorithm = experiment.algorithm.build(
            evaluator.model, experiment.objective, experiment.optimizer, len(dataset.train)
        )
        return cls(experiment, dataset, evaluator.model, algorithm, evaluator, pictures, placement)

    @property
    def plan(self) -> Plan:
        return Plan(self.experiment.trainer, len(self.dataset.train))

    def batches(self) -> ResidentBatches | StreamedBatches:
        """On the device, or streamed to it."""
        x, trainer = self.dataset.train.x, self.experiment.trainer
        kind = StreamedBatches if streams(self.experiment.dataset.stream, x.nbytes) else ResidentBatches
        return kind(self.dataset, trainer.batch_size, self.experiment.seed, placement=self.placement)

    def initial_state(self) -> Any:
        """The first state of a new run, from the seed or from another run's best parameters."""
        train = self.dataset.train.x[:10_000]
        x = self.dataset.preprocessing.scaled(train)
        state = self.algorithm.init(self.experiment.seed, x.mean(0), x.std(0))
        if self.experiment.init_from is None:
            return state
        source = RunDirectory(self.experiment.init_from)
        source.read_run()
        params, _ = Store(source.checkpoints).load_best(state.params)
        return self.algorithm.with_params(state, jax.device_put(params))

    def describe_data(self) -> dict[str, Any]:
        """What later commands must know of the data without loading it."""
        d = self.dataset
        return {
            "event_shape": list(d.event_shape),
            "levels": d.levels,
            "binary": d.binary,
            "sizes": {name: len(split) for name, split in d.splits.items()},
            "digest": d.digest(),
            "preprocessing": d.preprocessing.to_config(),
        }


def load_best_params(model: BuiltDLGM, folder: Path) -> Any:
    """The best parameters of a run."""
    size = model.event_size
    like = jax.eval_shape(lambda: model.init(0, np.full(size, 0.5), np.ones(size)))
    return jax.device_put(Store(folder).load_best(like)[0])
