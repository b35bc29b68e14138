"""What models offer of a part of x: exact marginals and conditionals, the most probable rest, imputation."""

from typing import Protocol, runtime_checkable

from sbvi.models.values import Array, LogProb, Params, Samples


@runtime_checkable
class Marginals(Protocol):
    """Exact marginals and conditionals over any set of values."""

    def marginal_log_prob(self, params: Params, x: Array, observed: Array) -> LogProb:
        """log p(x_o), observed (B, D) bool; what stands elsewhere in x is not looked at."""

    def conditional(self, params: Params, key: Array, x: Array, observed: Array) -> Samples:
        """A draw of the rest from p(x_m | x_o), and E[x_m | x_o]; observed values as they are; both (B, D)."""


@runtime_checkable
class MostProbable(Protocol):
    """Finds the most probable rest."""

    def most_probable(self, params: Params, x: Array, observed: Array) -> Array:
        """x with what is not observed at its most probable values given the rest, (B, D), or an approximation that the
        model's own words describe."""


@runtime_checkable
class Imputing(Protocol):
    """Fills in missing values by a method of its own, draws from p(x_m | x_o) or close to it."""

    def impute(self, params: Params, key: Array, x: Array, observed: Array, num: int) -> Samples:
        """num draws of completed data and their means, both (num, B, D)."""
