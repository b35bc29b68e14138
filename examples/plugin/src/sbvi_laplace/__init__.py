"""A Laplace likelihood for sbvi."""
