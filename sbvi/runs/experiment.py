"""A whole experiment as one value: every choice checked, ready to be built or written to run.json."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sbvi.algorithms import ALGORITHMS, Optimizer
from sbvi.core import NonNegativeInt, PositiveInt, UserError, build, make, plain, spec, unknown_key
from sbvi.data import DATASETS
from sbvi.distributions import LIKELIHOODS, POSTERIORS
from sbvi.evaluation import Evaluation
from sbvi.gradients import SECOND_ORDER
from sbvi.models import MODELS
from sbvi.networks.activations import ACTIVATIONS
from sbvi.objectives import OBJECTIVES
from sbvi.objectives.compatibility import check_latent_noise
from sbvi.training import Trainer


@spec
class Runtime:
    """Where and how the program runs."""

    platform: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Device kind; auto takes the best there is."""
    devices: PositiveInt | Literal["all"] = 1
    """Devices that share every batch; all takes what there is, in all processes of the run."""
    distributed: bool = False
    """Whether this is one of several processes of a run; the next three are found from SLURM or Open MPI where null."""
    coordinator: str | None = None
    """HOST:PORT of the first process, where the others find it."""
    processes: PositiveInt | None = None
    """How many processes the run has."""
    process: NonNegativeInt | None = None
    """Which of them this is, from 0."""
    compilation_cache: bool = True
    """Keep compiled programs in the cache folder, so that the next start is faster."""
    deterministic: bool = False
    """On a GPU, allow only operations that give the same bits every time (slower). A CPU always does."""
    debug_nans: bool = False
    """Stop at the first operation that gives a NaN, with its place (slow)."""


GROUPS: dict[str, Mapping[str, type]] = {
    "dataset": DATASETS,
    "model": MODELS,
    "likelihood": LIKELIHOODS,
    "posterior": POSTERIORS,
    "objective": OBJECTIVES,
    "algorithm": ALGORITHMS,
}
#: Groups that came after the first version, for configs written before them.
ADDED = {"algorithm": {"name": "gradient_ascent"}}
SETTINGS: dict[str, type] = {
    "optimizer": Optimizer,
    "trainer": Trainer,
    "evaluation": Evaluation,
    "runtime": Runtime,
}


@dataclass(frozen=True)
class Experiment:
    """Every choice of one run. The fields named in GROUPS hold an entry of that group's registry."""

    dataset: Any
    model: Any
    likelihood: Any
    posterior: Any
    objective: Any
    algorithm: Any
    optimizer: Optimizer
    trainer: Trainer
    evaluation: Evaluation = Evaluation()
    runtime: Runtime = Runtime()
    seed: int = 0
    init_from: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or not 0 <= self.seed < 2**31:
            raise UserError(f"seed={self.seed} must be a whole number of 0..{2**31 - 1}.")
        if self.init_from is not None and not isinstance(self.init_from, str):
            raise UserError(f"init_from={self.init_from} must be the folder of a run.")
        binary = self.likelihood.binary
        if self.dataset.binarization == "auto":
            # The choice that the likelihood asks for, written down, so that run.json says what was done.
            chosen = replace(self.dataset, binarization="static" if binary else "none")
            object.__setattr__(self, "dataset", chosen)
        elif binary and self.dataset.binarization == "none":
            raise UserError(
                "dataset.binarization=none gives grey values, and this likelihood needs binary data; "
                "allowed: auto, static, dynamic, threshold."
            )
        elif not binary and self.dataset.binarization != "none":
            raise UserError(
                f"dataset.binarization={self.dataset.binarization} gives binary data, for which this likelihood's "
                f"density has no bound; allowed: auto, none."
            )
        rule = getattr(self.objective, "rule", None)
        if rule in SECOND_ORDER and not self.model.smooth:
            smooth = sorted(name for name, found in ACTIVATIONS.items() if found.smooth)
            raise UserError(
                f"objective.rule={rule} needs a twice differentiable model.activation, and {self.model.activation} has "
                f"kinks; allowed: {', '.join(smooth)}, or objective.rule=reparameterised."
            )
        if (takes := getattr(self.algorithm, "takes", None)) is not None:
            plainest = takes(num_samples=getattr(self.objective, "num_samples", 1))
            if self.objective != plainest:
                algorithm, objective = _name(ALGORITHMS, self.algorithm), _name(OBJECTIVES, plainest)
                raise UserError(
                    f"algorithm={algorithm} climbs no bound that an objective could change; allowed: "
                    f"objective={objective} with objective.num_samples alone."
                )
        if self.model.bit_flip and not binary:
            raise UserError(f"model.bit_flip={self.model.bit_flip} needs binary data; use model.input_dropout.")
        check_latent_noise(self.objective, self.model.latent_noise)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Experiment":
        """Build and check every part from plain data, such as a resolved Hydra config or run.json.

        Raises:
          UserError: one sentence that names the key, the value and what is allowed.
        """
        known = [*GROUPS, *SETTINGS, "seed", "init_from"]
        for key, value in config.items():
            if key not in known:
                raise unknown_key(key, value, known)
        config = {**ADDED, **config}
        for key in [*GROUPS, *SETTINGS]:
            if not isinstance(config.get(key), Mapping):
                raise UserError(f"{key}={config.get(key)} must be a group of settings.")
        parts: dict[str, Any] = {group: build(registry, group, config[group]) for group, registry in GROUPS.items()}
        parts |= {group: make(settings, config[group], group) for group, settings in SETTINGS.items()}
        return cls(**parts, seed=config.get("seed", 0), init_from=config.get("init_from"))

    def to_config(self) -> dict[str, Any]:
        """Plain data that `from_config` turns into an equal experiment."""
        found: dict[str, Any] = {"seed": self.seed, "init_from": self.init_from}
        for group, registry in GROUPS.items():
            part = getattr(self, group)
            found[group] = {"name": _name(registry, part), **plain(part)}
        return found | {group: plain(getattr(self, group)) for group in SETTINGS}


def _name(registry: Mapping[str, type], part: Any) -> str:
    return next(name for name, entry in registry.items() if type(part) is entry)


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
