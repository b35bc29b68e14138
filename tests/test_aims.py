"""What rows of results aim at: one way to judge all of them, and recipes that say the same numbers."""

import importlib
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from support.paths import ROOT

pytestmark = pytest.mark.quick

CORES = {"platform": "cpu", "kind": "cpu", "count": 1}
GPU = {"platform": "gpu", "kind": "NVIDIA H100 80GB HBM3", "count": 1}


@pytest.fixture(scope="module")
def scripts():
    """The modules of scripts/ by name."""
    sys.path.insert(0, str(ROOT / "scripts"))
    names = ("recipes", "row_summary", "results_page", "reproduce")
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(ROOT / "scripts"))


def made(row, nll, device=CORES, seed=0, minutes=10.0):
    return {"row": row, "seed": seed, "metrics": {"test/nll": nll}, "device": device, "train_seconds": 60 * minutes}


@pytest.mark.parametrize(
    ("runs", "aim", "verdict"),
    [
        ([], "85.20, accelerator 84.78", "not run"),
        ([made("iwae_full_k50", 85.2)], "85.20", "met"),
        ([made("iwae_full_k50", 85.2, GPU)], "84.78", "missed by 0.42"),
        ([made("iwae_full_k50", 84.781, GPU)], "84.78", "missed by less than 0.01"),
        ([made("iwae_full_k50", 85.0), made("iwae_full_k50", 85.6, seed=1)], "85.20", "missed by 0.10"),
        ([made("iwae_full_k50", 85.0), made("iwae_full_k50", 85.3, seed=1)], "85.20", "met"),
        ([made("iwae_full_k50", 84.7), made("iwae_full_k50", 85.1, GPU, 1)], "84.78", "missed by 0.12"),
    ],
    ids=["not run", "cores", "accelerator", "hardly", "mean over", "mean under", "both kinds"],
)
def test_a_mean_is_judged_by_the_aim_of_its_hardware(scripts, runs, aim, verdict):
    summary = scripts["row_summary"]
    assert summary.aimed(runs, "iwae_full_k50") == aim
    assert summary.verdict(runs, "iwae_full_k50") == verdict


def test_an_aim_within_minutes_is_met_within_them(scripts):
    """The limit is one of cores; an aim that is not told apart is an accelerator's too."""
    summary = scripts["row_summary"]
    known = {
        (84.3, 23.0, "cpu"): "met",
        (84.3, 25.5, "cpu"): "missed by a minute",
        (85.5, 31.0, "cpu"): "missed by 0.50 and 6 minutes",
        (85.5, 31.0, "gpu"): "missed by 0.50",
        (84.3, 31.0, "gpu"): "met",
    }
    for (nll, minutes, platform), said in known.items():
        runs = [made("quick_mnist", nll, CORES if platform == "cpu" else GPU, minutes=minutes)]
        assert summary.verdict(runs, "quick_mnist") == said
        assert summary.aimed(runs, "quick_mnist") == ("85.00 in 25 minutes" if platform == "cpu" else "85.00")


def test_what_a_row_cost(scripts):
    summary = scripts["row_summary"]
    assert summary.cost([], "ladder") == ""
    both = [made("ladder", 80.0, GPU, minutes=2), made("ladder", 80.0, seed=1, minutes=60)]
    assert summary.cost(both, "ladder") == "2, NVIDIA H100; 60, CPU"
    assert summary.cost([made("ladder", 80.0, minutes=0.25)], "ladder") == "0.2, CPU"
    assert summary.cost([made("ladder", 80.0, minutes=0.02)], "ladder") == "under 0.1, CPU"
    one, two = (made("ladder", 80.0) | {"cores": count} for count in (1, 2))
    assert summary.cost([one], "ladder") == "10, 1 CPU core"
    assert summary.cost([one, two | {"seed": 1}], "ladder") == "10, 1 CPU core; 10, 2 CPU cores"
    assert summary.cost([both[0] | {"cores": 16}], "ladder") == "2, NVIDIA H100"
    seeds = [made("quick_mnist", 84.0, seed=seed, minutes=minutes) for seed, minutes in enumerate((23, 4, 4.3))]
    assert summary.cost(seeds, "quick_mnist") == "4 to 23, CPU"
    assert summary.verdict(seeds, "quick_mnist") == "met"
    assert (
        summary.verdict([*seeds, made("quick_mnist", 84.0, seed=3, minutes=40)], "quick_mnist")
        == "missed by 15 minutes"
    )


def test_a_number_that_is_not_finite_is_none(scripts):
    summary = scripts["row_summary"]
    assert summary.verdict([made("ladder", None)], "ladder") == "not run"


def table(text):
    """The lines of a Markdown table, header first, cells by column."""
    header, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return header, [dict(zip(header, line, strict=True)) for line in lines]


def test_tables_leave_out_what_all_their_rows_lack(scripts):
    summary = scripts["row_summary"].summary
    header, rows = table(summary([made("table1_diagonal", 87.59, minutes=72)], "table1"))
    assert header == ["model", "row", "paper", "aim", "here", "verdict", "minutes", "seeds"]
    by_row = {row["row"].strip("`"): row for row in rows}
    diagonal = [by_row["table1_diagonal"][name] for name in header[2:]]
    assert diagonal == ["87.30", "87.30", "87.59", "missed by 0.29", "72, CPU", "1"]
    assert [by_row["table1_rank_one"][name] for name in header[2:]] == ["86.60", "86.60", "not run", "not run", "", "0"]
    assert [by_row["table1_nade"][name] for name in header[3:]] == ["", "not run", "", "", "0"]
    header, _ = table(summary([made("figure2c_diagonal", 93.0)], "figure2c"))
    assert header == ["model", "row", "here", "minutes", "seeds"]  # nothing is published or aimed at
    header, rows = table(summary([], "omniglot"))
    assert [row["here"] for row in rows] == ["not run: needs chardata.mat of Burda et al. (2016)"]
    assert "aim" not in header


