"""The notebooks: stored with their pictures, run as code, and run in a kernel of their own."""

import json
import os
import re
import runpy

import matplotlib.pyplot as plt
import pytest
from support.paths import ROOT

NOTEBOOKS = ROOT / "docs" / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
#: Pictures that each shows.
PICTURES = {"probing": 8, "imputing": 1}
MOST_BYTES = 300_000
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "run_notebooks.py"))


def cells(name):
    found = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def pictures(outputs):
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_with_what_it_shows(name):
    """All of its cells have run, in order; nothing in it is of the machine where they ran."""
    assert [cell["execution_count"] for cell in cells(name)] == list(range(1, len(cells(name)) + 1))
    assert pictures(output for cell in cells(name) for output in cell["outputs"]) == PICTURES[name]
    assert not any(output["output_type"] == "error" for cell in cells(name) for output in cell["outputs"])
    text = (NOTEBOOKS / f"{name}.ipynb").read_text()
    assert len(text) < MOST_BYTES
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users|usr|opt|var)/", text)
    assert f"notebooks/{name}.ipynb" in (ROOT / "mkdocs.yml").read_text()


@pytest.mark.parametrize("name", ["probing", pytest.param("imputing", marks=pytest.mark.slow)])
def test_the_code_of_a_notebook_runs(name, tmp_path, monkeypatch):
    """From top to bottom, for a few steps. Imputing compiles too much to be quick."""
    monkeypatch.chdir(tmp_path)
    source = ["".join(cell["source"]) for cell in cells(name)]
    assert re.search(r"^STEPS = \d+", source[0], re.M)
    namespace = {}
    for code in source:
        exec(compile(SCRIPT["shortened"](code), name, "exec"), namespace)
    assert (tmp_path / "outputs" / name / "result.json").exists()
    assert len(plt.get_fignums()) == PICTURES[name]
    plt.close("all")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_in_a_kernel(name, tmp_path, monkeypatch):
    """As its reader runs it: every cell without an error, and as many pictures as are stored."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for told in [told for told in os.environ if told.startswith(("JAX_", "XLA_"))]:
        monkeypatch.delenv(told)  # a reader's kernel has none of what tests tell JAX
    made = SCRIPT["executed"](name, tmp_path, short=True)
    outputs = [output for cell in made.cells if cell.cell_type == "code" for output in cell.outputs]
    assert pictures(outputs) == PICTURES[name]
    assert (tmp_path / "outputs" / name / "result.json").exists()
