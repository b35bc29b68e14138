"""Tricks for XLA's compilers, each with the benchmark that shows its gain; nothing else needs to know them."""
