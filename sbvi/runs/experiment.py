"""A whole experiment as one value: every choice checked, ready to be built or written to run.json.

The choices are a tree: likelihood, posterior and prior belong to the model, objective and optimiser to the algorithm.
On the command line they are words of their own; `sbvi.runs.words` turns one form into the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pydantic

from sbvi.algorithms import ALGORITHMS
from sbvi.core import UserError, build, choices, make, name_of, plain, unknown_key
from sbvi.core.errors import check_seed
from sbvi.core.plugins import telling, wrong
from sbvi.core.spec import sentence
from sbvi.data import DATASETS
from sbvi.data.streaming import Streamed
from sbvi.evaluation import Evaluation
from sbvi.models import MODELS
from sbvi.reporting.loggers import LOGGERS, TensorBoardEvents
from sbvi.runs.idle import check_idle
from sbvi.runs.runtime import Runtime
from sbvi.runs.words import CHOICES, WORDS, tree, words
from sbvi.training import Trainer

GROUPS: dict[str, Mapping[str, type]] = {
    "dataset": DATASETS,
    "model": MODELS,
    "algorithm": ALGORITHMS,
    "logger": LOGGERS,
}
#: What stands for a group that an older run.json has not.
ABSENT = {"logger": {"name": "tensorboard"}}
SETTINGS: dict[str, type] = {"trainer": Trainer, "evaluation": Evaluation, "runtime": Runtime}
TOP = ("seed", "init_from")


@dataclass(frozen=True)
class Experiment:
    """Every choice of one run. The fields named in GROUPS hold an entry of that group's registry."""

    dataset: Any
    model: Any
    algorithm: Any
    trainer: Trainer
    evaluation: Evaluation = Evaluation()
    runtime: Runtime = Runtime()
    logger: Any = TensorBoardEvents()
    seed: int = 0
    init_from: str | None = None

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.init_from is not None and not isinstance(self.init_from, str):
            raise UserError(f"init_from={self.init_from} must be the folder of a run.")
        # Open choices are made and written down, so that run.json says what was done.
        model = _completed(self.model, "model", self.dataset.likelihood)
        algorithm = _completed(self.algorithm, "algorithm", model)
        for field, value in (("model", model), ("algorithm", algorithm), ("dataset", self._dataset(model.binary))):
            object.__setattr__(self, field, value)
        if getattr(self.dataset, "types", None) == "auto":
            object.__setattr__(self, "dataset", replace(self.dataset, types="found" if model.by_column else "numbers"))

    def check(self) -> None:
        """Refuse a model that no run should begin with, or an algorithm that must not begin to train it.

        Raises:
          UserError: what has no use; what the algorithm needs of the model, or why their result would mean nothing.
        """
        with telling():
            self.model.check_begun()
            self.algorithm.check(self.model)

    def _dataset(self, binary: bool) -> Any:
        """The data set with the binarization that the model asks for."""
        how = self.dataset.binarization
        if how == "auto":
            return replace(self.dataset, binarization="static" if binary else "none")
        if binary and how == "none":
            ways = getattr(self.dataset, "binarizations", Streamed.binarizations)
            whole, real = self.model.beyond_bits
            allowed = [ways, *([f"of whole numbers {whole}"] if whole else []), *([f"or {real}"] if real else [])]
            raise UserError(
                "dataset.binarization=none gives grey values, and the model is of binary data; "
                f"allowed: {'; '.join(allowed)}."
            )
        if not binary and how != "none":
            raise UserError(
                f"dataset.binarization={how} gives binary data, for which the model's density has no bound; "
                f"allowed: auto, none."
            )
        return self.dataset

    @classmethod
    def from_config(cls, config: Mapping[str, Any], recorded: bool = False, words: Sequence[str] = ()) -> "Experiment":
        """Build and check every part from plain data, such as a resolved Hydra config or run.json.

        Args:
          recorded: whether it is a begun run's, whose choices were checked by the version that began it: what a later
            one refuses to begin can still be read, evaluated and gone on with.
          words: of the command line, among what the config was composed from.

        Raises:
          UserError: one sentence that names the key, the value and what is allowed.
        """
        known = [*GROUPS, *SETTINGS, *WORDS, *TOP]
        for key, value in config.items():
            if key not in known:
                raise unknown_key(key, value, known)
        if recorded:
            _check_installed(config)
        config = tree(ABSENT | dict(config))
        for key in [*GROUPS, *SETTINGS]:
            if not isinstance(config.get(key), Mapping):
                raise UserError(f"{key}={config.get(key)} must be a group of settings.")
        parts: dict[str, Any] = {group: build(registry, group, config[group]) for group, registry in GROUPS.items()}
        parts |= {group: make(settings, config[group], group) for group, settings in SETTINGS.items()}
        experiment = cls(**parts, seed=config.get("seed", 0), init_from=config.get("init_from"))
        if not recorded:
            experiment.check()
            for group in [*GROUPS, *SETTINGS]:
                check_idle(getattr(experiment, group), group, words)
        return experiment

    @classmethod
    def from_overrides(cls, overrides: Sequence[str] = ()) -> "Experiment":
        """The experiment that `sbvi-train OVERRIDES` trains.

        Raises:
          UserError: as the command would say.
        """
        from sbvi.runs.compose import checked_words, composed

        overrides = checked_words(overrides)
        return cls.from_config(composed(overrides), words=overrides)

    def to_config(self) -> dict[str, Any]:
        """Plain data that `from_config` turns into an equal experiment."""
        written: dict[str, Any] = {"seed": self.seed, "init_from": self.init_from}
        for group, registry in GROUPS.items():
            part = getattr(self, group)
            written[group] = {"name": name_of(registry, part), **plain(part)}
        return written | {group: plain(getattr(self, group)) for group in SETTINGS}


def _completed(part: Any, group: str, *given: Any) -> Any:
    """What a part's `completed` gives, if it is settings of its kind.

    Raises:
      UserError: it is none, as that of an installed package's may be; or the choices do not fit one another, which is
        said as if they had been given.
    """
    try:
        made = part.completed(*given)
    except pydantic.ValidationError as error:
        raise sentence(error, type(part), plain(part), group) from None
    if not isinstance(made, (type(part), *GROUPS[group].values())):
        raise wrong(type(part), "completed", made, f"settings, such as {type(part).__name__}")
    return made


def _check_installed(config: Mapping[str, Any]) -> None:
    """Refuse a recorded config that names what is not here.

    Raises:
      UserError: a choice that neither sbvi has nor an installed package.
    """
    apart = words(config)
    for group, registry in {**GROUPS, **CHOICES}.items():
        part = apart.get(group)
        name = part.get("name") if isinstance(part, Mapping) and group != "optimizer" else None  # Optax has those
        if isinstance(name, str) and name not in registry:
            known = str(choices(f"{group}.name", name, registry)).removesuffix(".")
            raise UserError(f"{known}; the run was made with a plug-in that is not installed here, or by a later sbvi.")
