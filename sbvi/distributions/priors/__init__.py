"""Priors over a model's latents: samplers that know their density, one a module.

To add one: a module with a `spec` whose `build(sizes)` gives a `Prior`; a line in PRIORS; a file in `configs/prior/`;
a row in the contract test.
"""

from sbvi.core.plugins import extend
from sbvi.distributions.priors.flow import Flow
from sbvi.distributions.priors.mixture import Mixture
from sbvi.distributions.priors.prior import SPEC_PARTS, Encode, Prior, drawn, whole
from sbvi.distributions.priors.standard import Standard
from sbvi.distributions.priors.vamp import Vamp

PRIORS: dict[str, type] = {"standard": Standard, "mixture": Mixture, "flow": Flow, "vamp": Vamp}
extend(PRIORS, "sbvi.priors", SPEC_PARTS)

__all__ = ["PRIORS", "Encode", "Prior", "Standard", "drawn", "whole"]
