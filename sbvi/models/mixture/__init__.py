"""Mixtures of factorised components: exact likelihoods, marginals and conditionals."""

from sbvi.models.mixture.settings import Mixture

__all__ = ["Mixture"]
