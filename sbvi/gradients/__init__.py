"""Rules for the gradient of an expectation with respect to the distribution's parameters."""

from sbvi.gradients.reparameterised import Reparameterised
from sbvi.gradients.rule import Composite, Integrand, Rule

RULES: dict[str, type] = {"reparameterised": Reparameterised}

__all__ = ["RULES", "Composite", "Integrand", "Rule"]
