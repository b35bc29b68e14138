"""Starting from another run's best parameters."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from sbvi.core import UserError, build, plain
from sbvi.core.configs import spelled
from sbvi.data import Preprocessing
from sbvi.data.recorded import other_meaning
from sbvi.models import MODELS
from sbvi.runs.best import best_of
from sbvi.runs.changes import difference
from sbvi.runs.directory import RunDirectory
from sbvi.runs.experiment import Experiment
from sbvi.runs.words import WORDS, flat, tree, words
from sbvi.training.checkpoint import OtherModel

log = logging.getLogger(__name__)

#: Groups of settings that parameters are of, those that tell most first.
GROUPS = ("model", "likelihood", "posterior", "prior", "dataset")


def parameters_of(folder: str, like: Any, config: Mapping[str, Any], event_shape: Sequence[int]) -> Any:
    """The best parameters of the run in a folder, as a tree like `like`, that of a run of this config.

    Raises:
      UserError: it is no run, or one of another model: the sentence names a setting by which the two differ.
    """
    source = RunDirectory(folder)
    record = source.read_run()
    try:
        return best_of(source, like).params()
    except OtherModel as error:
        other = _differs(record, config, event_shape)
        if other is None:
            raise
        raise UserError(
            f"init_from={folder} is a run whose parameters are of another model: {other}; allowed: runs with the same "
            "settings of model, likelihood, posterior and prior, on data of the same shape and kind."
        ) from error


def check_variables(experiment: Experiment, structure: Any) -> None:
    """Refuse to start from parameters that are of other variables in this model, whatever their shapes.

    structure: what this run's model learned of its structure.

    Raises:
      UserError: the run that is started from has another structure.
    """
    if not (own := experiment.model.placing(structure)):
        return
    record = RunDirectory(str(experiment.init_from)).read_run()
    model = Experiment.from_config(record["config"], recorded=True).model
    if type(model) is not type(experiment.model):
        return  # which shapes and names tell
    begun = model.placing(record.get("structure"))
    for key in (key for key, value in own.items() if begun.get(key) != value):
        if key.startswith("posterior.") and key not in begun:
            continue  # a posterior of another kind, of which shapes and names tell
        told = isinstance(own[key], str | int) and key in begun
        name = key if "." in key else f"model.{key}"
        what = f"{name}={begun[key]}, and this run {own[key]}" if told else "another structure than this run"
        raise UserError(
            f"init_from={experiment.init_from} has {what}, so that its parameters are of other variables; allowed: a "
            f"run of the same structure."
        )


def warn_of_other_meanings(experiment: Experiment) -> None:
    """Say by which settings parameters whose shapes fit, those that this run starts from, mean something else in it.

    Such a start may be what is wanted, so that it is no error. Settings that only say how parameters are found, such
    as dropout, and those of objective and optimiser change nothing of what parameters mean.
    """
    folder = str(experiment.init_from)
    if found := _other_meanings(RunDirectory(folder).read_run()["config"], experiment.model):
        told = "; ".join(f"{key}={spelled(there)}, here {spelled(here)}" for key, (there, here) in found.items())
        log.warning(
            "init_from=%s is a run with %s: its parameters fit by their shapes and mean something else here.",
            *(folder, told),
        )


def warn_of_other_data(experiment: Experiment, preprocessing: Preprocessing) -> None:
    """Say where what this run's model sees means something else than it did to the run that it starts from."""
    folder = str(experiment.init_from)
    if what := other_meaning(RunDirectory(folder).read_run()["data"], preprocessing):
        log.warning("init_from=%s is a run on other data (%s): its parameters mean something else here.", folder, what)


def _other_meanings(config: Mapping[str, Any], model: Any) -> dict[str, tuple[Any, Any]]:
    """Key -> value of a recorded config and of a model's settings, of the keys by which their parameters differ."""
    recorded = tree(config)["model"]
    try:
        begun = build(MODELS, "model", recorded)  # which fills in keys that the version of the record did not have
    except UserError:
        return {}  # one of a package that is not here: shapes and names tell, as far as can be told
    here, there = (flat(words({"model": plain(settings)})) for settings in (model, begun))
    same = _without_meaning(model)
    return {k: (there[k], here[k]) for k in here if k in there and there[k] != here[k] and k not in same}


def _without_meaning(model: Any) -> set[str]:
    """The keys of a model, and of what hangs from it, that say nothing of what its parameters mean."""
    parts = {w: getattr(model, w) for w, owner in WORDS.items() if owner == "model" and hasattr(model, w)}
    return {
        f"{where}.{key}"
        for where, part in {"model": model, **parts}.items()
        for key in (*getattr(part, "of_training", ()), *getattr(part, "idle", dict)())
    }


def _differs(record: Mapping[str, Any], config: Mapping[str, Any], event_shape: Sequence[int]) -> str | None:
    """What differs, in words: the name of a group's choice, else the shape of the data, else a setting."""
    found = difference(record["config"], config)
    names = [f"{group}.name" for group in GROUPS[:-1] if f"{group}.name" in found]
    if names:
        there, here = found[names[0]]
        return f"{names[0].removesuffix('.name')}={there} there and {here} here"
    shape = record.get("data", {}).get("event_shape")
    if shape is not None and list(shape) != list(event_shape):
        return f"its examples have the shape {tuple(shape)} there and {tuple(event_shape)} here"
    for key in sorted((k for k in found if k.partition(".")[0] in GROUPS), key=_place):
        return f"{key}={found[key][0]} there and {found[key][1]} here"
    return None


def _place(key: str) -> int:
    return GROUPS.index(key.partition(".")[0])
