#!/usr/bin/env python3
"""Runs the notebooks of docs/notebooks from top to bottom in a kernel, and stores them with what they show.

    scripts/run_notebooks.py [NAME ...]

They run in an empty folder, so that their runs lie nowhere in the source tree.
"""

import argparse
import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "docs" / "notebooks"
#: The first code cell says how long the run is, and perhaps of how many rows; what each is where it is to be short.
SHORT = {"STEPS": 3, "ROWS": 60}
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def shortened(source: str) -> str:
    """A cell's code, of a run of a few steps."""
    return re.sub(r"^(STEPS|ROWS) = \d+", lambda found: f"{found[1]} = {SHORT[found[1]]}", source, flags=re.M)


def executed(name: str, folder: Path, *, short: bool = False) -> nbformat.NotebookNode:
    """A notebook with the outputs that its code has in a folder."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and short:
            cell.source = shortened(cell.source)
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute(env=environment)
    return notebook


def stored(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Without what is another in every run: times of cells, the kernel's version, and what is said on the way."""
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=NAMES, help=", ".join(NAMES))
    for name in parser.parse_args().names:
        with tempfile.TemporaryDirectory() as folder:
            notebook = stored(executed(name, Path(folder)))
        (NOTEBOOKS / f"{name}.ipynb").write_text(nbformat.writes(notebook, indent=1) + "\n")
        print(NOTEBOOKS / f"{name}.ipynb")


if __name__ == "__main__":
    main()
