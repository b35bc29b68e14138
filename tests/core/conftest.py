"""Both forms of what `sbvi.core.xla` has one for a CPU of."""

import pytest


@pytest.fixture(params=["cpu", "accelerator"])
def either_form(request, monkeypatch):
    """The test file's MODULE as a CPU has it, and as accelerators do."""
    monkeypatch.setattr(request.module.MODULE, "for_cpu", lambda: request.param == "cpu")
