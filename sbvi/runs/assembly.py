"""From an experiment to the objects that do the work."""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from sbvi.algorithms import Algorithm
from sbvi.core import UserError, name_of
from sbvi.core.placement import Placement
from sbvi.data import Dataset, binarize
from sbvi.data.binarize import SAID
from sbvi.data.own import OwnData, called
from sbvi.data.recorded import by_record
from sbvi.data.rows import ScaledRows, parts
from sbvi.data.sound import sound
from sbvi.data.streaming import streams
from sbvi.data.unscaled import check_unscaled, warn_of_narrow
from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.evaluation import Evaluator, Validator
from sbvi.models.capabilities import Density, offers
from sbvi.models.values import DataFacts, DataSummary
from sbvi.runs.directory import RunDirectory
from sbvi.runs.experiment import Experiment
from sbvi.runs.memory import abstract_params, abstract_state, blank, check_fits, check_least
from sbvi.runs.pictures import Pictures
from sbvi.runs.start import check_variables, parameters_of, warn_of_other_data, warn_of_other_meanings
from sbvi.runs.suited import check_bits, check_kinds
from sbvi.runs.trial import tried
from sbvi.runs.whereabouts import stamp
from sbvi.runs.words import words
from sbvi.training import Plan, ResidentBatches, Store, StreamedBatches

log = logging.getLogger(__name__)


def load_dataset(experiment: Experiment, recorded: Mapping[str, Any] | None = None) -> Dataset:
    """The experiment's data set, binarized as it says, fit for its model; of a run that was begun read by its record,
    run.json's `data`."""
    spec = by_record(experiment.dataset, recorded or {})
    held = sound(spec.load(), type(spec))
    if not recorded:
        check_kinds(experiment, held)
    check_bits(experiment, held)
    dataset = binarize(held, spec.binarization, spec.split_seed)
    if not recorded:
        _check_scale(experiment, dataset, called(getattr(spec, "path", dataset.name)))
    check_data(experiment, dataset)
    if dataset is not held and (own := getattr(spec, "path", None)) is not None:
        other = "; likelihood=gaussian takes them as they are" if hasattr(experiment.model, "likelihood") else ""
        how = f"dataset.binarization={spec.binarization}: {SAID[spec.binarization]}"
        log.info("Grey values of %s become 0 and 1, since the model is of binary data (%s)%s.", called(own), how, other)
    if experiment.model.dequantizes and dataset.levels is not None:
        dataset = replace(dataset, preprocessing=dataset.preprocessing.but(dequantize=True))
    smallest = min(dataset.splits, key=lambda name: len(dataset.split(name)))
    if (count := len(dataset.split(smallest))) < 2:
        sizes = ", ".join(f"{name} {len(split)}" for name, split in dataset.splits.items())
        cure = ""
        if isinstance(spec, OwnData):
            cure = (
                "; dataset.validation_size and dataset.test_size say how many are split off where a split is not given"
            )
        raise UserError(f"Every split needs at least two examples, and {smallest} has {count} ({sizes}){cure}.")
    return dataset


def _check_scale(experiment: Experiment, dataset: Dataset, where: str) -> None:
    """Of a run that begins; what a begun one has stays. See `sbvi.data.unscaled`."""
    law = getattr(experiment.model, "likelihood", None)
    levels = name_of(LIKELIHOODS, law) if getattr(law, "levels", None) is not None else ""
    check_unscaled(dataset, where, levels, experiment.model.dequantizes)
    if (floor := getattr(law, "minimum_scale", None)) is not None:
        warn_of_narrow(dataset, floor)


