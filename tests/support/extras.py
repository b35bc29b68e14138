"""Tests of what an extra of the project brings."""

import importlib.util

import pytest


def needs_extra(name: str) -> None:
    """Skip the test where the package of the extra is not there: the environment of scripts/test has it, and who runs
    pytest in another is told what was left out."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"the extra `{name}` is not installed: its logger was not tested")
