"""sbvi-compare's pictures and page, the latter in a real browser."""

import itertools
import json
import re
import subprocess

import numpy as np
import pytest
from PIL import Image
from support.browser import CHROMIUM, ENTER, SPACE, WORDS, needs_driver, opened
from support.processes import command

from sbvi.cli import compare
from sbvi.reporting.comparison import swept_ticks
from sbvi.reporting.figures import new_figure
from sbvi.runs.comparison import grouped
from sbvi.runs.experiment import Experiment
from sbvi.runs.sections import label, metric_of, sections
from sbvi.runs.summaries import find_runs, read_summary


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
@pytest.mark.parametrize("how", ["exact", "quadrature", "importance sampling", None])
def test_likelihoods_that_take_no_samples_are_ranked_together(how, tmp_path):
    unsampled = "test/nll_independent", "test/accuracy", "test/log_loss"
    for samples in (50, 500):
        make(
            tmp_path / str(samples),
            1e-3,
            0,
            samples=samples,
            **dict.fromkeys(("test/nll", "test/elbo", *unsampled), 90.0),
        )
        path = tmp_path / str(samples) / "result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | ({"likelihood": how} if how else {})))
    runs = [read_summary(path) for path in find_runs([tmp_path])]
    apart = 1 if how in ("exact", "quadrature") else 2
    assert len(sections(grouped(runs, "test/nll"), "test/nll")) == apart
    assert len(sections(grouped(runs, "test/elbo"), "test/elbo")) == 2
    assert [len(sections(grouped(runs, metric), metric)) for metric in unsampled] == [1] * 3


@pytest.mark.quick
def test_a_likelihood_by_formula_is_ranked_with_those_of_samples(tmp_path):
    def run(name, samples, nll, how="importance sampling"):
        make(tmp_path / name, float(len(name)), 0, samples=samples, **{"test/nll": nll})
        path = tmp_path / name / "result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"likelihood": how}))

    def found():
        runs = [read_summary(path) for path in find_runs([tmp_path])]
        return {
            part.title: [group.mean for group in part.groups]
            for part in sections(grouped(runs, "test/nll"), "test/nll")
        }

    run("a", 20, 20.76)
    run("bb", 20, 19.03, "exact")
    run("ccc", 50, 19.5, "quadrature")
    assert found() == {"": [19.03, 19.5, 20.76]}
    run("dddd", 500, 20.5)  # which has that of none, and stands with the most
    assert found() == {"mine, S = 20": [19.03, 20.76], "mine, S = 500": [19.5, 20.5]}


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
    bare = {"config": record["config"], "data": {"digest": "a" * 64, "levels": 16, "binary": False}}
    bare["config"] |= Experiment.from_overrides(["likelihood=gaussian", "likelihood.dequantize=false"]).to_config()
    (sweep / "sweep" / "bare").mkdir()
    (sweep / "sweep" / "bare" / "run.json").write_text(json.dumps(bare))
    (sweep / "sweep" / "bare" / "result.json").write_text(
        json.dumps({"status": "completed", "metrics": {"test/nll": -31.0}})
    )
    apart = sections(grouped([read_summary(path) for path in find_runs([sweep])], "test/nll"), "test/nll")
    assert [len(section.groups) for section in apart] == [1, 1, 3]
    assert apart[1].title.endswith(", densities without noise")
    (one,) = sections(grouped(runs, "test/bits_per_dimension"), "test/bits_per_dimension")
    assert one.title == ""


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "binary", "recorded", "title"),
    [
        (["likelihood=gaussian", "likelihood.dequantize=false"], False, True, "densities without noise"),
        (["likelihood=gaussian", "likelihood.dequantize=false"], False, False, "densities without noise"),
        (["likelihood=gaussian"], False, True, "densities"),
        (["likelihood=gaussian"], False, False, "densities"),
        (["likelihood=discretized_logistic", "likelihood.levels=16"], False, True, ""),
        (["model=circuit", "model.leaf=categorical"], False, True, ""),
        (["model=circuit", "model.leaf=gaussian"], False, True, "densities without noise"),
        (["model=mixture", "model.components=gaussian"], False, False, "densities"),
        (["likelihood=bernoulli"], True, True, ""),
        (["model=nade"], True, False, ""),
    ],
)
def test_what_a_density_is_is_known_from_the_model(tmp_path, words, binary, recorded, title):
    """Without noise too, and of runs that recorded no preprocessing; to be found at the head of its table."""
    made = Experiment.from_overrides(["dataset=digits", *words])
    data = {"levels": 16, "binary": binary}
    if recorded:
        data["preprocessing"] = {"dequantize": made.model.dequantizes}
    (tmp_path / "run.json").write_text(json.dumps({"config": made.to_config(), "data": data, "format": 2}))
    assert read_summary(tmp_path).scored == title
    real = {"config": made.to_config(), "data": data | {"levels": None, "preprocessing": {}}, "format": 2}
    (tmp_path / "run.json").write_text(json.dumps(real))
    assert read_summary(tmp_path).scored == ""


