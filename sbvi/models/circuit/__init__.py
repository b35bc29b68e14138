"""Circuits: sum-product networks as folded layers, with exact likelihoods, marginals and conditionals."""

from sbvi.models.circuit.settings import Circuit

__all__ = ["Circuit"]
