"""Tricks for XLA's compilers, each with the benchmark that shows its gain; nothing else needs to know them."""

import jax


def for_cpu() -> bool:
    """Whether what is traced now is compiled for a CPU. Tricks that work around its compiler are left out elsewhere."""
    return jax.default_backend() == "cpu"
