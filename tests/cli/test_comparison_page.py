"""sbvi-compare's pictures and page, the latter in a real browser."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from support.processes import command

from sbvi.cli import compare
from sbvi.runs.comparison import grouped
from sbvi.runs.sections import label, metric_of, sections
from sbvi.runs.summaries import find_runs, read_summary

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


def make(folder, rate, seed, digest="a" * 64, samples=500, **metrics):
    folder.mkdir(parents=True)
    config = {"seed": seed, "optimizer": {"learning_rate": rate}, "dataset": {"name": "mine"}}
    config["evaluation"] = {"num_samples": samples}
    (folder / "run.json").write_text(json.dumps({"config": config, "data": {"digest": digest}}))
    lines = [{"step": s, "validation/elbo": -100.0 - 10 * seed + s / 10} for s in ((10,) if seed else (10, 20))]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "result.json").write_text(json.dumps({"status": "completed", "metrics": metrics}))
    (folder / "figures").mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "figures" / "samples.png")


@pytest.fixture
def sweep(tmp_path):
    for rate, value in ((1e-3, 91.0), (3e-3, 90.0), (1e-2, 95.0)):
        for seed in (0, 1):
            metrics = {"test/nll": value + seed / 2, "test/nll_stderr": 0.1}
            make(tmp_path / "sweep" / f"{rate}-{seed}", rate, seed, **metrics)
    return tmp_path


@pytest.mark.quick
def test_runs_on_other_data_or_of_other_samples_stand_apart(sweep):
    make(sweep / "sweep" / "other", 1e-3, 0, digest="b" * 64, **{"test/nll": 3.0})
    make(sweep / "sweep" / "more", 1e-3, 0, samples=5000, **{"test/nll": 89.0})
    runs = [read_summary(path) for path in find_runs([sweep])]
    found = sections(grouped(runs, "test/nll"), "test/nll")
    assert [section.title for section in found] == [
        f"mine ({'b' * 12}), S = 500",
        f"mine ({'a' * 12}), S = 5000",
        f"mine ({'a' * 12}), S = 500",
    ]
    assert [list(section.keys) for section in found] == [[], [], ["optimizer.learning_rate"]]
    assert [group.mean for group in found[2].groups] == [90.25, 91.25, 95.25]
    printed = command("compare", "sweep", cwd=sweep).stdout
    assert printed.index("S = 5000:") < printed.index(f"({'a' * 12}), S = 500:") < printed.index("0.003")


@pytest.mark.quick
def test_densities_are_not_ranked_with_probabilities(sweep):
    """Of whole numbers that got noise; bits per dimension are of the whole numbers in both."""
    make(sweep / "sweep" / "density", 2e-3, 0, **{"test/nll": -130.0, "test/bits_per_dimension": 5.0})
    path = sweep / "sweep" / "density" / "run.json"
    record = json.loads(path.read_text())
    record["data"]["preprocessing"] = {"dequantize": True}
    path.write_text(json.dumps(record))
    runs = [read_summary(path) for path in find_runs([sweep])]
    found = sections(grouped(runs, "test/nll"), "test/nll")
    assert [(section.title, len(section.groups)) for section in found] == [("mine, densities", 1), ("mine", 3)]
    (one,) = sections(grouped(runs, "test/bits_per_dimension"), "test/bits_per_dimension")
    assert one.title == ""


@pytest.mark.quick
def test_without_a_test_the_validation_bound_ranks(sweep):
    for seed in (0, 1):
        make(sweep / "untested" / str(seed), 1e-3 * (1 + seed), seed, **{"validation/elbo": -50.0 - seed})
    done = command("compare", "untested", cwd=sweep)
    assert done.returncode == 0
    assert "No completed run has test/nll (evaluation.test=false?): ranked by validation/elbo." in done.stderr
    assert "-50.0000" in done.stdout.splitlines()[2]
    assert metric_of([], None) == ("test/nll", "")


@pytest.mark.quick
def test_the_plot_is_a_picture_or_a_page(sweep):
    assert label({"a.rate": 0.1, "b.name": "x"}, ["a.rate", "b.name"]) == "rate 0.1, b x"
    assert label({"a.n": 1, "b.n": [2]}, ["a.n", "b.n"]) == "a.n 1, b.n [2]"
    for name, begins in (("plot.png", b"\x89PNG"), ("plot.pdf", b"%PDF")):
        done = command("compare", "sweep", "--plot", name, cwd=sweep)
        assert done.returncode == 0, done.stderr
        assert (sweep / name).read_bytes().startswith(begins)
    with Image.open(sweep / "plot.png") as picture:
        assert picture.mode == "RGBA"
        assert np.asarray(picture)[0, 0, 3] == 0  # no ground: it stands on dark pages too


@pytest.mark.quick
def test_the_plot_has_panels_of_each_data_set(sweep, monkeypatch):
    """Values of other data stand in other panels, and a key has a panel where it differs."""
    for rate, value in ((1e-3, 3.0), (1e-2, 4.0)):
        make(sweep / "sweep" / f"other-{rate}", rate, 0, digest="b" * 64, **{"test/nll": value})
    make(sweep / "sweep" / "more", 1e-3, 0, samples=5000, **{"test/nll": 89.0})
    drawn = []
    monkeypatch.setattr("sbvi.reporting.comparison.save_figure", lambda figure, path: drawn.append(figure))
    monkeypatch.setattr("sys.argv", ["sbvi-compare", str(sweep / "sweep"), "--plot", str(sweep / "plot.png")])
    compare.main()
    axes = drawn[0].get_axes()
    titles = [panel.get_title(loc="left") for panel in axes]
    assert titles == [f"mine ({'b' * 12}), S = 500", "", f"mine ({'a' * 12}), S = 5000",
                      f"mine ({'a' * 12}), S = 500", ""]  # fmt: skip
    values = [sorted(v for line in panel.get_lines() for v in line.get_ydata()) for panel in axes]
    assert values[0] == [3.0, 4.0]
    assert values[3] == [90.0, 90.5, 91.0, 91.5, 95.0, 95.5]
    assert [panel.get_xlabel() for panel in axes] == ["optimizer.learning_rate", "step", "step",
                                                      "optimizer.learning_rate", "step"]  # fmt: skip


@pytest.mark.quick
def test_the_page_holds_all_it_needs(sweep):
    done = command("compare", "sweep", "--html", "new/page.html", cwd=sweep)
    assert done.returncode == 0, done.stderr
    text = (sweep / "new" / "page.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert text.count("data:image/png;base64,") == text.count("<polyline") == 6
    assert "<script>alert" not in text


def test_the_page_sorts_in_a_browser(sweep):
    """Chromium without a window prints the page as its script leaves it."""
    # A browser is a package of the system's, which scripts/test cannot install; the last lines of a run say so.
    if BROWSER is None:
        pytest.skip("no chromium on this machine: sbvi-compare's page was not opened in a browser")
    assert command("compare", "sweep", "--html", "page.html", cwd=sweep).returncode == 0
    words = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={sweep}/profile",
    ]
    asked = f"file://{sweep}/page.html#sort=optimizer.learning_rate&descending"
    done = subprocess.run([BROWSER, *words, "--dump-dom", asked], capture_output=True, text=True, timeout=180)
    rates = re.findall(r'<tr class="run"[^>]*><td data-value="([^"]*)"', done.stdout)
    assert [float(rate) for rate in rates] == [1e-2, 1e-2, 3e-3, 3e-3, 1e-3, 1e-3], done.stderr
    assert 'aria-sort="descending"' in done.stdout