def check_data(experiment: Experiment, dataset: Dataset) -> None:
    """Refuse data that the experiment's model cannot be of, or labels that it cannot be trained or tested by.

    Raises:
      UserError: see `ModelSpec.check`; a label is negative, or a split has none though the model knows p(label | x)
        alone.
    """
    experiment.model.check(data_facts(dataset))
    if not experiment.model.labelled:
        return
    alone = not offers(experiment.model.builds, Density)
    for name, split in dataset.splits.items():
        if split.label is not None:
            if (least := int(split.label.min(initial=0))) < 0:
                raise UserError(
                    f"The {name} split holds the label {least}; allowed, where a model has a class for every label: "
                    f"whole numbers from 0, or words."
                )
        elif alone and (name != "test" or experiment.evaluation.test):
            more = "; evaluation.test=false goes without the final test" if name == "test" else ""
            raise UserError(f"The {name} split has no labels, by which alone this model is scored{more}.")


def data_facts(dataset: Dataset) -> DataFacts:
    """What a model must know of the data."""
    labels = [split.label for split in dataset.splits.values() if split.label is not None]
    classes = 0 if dataset.train.label is None else max(int(label.max(initial=0)) for label in labels) + 1
    known = dataset.preprocessing
    return DataFacts(dataset.event_shape, dataset.binary, dataset.levels, classes, known.table, known.units)


def data_record(dataset: Dataset) -> dict[str, Any]:
    """run.json's `data`: what later commands must know of the data without loading it."""
    table = dataset.preprocessing.table
    empty = sum(int(np.isnan(part).sum()) for part in parts(dataset.train.x)) if table else 0
    gaps = {"missing": empty / (len(dataset.train) * len(table))} if table else {}
    return {
        "event_shape": list(dataset.event_shape),
        "levels": dataset.levels,
        "binary": dataset.binary,
        "classes": data_facts(dataset).classes,
        "sizes": {name: len(split) for name, split in dataset.splits.items()},
        **gaps,
        "digest": dataset.digest(),
        "preprocessing": dataset.preprocessing.to_config(),
    }


def summarise(dataset: Dataset, rows: int) -> DataSummary:
    """What parameters start from: of so many rows of the training split."""
    x, label = ScaledRows(dataset, rows), dataset.train.label
    known = None if label is None else np.asarray(label[x.places])
    return DataSummary(x, known, *x.moments(), len(dataset.train), *dataset.preprocessing.way_back)