def test_stored_rows_of_both_pages_are_judged_alike(scripts):
    """The README's first seed and the page's mean, where that is of one seed."""
    page, summary = scripts["results_page"], scripts["row_summary"]
    records, said = page.stored(), page.headline()
    judged = 0
    for name in scripts["recipes"].HEADLINE:
        if scripts["recipes"].ROWS[name].aim and len(summary.over_seeds(records, name)) == 1:
            assert f"{summary.aimed(records, name)}: {summary.verdict(records, name)} |" in said
            judged += 1
    assert judged > 0


def expected(experiment):
    """What the head of a recipe says that it expects."""
    text = (ROOT / "configs" / "experiment" / f"{experiment}.yaml").read_text()
    return re.search(r"^#   expected  (.*)$", text, re.M)[1], text


def test_heads_of_recipes_say_the_aims(scripts):
    """Those of both kinds of hardware where they differ, and the minutes where they are limited."""
    judged = 0
    for name, row in scripts["recipes"].ROWS.items():
        if row.of is not None or row.table == "figures":  # of the same runs as other rows
            continue
        said, head = expected(row.experiment or name)
        told = re.search(r"aim: test/nll at most ([\d.]+\d)(?: on two cores, ([\d.]+\d) with an accelerator)?", said)
        assert (told is None) == (row.aim is None), name
        if row.aim is not None:
            numbers = tuple(number and float(number) for number in told.groups())
            assert numbers == (row.aim.nll, row.aim.accelerator), name
            assert row.aim.minutes is None or f"{row.aim.minutes} minutes" in head, name
            judged += 1
    assert judged > 15


def test_what_recipes_expect_of_themselves_was_reached(scripts):
    """A number in the head of a recipe without an aim is no less than the mean of its stored runs."""
    records, judged = scripts["results_page"].stored(), 0
    for name, row in scripts["recipes"].ROWS.items():
        if row.of is not None or row.aim is not None or row.words:
            continue
        told = re.search(rf"{re.escape(row.metric)} at most ([\d.]+\d)", expected(row.experiment or name)[0])
        if told and (values := list(scripts["row_summary"].over_seeds(records, name).values())):
            assert np.mean(values) <= float(told[1]), name
            judged += 1
    assert judged > 4


#: Lengths in words, longer ones first, as minutes.
LENGTHS = {
    "an hour and a quarter": "75 minutes",
    "three quarters of an hour": "45 minutes",
    "a quarter of an hour": "15 minutes",
    "half an hour": "30 minutes",
    "a minute and a half": "1.5 minutes",
    "a minute or two": "1 to 2 minutes",
    "half a minute": "0.5 minutes",
    "a minute": "1 minutes",
    "three minutes": "3 minutes",
    "five minutes": "5 minutes",
    "nine minutes": "9 minutes",
}
TOLD = r"([\d.]+)(?: to ([\d.]+))? minutes (?:of training )?(?:of|on) (?:(one core|two cores)|an H[12]00)"


def costs(said):
    """What the head of a recipe tells of minutes: (least, most, whether of cores)."""
    for words, minutes in LENGTHS.items():
        said = said.replace(words, minutes)
    return [(float(low), float(high or low), bool(cores)) for low, high, cores in re.findall(TOLD, said)]


def test_costs_that_are_told_in_words():
    assert costs("about 5 minutes of training on one core, 5 more for the test") == [(5, 5, True)]
    assert costs("a minute and a half of two cores; 2 to 4 minutes of an H100") == [(1.5, 1.5, True), (2, 4, False)]
    assert costs("a quarter of an hour on two cores, hours of a GPU") == [(15, 15, True)]
    assert costs("596,000 steps, some minutes of an accelerator") == []


def test_heads_of_recipes_say_what_stored_runs_took(scripts):
    """Within a factor of two of the quickest or the slowest seed on hardware of that kind; machines differ as much. A
    row that starts from another has that one's seconds among its own."""
    records, judged = scripts["results_page"].stored(), 0
    for name, row in scripts["recipes"].ROWS.items():
        if row.of is not None or row.words or row.start or row.experiment not in (None, name):
            continue
        cost = re.search(r"^#   cost      (.*)$", expected(name)[1], re.M)
        for low, high, cores in costs(cost[1]) if cost else []:
            found = [r for r in records if r["row"] == name and (not scripts["row_summary"].accelerator(r)) == cores]
            if taken := [r["train_seconds"] / 60 for r in found]:
                assert min(taken) / 2 <= high, (name, taken)
                assert low <= 2 * max(taken), (name, taken)
                judged += 1
    assert judged > 30


def test_a_row_whose_file_is_missing_says_so_in_a_sentence(scripts, tmp_path, monkeypatch):
    reproduce = scripts["reproduce"]
    monkeypatch.setattr(reproduce, "RUNS", reproduce.ROOT / "outputs" / tmp_path.name)
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path)
    monkeypatch.setattr(reproduce, "render", lambda: None)
    monkeypatch.setattr(reproduce.subprocess, "run", lambda *words, **options: None)  # it trains nothing
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "omniglot"])
    with pytest.raises(SystemExit) as ended:
        reproduce.main()
    needs = "it needs chardata.mat of Burda et al. (2016) in the folder that SBVI_DATA_DIR names"
    assert ended.value.code == f"omniglot (seed 0) was not begun: {needs}"
    rows = reproduce.ROWS
    monkeypatch.setitem(rows, "omniglot", replace(rows["omniglot"], files=""))
    with pytest.raises(SystemExit, match="did not complete: omniglot"):
        reproduce.main()
