"""Every command and every Python block of every page runs, from top to bottom, in a folder of the page's own.

They are made small (tests/support/page_stand_ins.py), and what a page takes for there stands there. What cannot be run
here is listed with the reason.
"""

import contextlib
import json
import re
import shlex
import socket
import subprocess
import sys
import urllib.request

import pytest
from support import page_stand_ins as stand_ins
from support.pages import PAGES, Code, Line, named, own, steps
from support.paths import ROOT, needs_data
from support.processes import command, environment, wait_until

import sbvi
from sbvi.sklearn import DensityEstimator, Imputer

#: Commands, and first lines of Python blocks, that no test runs, with the reason.
NOT_RUN = {
    "scripts/test": "it would run this test",
    "scripts/test --quick": "it would start tests within a test; tests/test_scripts.py has what is its own",
    "scripts/test tests/models -k mixture": "it would start tests within a test",
    "HYPOTHESIS_PROFILE=nightly scripts/test": "it would run this test",
    "scripts/reliability": "it runs tests, for half an hour",
    "scripts/run_notebooks.py": "it writes docs/notebooks; tests/docs/test_notebooks.py runs what it calls",
    "source .venv/bin/activate": "it changes a shell; scripts/train makes the folder",
    "srun -n 4 sbvi-train dataset=mnist runtime.distributed=true hydra.run.dir=outputs/big": "needs SLURM",
    "sbvi-train --multirun search=slurm seed=range(8)": "needs SLURM",
    "sbvi-train --multirun search=slurm seed=range(8) hydra.launcher.partition=gpu "
    "hydra.sweep.dir=outputs/sweeps/slurm": "needs SLURM",
    "sbvi-train model=parts dataset=stl10 dataset.features=400": "a download of 2.6 GB",
    "python scripts/recover_mnist.py outputs/reproduce/recover_mnist-0": "half an hour, and it writes docs/recover",
    "linear = [m for m in net if isinstance(m, torch.nn.Linear)]": "needs PyTorch",
}
#: Pages that are quick enough for continuous integration.
QUICK = ("index.md", "rules.md")
#: Pages of the real data sets.
REAL = re.compile(r"mnist|frey_faces|experiment=(table1|cifar10|hidden_chow_liu|quick)|dataset.set=")


def key(step):
    return str(step) if isinstance(step, Line) else step.source.splitlines()[0]


def marks(page):
    text = "\n".join(str(step) for step in steps(page))
    real = [needs_data] if REAL.search(text) else []
    return [*real, *([] if page.name in QUICK else [pytest.mark.slow, pytest.mark.timeout(3600)])]


RUN = [page for page in PAGES if any(key(step) not in NOT_RUN for step in steps(page))]


class Reader:
    """Who does what a page says, in a folder of its own."""

    def __init__(self, folder, names):
        self.folder, self.names, self.packages = folder, {"__name__": "page", **names}, None

    def env(self):
        return environment(PYTHONPATH=f"{ROOT}:{self.packages}") if self.packages else None

    def does(self, step):
        if isinstance(step, Code):
            exec(compile(step.source, "page", "exec"), self.names)
        elif own(step):
            self.commands(own(step))
        elif step.words[0] == "scripts/train":  # which "passes its arguments to sbvi-train"
            self.commands(["sbvi-train", *step.words[1:]])
        elif step.words[0] == "tensorboard":
            self.watches(step.words[1:])
        elif step.words[0] == "pip":
            self.installs(step.words[1:])
        else:
            self.scripts(step.words)

    def commands(self, words):
        name, *arguments = stand_ins.shortened(words)
        fresh = self.packages is not None  # an installed package is seen when Python starts
        done = command(
            name.removeprefix("sbvi-"), *arguments, cwd=self.folder, env=self.env(), fresh=fresh, timeout=3600
        )
        assert done.returncode == 0, (shlex.join(words), done.stdout[-2000:], done.stderr[-2000:])

    def python(self, *words):
        done = subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=3600
        )
        assert done.returncode == 0, (words, done.stderr[-2000:])

    def installs(self, words):
        assert words[0] == "install", words
        self.packages = self.folder / "packages"
        self.python(
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            self.packages,
            "--python",
            sys.executable,
            ROOT / words[-1],
        )

    def scripts(self, words):
        words = list(words[1:] if words[0] == "python" else words)
        script, *arguments = words
        if script.startswith("scripts/render_"):
            arguments.append("--check")
        if script == "scripts/linear_features.py":
            arguments += ["--strengths", "1e-3", "--output", "linear_features.json"]
        self.python(ROOT / script, *arguments)

    def watches(self, words):
        """TensorBoard serves the names of the runs below the folder."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = [sys.executable, "-m", "tensorboard.main", *words, "--port", str(port), "--load_fast=false"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(server, cwd=self.folder, env=environment(), **quiet)
        seen = []

        def shown():
            with contextlib.suppress(OSError):
                seen[:] = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/data/runs"))
            return seen

        try:
            wait_until(shown, pause=0.2)
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def reader(request, tmp_path, tmp_path_factory, monkeypatch):
    page = request.param
    stand_ins.files(page.name, tmp_path)
    stand_ins.runs(page.name, tmp_path, tmp_path_factory)
    monkeypatch.chdir(tmp_path)
    train = sbvi.train
    monkeypatch.setattr(
        sbvi,
        "train",
        lambda words, *rest, **data: train(stand_ins.shortened(["sbvi-train", *words])[1:], *rest, **data),
    )
    for estimator in (Imputer, DensityEstimator):
        for name, value in {"steps": 3, "samples": 20}.items():
            monkeypatch.setitem(estimator.__init__.__kwdefaults__, name, value)
    return Reader(tmp_path, stand_ins.names(page.name, tmp_path))


@pytest.mark.parametrize(
    ("page", "reader"),
    [pytest.param(page.name, page, marks=marks(page), id=page.stem) for page in RUN],
    indirect=["reader"],
)
def test_a_page_runs_from_top_to_bottom(page, reader):
    for step in steps(named(page)):
        if key(step) not in NOT_RUN:
            reader.does(step)
    for left in stand_ins.LEFT.get(page, []):
        assert list(reader.folder.glob(left)), left


def test_what_is_not_run_stands_on_a_page():
    there = {key(step) for page in PAGES for step in steps(page)}
    assert set(NOT_RUN) <= there, sorted(set(NOT_RUN) - there)
