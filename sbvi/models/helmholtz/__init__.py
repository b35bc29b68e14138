"""The Helmholtz machine: layers of latents, drawn top-down by p and bottom-up by q (Dayan et al. 1995)."""

from sbvi.models.helmholtz.settings import Helmholtz

__all__ = ["Helmholtz"]
