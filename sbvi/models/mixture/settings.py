"""What a config chooses of a mixture."""

from dataclasses import replace
from typing import Any, ClassVar, Literal

from sbvi.core import Positive, PositiveInt, UserError, spec
from sbvi.models.mixture.components import BernoulliComponents, GaussianComponents
from sbvi.models.mixture.model import BuiltMixture
from sbvi.models.spec import ModelSpec
from sbvi.models.values import DataFacts


@spec
class Mixture(ModelSpec):
    """A mixture of factorised Bernoullis or of diagonal Gaussians."""

    builds: ClassVar[type] = BuiltMixture
    default_algorithm: ClassVar[str] = "expectation_maximisation"
    default_objective: ClassVar[str] = "log_likelihood"
    of_real_values: ClassVar[str | None] = "model.components=gaussian"

    count: PositiveInt = 10
    """Number of components."""
    components: Literal["bernoulli", "gaussian"] | None = None
    """Distribution of each value within a component; null for what the data set calls for."""
    minimum_scale: Positive = 0.01
    """Least standard deviation of a Gaussian component, on the model's scale."""

    @property
    def binary(self) -> bool:
        return self.components == "bernoulli"

    @property
    def dequantizes(self) -> bool:
        return self.components == "gaussian"

    def completed(self, likelihood: str) -> "Mixture":
        if self.components is not None:
            return self
        return replace(self, components="bernoulli" if likelihood == "bernoulli" else "gaussian")

    def check(self, facts: DataFacts) -> None:
        if self.binary != facts.binary:
            kind = "binary" if facts.binary else "not binary"
            fit = "bernoulli" if facts.binary else "gaussian"
            raise UserError(f"model.components={self.components}, and the data set is {kind}; allowed: {fit}.")

    def least_parameters(self, facts: DataFacts) -> int:
        return self.count * facts.event_size

    def build(self, facts: DataFacts, structure: Any = None) -> BuiltMixture:
        own = BernoulliComponents() if self.binary else GaussianComponents(self.minimum_scale)
        return BuiltMixture(self.count, own, facts)
