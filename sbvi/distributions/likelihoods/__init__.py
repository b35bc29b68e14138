"""Likelihoods p(x | network outputs), one a module."""
