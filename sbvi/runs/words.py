"""The words of the command line and the tree of choices in run.json, each turned into the other.

On the command line `posterior=rank_one` and `optimizer.learning_rate=1e-3` stand by themselves; in the tree each hangs
from its owner. A word that was not given is left to what model, algorithm and data call for.
"""

from collections.abc import Mapping
from typing import Any

from sbvi.algorithms import ALGORITHMS, Optimizer
from sbvi.core import UserError, fields
from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.distributions.priors import PRIORS
from sbvi.models import MODELS
from sbvi.objectives import OBJECTIVES
from sbvi.posteriors import POSTERIORS

#: Word -> the group that owns it.
WORDS = {
    "likelihood": "model",
    "posterior": "model",
    "prior": "model",
    "objective": "algorithm",
    "optimizer": "algorithm",
}
OWNERS: dict[str, Mapping[str, type]] = {"model": MODELS, "algorithm": ALGORITHMS}
#: Word -> what can be chosen; the optimiser's choices are Optax's.
CHOICES: dict[str, Mapping[str, type]] = {
    "likelihood": LIKELIHOODS,
    "posterior": POSTERIORS,
    "prior": PRIORS,
    "objective": OBJECTIVES,
    "optimizer": {"optimizer": Optimizer},
}


def given(values: Any) -> Any:
    """Nested settings without those that are null: in a word's group null stands for the default."""
    if not isinstance(values, Mapping):
        return values
    kept = {key: given(value) for key, value in values.items() if value is not None}
    return {key: value for key, value in kept.items() if value != {}}


def tree(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config with its words hung from their owners; one that has none is returned as it is.

    Raises:
      UserError: an owner has no use for a word that was given.
    """
    nested = {key: value for key, value in config.items() if key not in WORDS}
    for group, registry in OWNERS.items():
        if not isinstance(nested.get(group) or {}, Mapping):
            raise UserError(f"{group}={nested[group]} must be a group of settings.")
        own = dict(nested.get(group) or {})
        if group == "algorithm":
            own = given(own)
        if "name" not in own:
            own["name"] = _default(group, nested)
            _check_keys(group, own, own["name"])
        for word in [w for w, owner in WORDS.items() if owner == group]:
            value = given(config.get(word))
            if not value:
                continue
            kind = registry.get(own["name"])
            if kind is not None and word not in fields(kind):
                raise UserError(_no_use(word, value, group, own["name"]))
            if not isinstance(value, Mapping):
                raise UserError(f"{word}={value} must be a group of settings.")
            own[word] = value if word == "optimizer" else _named(word, value, nested)
        nested[group] = own
    return nested


def _default(group: str, config: Mapping[str, Any]) -> Any:
    """The name where none is given: the algorithm that the model calls for."""
    model = config.get("model")
    name = model.get("name") if isinstance(model, Mapping) else None
    if group == "algorithm" and name in MODELS:
        return MODELS[name].default_algorithm
    return None


def _named(word: str, value: Mapping[str, Any], config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings of a word with the name of the default entry, where they are given without one."""
    if "name" in value:
        return value
    if word == "objective":
        model = MODELS.get(str(config["model"].get("name")))
        name = model.default_objective if model is not None else None
    elif word == "likelihood":
        raise UserError(
            f"likelihood.{next(iter(value))} needs the likelihood named too; allowed: likelihood="
            f"{', '.join(sorted(CHOICES[word]))}."
        )
    else:
        name = next(iter(CHOICES[word]))
    _check_keys(word, value, name)
    return {"name": name, **value}


def _check_keys(word: str, value: Mapping[str, Any], name: str | None) -> None:
    """Refuse settings of another choice than the one that stands where none is named."""
    kinds = CHOICES.get(word) or OWNERS[word]
    for key in value:
        having = [n for n, kind in kinds.items() if key in fields(kind)]
        if name in kinds and having and name not in having:
            owners = ", ".join(sorted(having))
            raise UserError(f"{word}.{key} is a key of {word}={owners}, and {word} is {name} where none is named.")


def _no_use(word: str, value: Any, group: str, name: str) -> str:
    said = (
        f"{word}={value['name']}" if isinstance(value, Mapping) and "name" in value else f"{word}.{next(iter(value))}"
    )
    using = sorted(n for n, kind in OWNERS[group].items() if word in fields(kind))
    real = getattr(OWNERS[group].get(name), "of_real_values", None) if word == "likelihood" else None
    more = f"; {group}={name} is of real values by {real}" if real else ""
    return f"{said} has no use with {group}={name}; {word} is a choice of {group}={', '.join(using)}{more}."


def words(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config, of either form, with its words by themselves, as on the command line."""
    apart = dict(config)
    for word, owner in WORDS.items():
        own = apart.get(owner)
        if isinstance(own, Mapping) and isinstance(own.get(word), Mapping):
            apart[owner] = {key: value for key, value in own.items() if key != word}
            apart[word] = own[word]
    return apart


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    dotted: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            dotted |= flat(value, f"{prefix}{key}.")
        else:
            dotted[f"{prefix}{key}"] = value
    return dotted
