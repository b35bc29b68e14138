"""The kinds of layers by name."""

from collections.abc import Callable
from typing import Literal

from sbvi.models.helmholtz.autoregressive import DARN, NADE
from sbvi.models.helmholtz.categorical import Categorical
from sbvi.models.helmholtz.units import Bernoulli, Gaussian, Unit

#: Of a layer of data, and of a stochastic layer.
DataUnitName = Literal["bernoulli", "gaussian", "darn", "nade"]
UnitName = Literal["bernoulli", "categorical", "gaussian", "darn", "nade"]

#: Of the data's values, by name.
DATA_UNITS: dict[str, Unit] = {"bernoulli": Bernoulli(), "gaussian": Gaussian(), "darn": DARN(), "nade": NADE()}
#: Of a stochastic layer's, made from the number of states of a categorical variable.
UNITS: dict[str, Callable[[int], Unit]] = {
    **{name: lambda _, unit=unit: unit for name, unit in DATA_UNITS.items()},  # type: ignore[misc]
    "categorical": Categorical,
}
