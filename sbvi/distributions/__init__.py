"""Distributions: Gaussians by the structure of their covariance; `likelihoods` and `priors` have rooms of their own."""
