"""Which likelihood each column of a table has (`sbvi.distributions.likelihoods.by_column` makes one of them)."""

from collections.abc import Sequence
from typing import Any, Literal

from sbvi.core import Positive, spec
from sbvi.data.tabular.columns import Column
from sbvi.distributions.likelihoods.bernoulli import Bernoulli
from sbvi.distributions.likelihoods.by_column import Columns
from sbvi.distributions.likelihoods.categorical import Categorical
from sbvi.distributions.likelihoods.gaussian import GaussianLikelihood
from sbvi.distributions.likelihoods.likelihood import LikelihoodSpec
from sbvi.distributions.likelihoods.negative_binomial import NegativeBinomial
from sbvi.distributions.likelihoods.ordinal import Ordinal
from sbvi.distributions.likelihoods.poisson import Poisson
from sbvi.distributions.likelihoods.student_t import StudentT


@spec
class Mixed(LikelihoodSpec):
    """Continuous columns Gaussian or Student-t, positive ones log-normal, counts, categories and ranks."""

    continuous: Literal["gaussian", "student_t"] = "student_t"
    """The law of continuous columns."""
    count: Literal["poisson", "negative_binomial"] = "negative_binomial"
    """The law of counts."""
    scale: Literal["learned", "predicted"] = "predicted"
    """Where the scale of continuous and positive columns comes from: one for each column, or from the network."""
    minimum_scale: Positive = 0.01
    """Least such scale, in units of that which a column is divided by: its standard deviation with dataset.scale=
    deviation, its range with range, and 1 in its own units with none, where it may be wider than the column."""
    missingness: Literal["ignored", "self_masking"] = "ignored"
    """Whether entries of continuous and positive columns go missing by their own value, with a probability that is
    learned; ignored is right where they go missing at random."""

    by_column = True

    def __post_init__(self) -> None:
        if self.missingness == "self_masking" and self.continuous != "gaussian":
            raise ValueError("missingness=self_masking needs continuous=gaussian, of which it has closed forms")

    def of(self, columns: Sequence[Column]) -> Columns:
        """The likelihood of a table with these columns."""
        laws = [self.law(column) for column in columns]
        return Columns(tuple(columns), laws, self.missingness == "self_masking")

    def law(self, column: Column) -> tuple[Any, float]:
        """The likelihood of a column, and the unit of its values."""
        levels = max(len(column.values) - 1, 1)
        if column.kind == "continuous" and self.continuous == "student_t":
            return StudentT(scale=self.scale, minimum_scale=self.minimum_scale), 1.0
        if column.standardised:
            return GaussianLikelihood(scale=self.scale, minimum_scale=self.minimum_scale), 1.0
        if column.kind == "count":
            return (Poisson if self.count == "poisson" else NegativeBinomial)(levels=1), 1.0
        if column.kind == "binary":
            return Bernoulli(), 1.0
        return (Ordinal if column.kind == "ordinal" else Categorical)(levels=levels), float(levels)
