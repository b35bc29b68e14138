"""Inference of latents and missing values in a trained model: pure functions of parameters, a key and data."""