@pytest.mark.quick
def test_gaps_that_are_scored_stand_apart_from_those_that_are_not(sweep):
    """log p(entries) and log p(entries, places of gaps) are of two things, in nats as in anything else."""
    for name in ("ignored", "self_masking"):
        words = ["dataset=table", "dataset.path=x.csv", "likelihood=mixed", "likelihood.continuous=gaussian"]
        words += [f"likelihood.missingness={name}"]
        record = {"config": Experiment.from_overrides(words).to_config(), "data": {"digest": "t" * 64}, "format": 2}
        (sweep / "tables" / name).mkdir(parents=True)
        (sweep / "tables" / name / "run.json").write_text(json.dumps(record))
        metrics = {"test/nll": 3.0, "validation/elbo": -4.0}
        (sweep / "tables" / name / "result.json").write_text(json.dumps({"status": "completed", "metrics": metrics}))
    runs = [read_summary(path) for path in find_runs([sweep / "tables"])]
    for metric in ("test/nll", "validation/elbo"):
        found = sections(grouped(runs, metric), metric)
        assert sorted(section.title for section in found) == ["table", "table, with the places of gaps"]


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
def test_a_likelihood_that_is_not_finite_is_no_test_that_was_left_out(tmp_path):
    for seed in (0, 1):
        make(tmp_path / str(seed), 1e-3, seed, **{"test/nll": None, "validation/elbo": -50.0 - seed})
    runs = [read_summary(path) for path in find_runs([tmp_path])]
    said = "No completed run has a finite test/nll: ranked by validation/elbo."
    assert metric_of(runs, None) == ("validation/elbo", said)
    assert [run.why_left(metric) for run in runs[:1] for metric in ("test/nll", "test/elbo")] == [
        "test/nll is not finite",
        "has no test/elbo",
    ]


@pytest.mark.quick
def test_untested_runs_are_ranked_by_the_best_of_what_scored_them(sweep):
    """Of a bound over samples, which comes with an ELBO: by the bound, and where it was best, as the checkpoint is."""
    for place, (best, last) in enumerate([(-80.0, -95.0), (-85.0, -86.0)]):
        folder = sweep / "bounds" / str(place)
        make(folder, 1e-3 * (1 + place), 0, **{"validation/bound": last, "validation/elbo": -100.0 + place})
        result = json.loads((folder / "result.json").read_text())
        told = {"monitor": "validation/bound", "best_validation": best}
        (folder / "result.json").write_text(json.dumps(result | told))
    runs = [read_summary(path) for path in find_runs([sweep / "bounds"])]
    metric, note = metric_of(runs, None)
    assert metric == "validation/bound"
    assert note.endswith("ranked by validation/bound.")
    assert [group.mean for group in grouped(runs, metric)] == [-80.0, -85.0]
    # Beside runs that have no such bound: by what all have.
    make(sweep / "bounds" / "elbo", 1e-2, 0, **{"validation/elbo": -90.0})
    runs = [read_summary(path) for path in find_runs([sweep / "bounds"])]
    assert metric_of(runs, None)[0] == "validation/elbo"


