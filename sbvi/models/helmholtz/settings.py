"""What a config chooses of a Helmholtz machine."""

from typing import ClassVar, Literal

import numpy as np

from sbvi.core import NonNegativeInt, Positive, PositiveInt, UserError, spec
from sbvi.models.helmholtz.kinds import DATA_UNITS, UNITS, DataUnitName, UnitName
from sbvi.models.helmholtz.model import BuiltHelmholtz
from sbvi.models.helmholtz.units import Relaxing, Unit
from sbvi.models.spec import ModelSpec
from sbvi.models.values import DataFacts


@spec
class Between:
    """Sizes on a geometric line."""

    first: PositiveInt
    """Latents of the layer nearest the data."""
    count: PositiveInt
    """Number of layers."""
    last: PositiveInt
    """Latents of the top layer."""

    def sizes(self) -> tuple[int, ...]:
        """All sizes, rounded: log-linear between the ends."""
        line = np.linspace(np.log(self.first), np.log(self.last), self.count)
        return tuple(int(n) for n in np.round(np.exp(line)))


@spec
class Helmholtz(ModelSpec):
    """Sizes and kinds of the layers of a Helmholtz machine."""

    builds: ClassVar[type] = BuiltHelmholtz
    default_algorithm: ClassVar[str] = "bihm"
    of_real_values: ClassVar[str | None] = "model.data_units=gaussian"
    of_training: ClassVar[tuple[str, ...]] = ("output_bias", "weight_prior_variance")

    layers: tuple[PositiveInt, ...] | Between = (200, 100, 50)
    """Latents of each stochastic layer, the one nearest the data first; or {first, count, last}, log-linear."""
    units: UnitName | tuple[UnitName, ...] = "bernoulli"
    """Kind of every stochastic layer, or one for each, in p and q alike."""
    categories: PositiveInt | None = None
    """States of each variable of categorical layers, whose sizes it divides; null where no layer is categorical."""
    data_units: DataUnitName = "bernoulli"
    """Kind of p(x | h_1)."""
    deterministic: NonNegativeInt = 0
    """Tanh layers between two stochastic layers, each of half the units of both together."""
    output_bias: Literal["data", "minus_one"] = "data"
    """First biases of p(x | h_1): what gives the data's means, or the authors' -1."""
    weight_prior_variance: Positive | None = None
    """kappa of the prior N(0, kappa I) on the parameters of p, those of all layers; null for none."""

    def __post_init__(self) -> None:
        if not self.sizes():
            raise ValueError("layers=[] must name at least one stochastic layer")
        if not isinstance(self.units, str) and len(self.units) != len(self.sizes()):
            raise ValueError(f"units lists {len(self.units)} kinds for {len(self.sizes())} stochastic layers")
        self._check_categories()
        if self.output_bias == "minus_one" and not self.binary:
            raise ValueError(f"output_bias=minus_one has no meaning with data_units={self.data_units}; use data")

    def _check_categories(self) -> None:
        wide = [size for name, size in zip(self.names(), self.sizes(), strict=True) if name == "categorical"]
        if not wide and self.categories is not None:
            raise ValueError(f"categories={self.categories} is for categorical layers, and units names none; use null")
        if wide and (self.categories is None or self.categories < 2):
            raise ValueError(f"categories={self.categories} must be 2 or more where units names a categorical layer")
        for size in wide:
            if size % (self.categories or 1):
                raise ValueError(
                    f"layers has a categorical layer of {size}, which categories={self.categories} must divide"
                )

    def sizes(self) -> tuple[int, ...]:
        """Latents of each layer, the one nearest the data first."""
        return self.layers.sizes() if isinstance(self.layers, Between) else self.layers

    def names(self) -> tuple[str, ...]:
        """The name of each layer's unit."""
        return (self.units,) * len(self.sizes()) if isinstance(self.units, str) else self.units

    def kinds(self) -> list[Unit]:
        """The unit of each layer."""
        return [UNITS[name](self.categories or 1) for name in self.names()]

    def between(self, neighbour: int, size: int) -> list[int]:
        """What a unit's network is made of: the neighbour's size (0 for none), deterministic layers, its own size."""
        inner = [(neighbour + size) // 2] * self.deterministic if neighbour else []
        return [neighbour, *inner, size]

    @property
    def binary(self) -> bool:
        return DATA_UNITS[self.data_units].discrete

    @property
    def stochastic_layers(self) -> int:
        return len(self.sizes())

    @property
    def dequantizes(self) -> bool:
        return not self.binary

    @property
    def estimators(self) -> tuple[str, ...]:
        """Where every latent is a smooth function of noise, that path serves; else q's score must."""
        discrete = [unit for unit in self.kinds() if unit.discrete]
        if discrete:
            relaxed = ("relaxed",) if all(isinstance(unit, Relaxing) for unit in discrete) else ()
            return ("score_function", "nvil", "vimco", *relaxed)
        return ("standard", "sticking_the_landing")

    def check(self, facts: DataFacts) -> None:
        if self.binary and not facts.binary:
            raise UserError(
                f"model.data_units={self.data_units} needs binary data, and the data set is not binary; use gaussian."
            )
        if not self.binary and facts.binary:
            raise UserError("The data set is binary; use model.data_units=bernoulli, darn or nade.")

    def least_parameters(self, facts: DataFacts) -> int:
        """Those between the deterministic layers that lead to the data."""
        inner = (self.sizes()[0] + facts.event_size) // 2
        return (self.deterministic - 1) * inner**2

    def build(self, facts: DataFacts, structure: object = None) -> BuiltHelmholtz:
        return BuiltHelmholtz(self, facts)
