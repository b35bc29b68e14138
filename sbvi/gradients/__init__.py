"""Rules for the gradient of an expectation with respect to the distribution's parameters.

RULES are those that an objective can be told for Gaussian posteriors, FAMILIES the draws with derivatives in every
parameter for other distributions, B_FUNCTIONS the paper's product rule. All are public: docs/rules.md shows their use.

To add a rule for Gaussian posteriors: a module with a `spec` that is a `Rule`, a line in RULES, a row in the contract
test. To add a family: a function and a line in `pathwise.FAMILIES`, a row in its test.
"""

from sbvi.gradients.paths import STANDARD, Gate, Paths, gated
from sbvi.gradients.pathwise import FAMILIES, Family
from sbvi.gradients.price import Price, PriceGaussNewton, PriceHutchinson
from sbvi.gradients.product_rule import B_FUNCTIONS, BFunction
from sbvi.gradients.reparameterised import Reparameterised
from sbvi.gradients.rule import Composite, Integrand, Rule
from sbvi.gradients.score_function import ScoreFunction

RULES: dict[str, type] = {
    "reparameterised": Reparameterised,
    "price": Price,
    "price_hutchinson": PriceHutchinson,
    "price_gauss_newton": PriceGaussNewton,
    "score_function": ScoreFunction,
}

#: Rules that need second derivatives, and so refuse networks with kinks.
SECOND_ORDER = ("price", "price_hutchinson", "price_gauss_newton")

__all__ = [
    "B_FUNCTIONS",
    "FAMILIES",
    "RULES",
    "SECOND_ORDER",
    "STANDARD",
    "BFunction",
    "Composite",
    "Family",
    "Gate",
    "Integrand",
    "Paths",
    "Rule",
    "gated",
]