@pytest.mark.quick
def test_classifiers_are_ranked_by_their_log_loss(sweep):
    for seed, loss in ((0, 0.3), (1, 0.2)):
        make(sweep / "labels" / str(seed), 1e-3 * (1 + seed), seed, **{"test/log_loss": loss, "test/accuracy": 0.9})
    done = command("compare", "labels", cwd=sweep)
    assert done.returncode == 0, done.stderr
    assert "No completed run has test/nll: ranked by test/log_loss." in done.stderr
    assert done.stdout.splitlines()[2].split()[1] == "0.2000"


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
    assert titles == [f"mine ({'b' * 12}), S = 500", "", f"mine ({'a' * 12}), S = 5000", "",
                      f"mine ({'a' * 12}), S = 500", ""]  # fmt: skip
    values = [sorted(v for line in panel.get_lines() for v in line.get_ydata()) for panel in axes]
    assert values[0] == [3.0, 4.0]
    assert values[2] == [89.0]  # a run by itself
    assert values[4] == [90.0, 90.5, 91.0, 91.5, 95.0, 95.5]
    assert [panel.get_xlabel() for panel in axes] == ["optimizer.learning_rate", "step", "", "step",
                                                      "optimizer.learning_rate", "step"]  # fmt: skip
    assert [panel.get_ylabel() for panel in axes] == ["test/nll, nats", "validation/elbo, nats"] * 3
    assert [text.get_text() for text in axes[2].get_xticklabels()] == ["1 run"]

    # Means and standard errors over seeds, at each rate; of single runs there are none.
    assert [len(panel.collections) for panel in axes] == [0, 0, 0, 0, 6, 0]
    means = [m.get_offsets()[0] for m in axes[4].collections if hasattr(m, "get_sizes") and len(m.get_offsets())]
    assert sorted(map(tuple, np.round(means, 9))) == [(1e-3, 91.25), (3e-3, 90.25), (1e-2, 95.25)]
    errors = [m.get_segments()[0] for m in axes[4].collections if hasattr(m, "get_segments")]
    spans = sorted(tuple(segment[:, 1]) for segment in errors)
    # Of two values the standard error is half their difference.
    np.testing.assert_allclose(spans, [(90.0, 90.5), (91.0, 91.5), (95.0, 95.5)])

    # The settings of a part are told below its panels, in their colours.
    legends = [room.legends for room in drawn[0].subfigs]
    told = [[text.get_text() for text in own[0].get_texts()] if own else [] for own in legends]
    rates = ["learning_rate 0.003", "learning_rate 0.001", "learning_rate 0.01"]
    assert told == [["learning_rate 0.001", "learning_rate 0.01"], [], [*rates, "mean and standard error over seeds"]]
    colours = [mark.get_color() for mark in legends[2][0].legend_handles][:3]
    at = {line.get_xdata()[0]: line.get_color() for line in axes[4].get_lines()}
    assert colours == [at[3e-3], at[1e-3], at[1e-2]]
    assert len(set(colours)) == 3