class Shared:
    """What runs of one process have in common, kept from one to the next: data, and compiled evaluations.

    Files are taken to stay as they are meanwhile.
    """

    LIMIT = 12  # enough for the points of a sweep that stand side by side

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}
        self._turn = threading.RLock()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Another process, to which a launcher may send what holds this, has nothing in common yet."""
        return Shared, ()

    def get(self, what: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """What `make` made where the same plain data was given for `what`."""
        key = json.dumps(what, sort_keys=True)
        with self._turn:
            if key not in self._kept:
                while len(self._kept) >= self.LIMIT:
                    del self._kept[next(iter(self._kept))]
                self._kept[key] = make()
            return self._kept[key]


@dataclass
class Assembly:
    """Everything a run needs, built once. structure: what the model learned from data before it was built.
    shapes: of the algorithm's state, abstract arrays. stamp: of the data's own file as it was read, see `stamp`."""

    experiment: Experiment
    dataset: Dataset
    summary: DataSummary
    structure: Any
    model: Any
    algorithm: Algorithm
    shapes: Any
    evaluator: Evaluator
    validator: Validator
    pictures: Pictures
    placement: Placement
    stamp: Mapping[str, int] | None = None

    @classmethod
    def build(
        cls,
        experiment: Experiment,
        shared: Shared | None = None,
        structure: Any = None,
        recorded: Mapping[str, Any] | None = None,
    ) -> "Assembly":
        """structure, recorded: of a run that goes on what it has learned, and run.json's `data`."""
        shared = shared or Shared()
        spec = experiment.model

        def loaded() -> tuple[Dataset, DataSummary, Mapping[str, int] | None]:
            read = stamp(experiment)  # before: what is written meanwhile has another
            dataset = load_dataset(experiment, recorded)
            return dataset, summarise(dataset, spec.summary_rows), read

        kinds = {"kinds": getattr(by_record(experiment.dataset, recorded or {}), "columns", None)}
        key = _data_key(experiment) | kinds
        dataset, summary, read = shared.get(key, loaded)
        if not recorded:
            check_kinds(experiment, dataset)
        check_data(experiment, dataset)  # which another model may have loaded
        wanted = experiment.runtime.devices
        if experiment.runtime.distributed and wanted == 1:
            wanted = "all"  # the default is one for runs of one process
        placement = Placement.over(jax.device_count() if wanted == "all" else wanted)
        placement.check(experiment.trainer.batch_size, "trainer.batch_size")

        def built() -> tuple[Any, Any]:
            check_least(spec, data_facts(dataset))
            learned = spec.learn_structure(summary) if structure is None else structure
            model = spec.build(data_facts(dataset), learned)
            return learned, tried(model, spec, len(dataset.train))

        learned, model = shared.get({**key, "model": experiment.to_config()["model"]}, built)
        algorithm: Algorithm = experiment.algorithm.build(model, len(dataset.train))
        shapes = abstract_state(algorithm, blank(model.facts))
        check_fits(experiment, model, shapes)

        def evaluated() -> tuple[Evaluator, Validator, Pictures]:
            settings = experiment.evaluation
            return (
                Evaluator(model, dataset, settings, placement, anneals=spec.moves_latents),
                Validator(algorithm.scores, dataset, settings, placement),
                Pictures(model, dataset),
            )

        evaluator, validator, pictures = shared.get(_evaluation_key(experiment) | kinds, evaluated)
        return cls(
            *(experiment, dataset, summary, learned, model, algorithm, shapes),
            *(evaluator, validator, pictures, placement, read),
        )

    @property
    def plan(self) -> Plan:
        return Plan(self.experiment.trainer, len(self.dataset.train))

    def batches(self) -> ResidentBatches | StreamedBatches:
        """On the device, or streamed to it."""
        x, trainer = self.dataset.train.x, self.experiment.trainer
        kind = StreamedBatches if streams(self.experiment.dataset.stream, x.nbytes) else ResidentBatches
        return kind(self.dataset, trainer.batch_size, self.experiment.seed, placement=self.placement)

    def seeded_state(self) -> Any:
        """A state from the seed alone: the first of a new run, or what a saved one is like."""
        return self.algorithm.init(self.experiment.seed, self.summary)

    def initial_state(self, seeded: Any = None) -> Any:
        """The first state of a new run, from the seed or from another run's best parameters."""
        state = self.seeded_state() if seeded is None else seeded
        if self.experiment.init_from is None:
            return state
        check_variables(self.experiment, self.structure)
        like, config = self.algorithm.eval_params(state), self.experiment.to_config()
        params = parameters_of(self.experiment.init_from, like, config, self.dataset.event_shape)
        warn_of_other_meanings(self.experiment)
        warn_of_other_data(self.experiment, self.dataset.preprocessing)
        return self.algorithm.with_params(state, jax.device_put(params))


def _data_key(experiment: Experiment) -> dict[str, Any]:
    """What of an experiment decides over its data: the data set, and what the model asks of it."""
    model = experiment.model
    return {
        "dataset": experiment.to_config()["dataset"],
        "binary": model.binary,
        "dequantizes": model.dequantizes,
        "summary_rows": model.summary_rows,
        "likelihood": words(experiment.to_config()).get("likelihood"),
    }


def _evaluation_key(experiment: Experiment) -> dict[str, Any]:
    """What decides over compiled evaluations: everything but how parameters are found."""
    config = experiment.to_config()
    algorithm = {key: value for key, value in config["algorithm"].items() if key != "optimizer"}
    return {name: config[name] for name in ("dataset", "model", "evaluation", "runtime")} | {"algorithm": algorithm}


def load_best_params(model: Any, directory: RunDirectory) -> Any:
    """The best parameters of a run."""
    store = Store(directory.checkpoints, run=directory.identity)
    return jax.device_put(store.load_best(abstract_params(model))[0])
