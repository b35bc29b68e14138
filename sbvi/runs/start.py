"""Starting from another run's best parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from sbvi.core import UserError
from sbvi.runs.changes import difference
from sbvi.runs.directory import RunDirectory
from sbvi.runs.experiment import Experiment
from sbvi.training import Store
from sbvi.training.checkpoint import OtherModel

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
        return Store(source.checkpoints, run=source.identity).load_best(like)[0]
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
