"""Rules for the gradient of an expectation with respect to the distribution's parameters.

To add one for Gaussian posteriors: a module with a `spec` that is a `Rule`, a line in RULES, a row in
the contract test. `sbvi.gradients.pathwise` has the rules for other families.
"""

from sbvi.gradients.paths import STANDARD, Gate, Paths, gated
from sbvi.gradients.price import Price, PriceGaussNewton, PriceHutchinson
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

__all__ = ["RULES", "SECOND_ORDER", "STANDARD", "Composite", "Gate", "Integrand", "Paths", "Rule", "gated"]
