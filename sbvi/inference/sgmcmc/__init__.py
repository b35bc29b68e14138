"""Stochastic gradient MCMC: kernels whose stationary law is close to a density that only noisy gradients are known of.

Each kernel is `init` and `step` on a pytree, with a gradient estimator that is a function of position and mini-batch,
as BlackJAX has it; what BlackJAX has is used as it is.
"""

from sbvi.inference.sgmcmc.kernel import Kernel
from sbvi.inference.sgmcmc.langevin import Hamiltonian, Langevin, NoseHoover
from sbvi.inference.sgmcmc.preconditioned import Preconditioned
from sbvi.inference.sgmcmc.thermostat import Thermostat

KERNELS: dict[str, type] = {
    "thermostat": Thermostat,
    "sgnht": NoseHoover,
    "sghmc": Hamiltonian,
    "sgld": Langevin,
    "psgld": Preconditioned,
}

__all__ = ["KERNELS", "Kernel"]
