"""The preprocessing of a trained run, from its run.json."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sbvi.data.own import few
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.tabular.cells import as_text


def recorded(data: Mapping[str, Any], event_shape: tuple[int, ...], spec: Any, dequantize: bool) -> Preprocessing:
    """What run.json says under `data.preprocessing`; for runs made before it did, what follows from the rest.

    Of a data set that an earlier version binarized once, the grey values' range is not known: it takes 0 and 1.

    Args:
      data: run.json's `data`.
      event_shape: of one example.
      spec: the run's data set.
      dequantize: whether its likelihood asks for noise on whole numbers.

    Raises:
      UserError: what is recorded cannot be read.
    """
    if isinstance(config := data.get("preprocessing"), Mapping):
        return Preprocessing.from_config(config)
    levels = data.get("levels")
    if data.get("binary"):
        if spec.binarization != "dynamic" or levels == 1:
            return Preprocessing.whole(event_shape, 1)
        grey = Preprocessing.whole(event_shape, levels) if levels else Preprocessing.real(event_shape, 0.0, 1.0)
        return grey.but(binarization="dynamic", seed=getattr(spec, "split_seed", 0))
    if levels:
        return Preprocessing.whole(event_shape, levels).but(dequantize=dequantize)
    if not hasattr(spec, "minimum"):
        return Preprocessing.real(event_shape)
    maximum = 1.0 if spec.maximum is None else spec.maximum
    return Preprocessing.real(event_shape, spec.minimum, maximum).but(rescale=spec.rescale)


def same_data(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    """Whether the data that run.json describes is the data found: the same values, in the same units where those are
    recorded."""
    if recorded.get("digest") != current.get("digest"):
        return False
    there, here = recorded.get("preprocessing"), current.get("preprocessing")
    return there is None or (here is not None and Preprocessing.from_config(there) == Preprocessing.from_config(here))


def other_kinds(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> str:
    """Of a table by column: the first that is taken otherwise now than run.json says, as another version or other
    values make of it; empty where there is none."""
    there, here = (_kinds(each) for each in (recorded, current))
    if not there or not here:
        return ""
    for name in {**there, **here}:
        before, now = there.get(name, "ignored"), here.get(name, "ignored")
        if before != now:
            return f" (column {name} was taken as {before}, and is taken as {now} now)"
    return ""


def by_record(settings: Any, recorded: Mapping[str, Any]) -> Any:
    """A data set's settings, by which columns are taken for what run.json says they were, whatever this version would
    take them for. What the user says of a column stands."""
    table = (recorded.get("preprocessing") or {}).get("table")
    if not table or not hasattr(settings, "columns"):
        return settings
    told = {
        column["name"]: tuple(map(_spelled, column["values"])) if column["kind"] == "ordinal" else column["kind"]
        for column in table
    }
    own = dict(settings.columns or {})
    made = replace(settings, columns=told | own)
    object.__setattr__(made, "recorded", frozenset(told) - set(own))  # no setting: the log tells the two apart
    return made


def _spelled(value: str | float | bool) -> str:
    return as_text(value) if isinstance(value, float) else str(value)


def other_meaning(recorded: Mapping[str, Any], own: Preprocessing) -> str:
    """Where the same number in a model means another value in the data that run.json describes than in one's own: the
    first such thing, as `X there and Y here`; empty where there is none, or none is recorded. Ranges are of values that
    are moved into them; where columns lie and how far they spread may be as each data set has it."""
    if not isinstance(config := recorded.get("preprocessing"), Mapping):
        return ""
    there, here = (_meaning(known) for known in (Preprocessing.from_config(config), own))
    for what in (what for what in there if what in here and there[what] != here[what]):
        before, now = there[what], here[what]
        if len(before) == len(now):  # by their places, else the first of many could all be the same
            pairs = [pair for pair in zip(before, now, strict=True) if pair[0] != pair[1]]
            before, now = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        return f"{what} {few(before)} there and {few(now)} here"
    return ""


def _meaning(known: Preprocessing) -> dict[str, list[str]]:
    """What a number in a model means, in words, as far as it is known: by columns, and by the range of the source."""
    table = known.table or ()
    meaning = {
        "columns": [column.name for column in table] or list(known.columns or ()),
        "columns taken as": [f"{column.name} {column.kind}" for column in table],
        "categories": [f"{value} of {column.name}" for column in table if column.coded for value in column.values],
    }
    if not table and (values := _range(known)):
        meaning["values"] = [values]
    return {what: named for what, named in meaning.items() if named}


def _range(known: Preprocessing) -> str:
    """How values stand in the range that a model sees; empty of real numbers that are seen as they are and may well be
    the same as those of another run that are moved there."""
    if known.binary:
        return "0 and 1"
    if known.levels is not None or known.rescale:
        return known.units
    if known.location is not None:
        return "by columns' own locations and scales"
    return "" if (known.minimum, known.maximum) == (0, 1) else "in their own units"


def _kinds(data: Mapping[str, Any]) -> dict[str, str]:
    table = (data.get("preprocessing") or {}).get("table")
    return {column["name"]: column["kind"] for column in table or ()}
