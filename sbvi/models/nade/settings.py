"""What a config chooses of a neural autoregressive density estimator."""

from typing import Any, ClassVar, Literal

from sbvi.core import PositiveInt, UserError, spec
from sbvi.models.nade.model import BuiltNADE
from sbvi.models.spec import ModelSpec
from sbvi.models.values import DataFacts


@spec
class NADE(ModelSpec):
    """A neural autoregressive density estimator of binary data, in the order of the data."""

    builds: ClassVar[type] = BuiltNADE
    default_objective: ClassVar[str] = "log_likelihood"

    hidden: PositiveInt = 500
    """Hidden units H."""
    activation: Literal["relu", "sigmoid"] = "relu"
    """Activation of the hidden units."""

    @property
    def binary(self) -> bool:
        return True

    def check(self, facts: DataFacts) -> None:
        if not facts.binary:
            raise UserError("model=nade is of binary data, and the data set is not; allowed: data of zeros and ones.")

    def least_parameters(self, facts: DataFacts) -> int:
        return 2 * facts.event_size * self.hidden

    def build(self, facts: DataFacts, structure: Any = None) -> BuiltNADE:
        return BuiltNADE(self.hidden, self.activation, facts)
