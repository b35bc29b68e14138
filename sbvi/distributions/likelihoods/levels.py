"""What likelihoods of the data's own whole numbers share."""

from typing import ClassVar

from sbvi.core import PositiveInt, UserError, spec
from sbvi.distributions.likelihoods.likelihood import LikelihoodSpec


@spec
class Levels(LikelihoodSpec):
    """Laws of k = 0..levels, of which a model sees x = k / levels. kind: what such numbers are called."""

    levels: PositiveInt = 255
    """The greatest whole number in the data, by which the values that a model sees are divided."""

    kind: ClassVar[str] = "the levels"
    discrete = True

    def check(self, levels: int | None) -> None:
        """Refuse data of other levels.

        Raises:
          UserError: the data's levels are not these.
        """
        if levels != self.levels:
            held = f"whole numbers 0..{levels}" if levels is not None else "real numbers"
            raise UserError(
                f"likelihood.levels={self.levels} must be the greatest of {self.kind}: the data holds {held}."
            )


@spec
class Counts(Levels):
    """Laws of k = 0, 1, .. without end, of which a model sees x = k / levels."""

    levels: PositiveInt = 255
    """The greatest count in the data, by which the values that a model sees are divided. The law ends nowhere: greater
    counts have a probability too, and are drawn, while the data set takes none as an input."""

    kind: ClassVar[str] = "the counts"
