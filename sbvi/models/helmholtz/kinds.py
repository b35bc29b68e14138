"""The kinds of layers by name."""

from typing import Literal

from sbvi.models.helmholtz.autoregressive import DARN, NADE
from sbvi.models.helmholtz.units import Bernoulli, Gaussian, Unit

UnitName = Literal["bernoulli", "gaussian", "darn", "nade"]
UNITS: dict[str, Unit] = {"bernoulli": Bernoulli(), "gaussian": Gaussian(), "darn": DARN(), "nade": NADE()}
