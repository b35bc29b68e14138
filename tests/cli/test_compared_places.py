"""What `sbvi-compare` is given that it must not take: places among a run's files, empty folders, flags given twice."""

import json
import re
import sys

import pytest

from sbvi.cli import compare

pytestmark = pytest.mark.quick


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A completed run with a picture, whose likelihood is not finite."""
    monkeypatch.chdir(tmp_path)
    figures = tmp_path / "out" / "r0" / "figures"
    figures.mkdir(parents=True)
    (figures / "samples.png").write_bytes(b"drawn")
    record = {"config": {"seed": 0, "model": {"latents": [2]}}, "data": {}}
    (figures.parent / "run.json").write_text(json.dumps(record))
    result = {"status": "completed", "metrics": {"test/nll": None, "test/elbo": -5.0}}
    (figures.parent / "result.json").write_text(json.dumps(result))
    (tmp_path / "link").symlink_to(figures)
    return tmp_path


SAID = {
    ("out", "--plot", "out/r0/figures/samples.png"): r"samples\.png is within the run \S*/out/r0, whose own files",
    ("out", "--html", "out/r0/page.html"): r"page\.html is within the run",
    ("out", "--html", "link/page.html"): r"page\.html is within the run",
    ("",): "An empty text names no folder",
    ("out", ""): "An empty text names no folder",
    ("out", "--metric", "a", "--metric", "b"): "--metric is given twice, a and b; give it once",
    ("out", "--plot", "p.png", "--plot", "q.png"): r"--plot is given twice, p\.png and q\.png; give it once",
    ("out", "--format", "table", "--format=csv"): "--format is given twice, table and csv; give it once",
    ("out", "--metric", "test/nll"): "--metric test/nll is finite in none of the completed runs; there is: test/elbo",
}


def said(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["sbvi-compare", *words])
    with pytest.raises(SystemExit) as end:
        compare.main()
    assert end.value.code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("words", SAID)
def test_what_is_not_taken(runs, monkeypatch, capsys, words):
    before = sorted(runs.rglob("*"))
    sentence = said(monkeypatch, capsys, *words)
    assert len(sentence.splitlines()) == 1
    assert re.search(SAID[words], sentence)
    assert sorted(runs.rglob("*")) == before
    assert (runs / "out" / "r0" / "figures" / "samples.png").read_bytes() == b"drawn"


def test_beside_the_runs_is_a_place(runs, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sbvi-compare", "out", "--metric", "test/elbo", "--html", "out/page.html"])
    compare.main()
    assert (runs / "out" / "page.html").exists()
    assert "written: out/page.html" in capsys.readouterr().err
