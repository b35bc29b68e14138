"""The deep latent Gaussian model and its recognition model (PAPER sections 1 and 3)."""

from sbvi.models.dlgm.settings import DLGM

__all__ = ["DLGM"]
