"""The neural autoregressive density estimator: exact likelihoods of binary data."""

from sbvi.models.nade.settings import NADE

__all__ = ["NADE"]
