"""Which runs' parameters a run may start from, beside what shapes and names tell."""

from types import SimpleNamespace

import pytest
from support.small_run import experiment

from sbvi.core import UserError
from sbvi.runs.start import check_variables


def chained(posterior, **groups):
    return experiment(model={"name": "dlgm", "latents": [3, 2]}, posterior=posterior, **groups)


@pytest.mark.parametrize(
    ("there", "here", "said"),
    [
        ({"name": "hierarchical"}, {"variables": "activations"}, "posterior.variables=noise, and this run activations"),
        ({"name": "top_down"}, {"combine": "ladder"}, "posterior.combine=precision, and this run ladder"),
    ],
)
def test_a_chain_s_parameters_are_of_its_own_variables(there, here, said, monkeypatch):
    """All have the same shapes, and mean other things."""
    record = {"config": chained(there).to_config(), "structure": None}
    kept = SimpleNamespace(read_run=lambda: record)
    monkeypatch.setattr("sbvi.runs.start.RunDirectory", lambda folder: kept)
    check_variables(chained(there, init_from="begun"), None)
    with pytest.raises(UserError, match=f"^init_from=begun has {said}, so that its parameters are of other variables"):
        check_variables(chained(there | here, init_from="begun"), None)
    record = {"config": chained({"name": "diagonal"}).to_config(), "structure": None}
    check_variables(chained(there | here, init_from="begun"), None)  # which its shapes tell