@pytest.mark.quick
def test_the_plot_spells_settings_as_the_command_line_does(sweep, monkeypatch):
    for place, value in enumerate((None, 5, True)):
        folder = sweep / "told" / str(place)
        make(folder, 1e-3, 0, **{"test/nll": 90.0 + place})
        record = json.loads((folder / "run.json").read_text())
        record["config"]["patience"] = value
        (folder / "run.json").write_text(json.dumps(record))
    drawn = []
    monkeypatch.setattr("sbvi.reporting.comparison.save_figure", lambda figure, path: drawn.append(figure))
    monkeypatch.setattr("sys.argv", ["sbvi-compare", str(sweep / "told"), "--plot", str(sweep / "plot.png")])
    compare.main()
    axes = drawn[0].get_axes()[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["5", "null", "true"]
    at = {line.get_ydata()[0]: line.get_xdata()[0] for line in axes.get_lines()}
    assert at == {90.0: 1, 91.0: 0, 92.0: 2}


@pytest.mark.quick
def test_curves_say_what_they_are_of(sweep, monkeypatch):
    """Runs that are scored alike by its name and unit, others together by none."""
    make(sweep / "exact" / "one", 1e-3, 0, **{"test/nll": 80.0})
    lines = [{"step": step, "validation/log_likelihood": -90.0 + step} for step in (1, 2)]
    (sweep / "exact" / "one" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for folders, shown in (
        (["exact"], "validation/log_likelihood, nats"),
        (["sweep"], "validation/elbo, nats"),
        (["exact", "sweep"], "validation score"),
    ):
        drawn = []
        monkeypatch.setattr(
            "sbvi.reporting.comparison.save_figure", lambda figure, path, kept=drawn: kept.append(figure)
        )
        page, places = sweep / f"{len(folders)}-{folders[0]}.html", [str(sweep / folder) for folder in folders]
        words = ["sbvi-compare", *places, "--plot", str(sweep / "plot.png"), "--html", str(page)]
        monkeypatch.setattr("sys.argv", words)
        compare.main()
        assert [axes.get_ylabel() for axes in drawn[0].get_axes() if axes.get_xlabel() == "step"] == [shown]
        captions = re.findall(r"<figcaption>(validation[^<]*)<", page.read_text())
        own = {"exact": 1 * ["validation/log_likelihood, nats"], "sweep": 6 * ["validation/elbo, nats"]}
        assert sorted(captions) == sorted(one for folder in folders for one in own[folder])


@pytest.mark.quick
@pytest.mark.parametrize(
    ("swept", "shown", "scale"),
    [
        ((1e-3, 3e-3), ["0.001", "0.003"], "linear"),
        ((3e-4, 1e-3, 3e-3, 1e-2), ["0.0003", "0.001", "0.003", "0.01"], "log"),
        (range(1, 9), list("12345678"), "linear"),
        ((0,), ["0"], "linear"),
        ((0.0, 0.1, 0.5), ["0", "0.1", "0.5"], "linear"),
        ((0.001, 0.00101, 0.002), ["0.001", "0.002"], "linear"),  # labels that would touch
        (np.geomspace(1e-4, 1e-2, 40).tolist(), None, "log"),
    ],
)
def test_swept_values_are_the_ticks(swept, shown, scale):
    figure = new_figure(4.5, 3.6)
    axes = figure.add_subplot()
    axes.plot(swept, np.zeros(len(swept)), "o")
    axes.set_ylabel("a label\nof two lines")
    swept_ticks(axes, swept)
    axes.tick_params(labelsize=8)  # as files have them
    figure.draw_without_rendering()
    labels = axes.get_xticklabels()
    assert axes.get_xscale() == scale
    if shown is None:
        assert 4 <= len(labels) <= 8
        assert (labels[0].get_text(), labels[-1].get_text()) == ("0.0001", "0.01")
    else:
        assert [label.get_text() for label in labels] == shown
    assert not [tick for tick in axes.get_xticklabels(minor=True) if tick.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


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
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: sbvi-compare's page was not opened in a browser")
    assert command("compare", "sweep", "--html", "page.html", cwd=sweep).returncode == 0
    words = [*WORDS, f"--user-data-dir={sweep}/profile"]
    asked = f"file://{sweep}/page.html#sort=optimizer.learning_rate&descending"
    done = subprocess.run([CHROMIUM, *words, "--dump-dom", asked], capture_output=True, text=True, timeout=180)
    rates = re.findall(r'<tr class="run"[^>]*><td data-value="([^"]*)"', done.stdout)
    assert [float(rate) for rate in rates] == [1e-2, 1e-2, 3e-3, 3e-3, 1e-3, 1e-3], done.stderr
    assert 'aria-sort="descending"' in done.stdout


@needs_driver
def test_the_page_answers_clicks_and_keys(sweep):
    """Headings sort and runs open, in a browser that is driven as by a user; both show that they do."""
    assert command("compare", "sweep", "--html", "page.html", cwd=sweep).returncode == 0
    rates = "return [...document.querySelectorAll('tr.run')].map(row => Number(row.cells[0].dataset.value))"
    heading = "//th[contains(., 'learning_rate')]"

    def content(place, pseudo):
        return page.run(f"return getComputedStyle(document.evaluate(`{place}`, document, null, 9).singleNodeValue, "
                        f"'{pseudo}').content.replaceAll('\"', '').trim()")  # fmt: skip

    def open_rows():
        return page.run("return [...document.querySelectorAll('tr.more')].map(row => row.offsetHeight > 0)")

    with opened(sweep / "page.html", sweep / "profile") as page:
        assert page.run(rates) == [3e-3, 3e-3, 1e-3, 1e-3, 1e-2, 1e-2]  # best first
        assert content(f"{heading}/button", "::after") == "\u21c5"
        page.click(f"{heading}/button")
        assert page.run(rates) == [1e-3, 1e-3, 3e-3, 3e-3, 1e-2, 1e-2]
        assert content(f"{heading}/button", "::after") == "\u25b2"
        page.press(f"{heading}/button", ENTER)
        assert page.run(rates) == [1e-2, 1e-2, 3e-3, 3e-3, 1e-3, 1e-3]
        assert content(f"{heading}/button", "::after") == "\u25bc"
        assert content("//th[contains(., 'seed')]/button", "::after") == "\u21c5"

        mark = "(//tr[@class='run'])[2]//button"
        assert not any(open_rows())
        assert content(mark, "::before") == "\u25b8"
        page.click("(//tr[@class='run'])[2]/td[2]")  # anywhere on the run
        assert open_rows() == [False, True, False, False, False, False]
        assert content(mark, "::before") == "\u25be"
        assert page.run("return document.querySelectorAll('tr.more')[1].querySelector('img').naturalWidth") == 4
        page.press(mark, SPACE)
        assert not any(open_rows())
        page.click(mark)
        page.click(f"{heading}/button")  # a run's own row stays below it
        assert page.run(rates) == [1e-3, 1e-3, 3e-3, 3e-3, 1e-2, 1e-2]
        assert open_rows() == [False, False, False, False, False, True]
        assert page.run("return document.querySelectorAll('button[aria-expanded=true]').length") == 1


@needs_driver
def test_the_page_takes_the_width_that_its_table_needs(sweep):
    """A table of names that are wider than a page of text is not clipped where the window has room for it."""
    (sweep / "sweep").rename(sweep / ("a_folder_of_a_long_name_" * 5))
    assert command("compare", ".", "--html", "page.html", cwd=sweep).returncode == 0
    measured = "const box = document.querySelector('.wide'), body = document.body.getBoundingClientRect(); "
    measured += "return [box.scrollWidth - box.clientWidth, body.width, body.left - (innerWidth - body.right)]"
    with opened(sweep / "page.html", sweep / "profile") as page:
        page.narrow(2000, 800)
        clipped, wide, aside = page.run(measured)
        assert (clipped, aside) == (0, 0)
        assert 78 * 16 < wide < 2000
        page.narrow(1000, 800)
        clipped, wide, aside = page.run(measured)
        assert clipped > 0
        assert (wide, aside) == (1000, 0)


ODD = ("<b>bold</b>", "'single' \"double\" & more", "zé-日本")


@needs_driver
def test_the_page_says_odd_names_as_they_are_and_fits_a_narrow_window(sweep):
    """Settings are spelled as on the command line, nothing is asked of any other place, and what is wide scrolls by
    itself."""
    for name, rate in zip(ODD, (1e-2, 1e-30, 0.123456789), strict=True):
        make(sweep / "odd" / name, rate, 0, **{"test/nll": 90.0, "test/nll_stderr": 0.1})
        path = sweep / "odd" / name / "run.json"
        record = json.loads(path.read_text())
        record["config"]["init_from"] = None if rate == 1e-2 else f"<script>document.title='{rate}'</script>"
        path.write_text(json.dumps(record))
    make(sweep / "odd" / "untested", 1e-3, 0)
    assert command("compare", "odd", "--html", "page.html", cwd=sweep).returncode == 0
    texts = "return [...document.querySelectorAll('tr.run')].map(row => [...row.cells].map(cell => cell.innerText))"
    with opened(sweep / "page.html", sweep / "profile") as page:
        rows = page.run(texts)
        assert sorted(row[-1] for row in rows[:3]) == sorted(f"odd/{name}" for name in ODD)
        assert sorted(row[1] for row in rows[:3]) == ["0.01", "0.123456789", "1e-30"]
        assert [row[0] for row in rows[:3] if row[1] == "0.01"] == ["null"]
        assert rows[3] == ["", "0.001", "odd/untested", "completed", "has no test/nll"]
        assert page.run("return [document.title, document.querySelectorAll('b').length]") == ["Runs by test/nll", 0]
        asked = page.run("return performance.getEntriesByType('resource').map(entry => entry.name.slice(0, 5))")
        assert set(asked) <= {"data:"}

        page.narrow(380, 800)
        page.click("(//tr[@class='run'])[1]/td[1]")
        widths = "return [document.documentElement.scrollWidth, innerWidth]"
        assert page.run(widths) == [380, 380]
        wide = "const box = document.querySelector('.wide'); return [box.scrollWidth > box.clientWidth, "
        assert page.run(wide + "box.querySelector('svg').getBoundingClientRect().right < 380]") == [True, True]
        colours = "const of = getComputedStyle(document.body).color.match(/\\d+/g).map(Number); return Math.min(...of)"
        assert page.run(colours) > 200  # light on dark
