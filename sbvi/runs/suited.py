"""Whether values as they are held suit an experiment's model, before anything is made of them."""

from typing import Any

from sbvi.core import UserError, name_of
from sbvi.data import Dataset
from sbvi.data.own import called
from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.models import MODELS
from sbvi.runs.experiment import Experiment


def check_kinds(experiment: Experiment, dataset: Dataset) -> None:
    """Refuse to begin on columns by kind where the model has not a law for each: it would be a density over codes of
    categories, or in other units than `test/nll_independent`. What an earlier version began goes on.

    Raises:
      UserError: the model takes complete columns of numbers alone.
    """
    spec: Any = experiment.dataset
    if dataset.preprocessing.table is None or experiment.model.by_column:
        return
    if (types := getattr(spec, "types", None)) is not None:
        held, instead = f"dataset.types={types} makes", "dataset.types=numbers"
    else:
        held, instead = f"{called(getattr(spec, 'path', dataset.name))} holds", "converted with dataset.types=numbers"
    raise UserError(
        f"{held} columns by kind, which {_said(experiment.model)} cannot take; allowed: complete columns of numbers "
        f"({instead}), or model=dlgm likelihood=mixed."
    )


def check_bits(experiment: Experiment, dataset: Dataset) -> None:
    """Refuse a model of binary data where values have no range to draw 0 and 1 from.

    Raises:
      UserError: what of the model is binary, and what takes real values.
    """
    model, known = experiment.model, dataset.preprocessing
    if not model.binary or known.binary or (known.location is None and None not in (known.minimum, known.maximum)):
        return
    where = called(getattr(experiment.dataset, "path", dataset.name))
    allowed = ["0 and 1 alone, or values with a range", *([real] if (real := model.beyond_bits[1]) else [])]
    raise UserError(
        f"{model.binary_by} is of binary data, and {where} holds {known.units}, without a range to draw 0 and 1 from; "
        f"allowed: {'; or '.join(allowed)}."
    )


def _said(model: Any) -> str:
    law = getattr(model, "likelihood", None)
    more = f" likelihood={name_of(LIKELIHOODS, law)}" if type(law) in LIKELIHOODS.values() else ""
    return f"model={name_of(MODELS, model)}{more}"
