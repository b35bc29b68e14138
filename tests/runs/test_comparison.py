"""sbvi-compare over directories in every state."""

import csv
import io
import json
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.processes import command, start

from sbvi.core import UserError
from sbvi.runs.comparison import counted_once, differing, grouped, less_is_better
from sbvi.runs.directory import RunDirectory
from sbvi.runs.sections import label, left_keys, sections
from sbvi.runs.summaries import RunSummary, find_runs, read_summary

pytestmark = pytest.mark.quick

RATES = {1e-3: [91.0, 91.4, 91.2], 3e-3: [90.1, 90.5, 90.6], 1e-2: [95.0, 94.0, 96.0]}


def make(folder, rate, seed, nll=None, status="completed", **extra):
    folder.mkdir(parents=True)
    config = {"seed": seed, "optimizer": {"name": "adam", "learning_rate": rate}, "model": {"latents": [200]}}
    (folder / "run.json").write_text(json.dumps({"config": config, "data": {}}))
    lines = [{"step": s, "epoch": s / 10, "validation/elbo": -100.0 + s / 10} for s in (10, 20)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 3')
    if status is not None:
        metrics = {} if nll is None else {"test/nll": nll, "test/elbo": -nll - 5}
        (folder / "result.json").write_text(json.dumps({"status": status, "metrics": metrics, **extra}))


@pytest.fixture
def grid(tmp_path):
    for rate, values in RATES.items():
        for seed, value in enumerate(values):
            make(tmp_path / "sweep" / f"{rate}-{seed}", rate, seed, value)
    return tmp_path


def test_the_best_setting_over_seeds_comes_first(grid):
    runs = [read_summary(path) for path in find_runs([grid])]
    assert differing(runs) == ["optimizer.learning_rate"]
    found = grouped(runs, "test/nll")
    assert [g.settings["optimizer.learning_rate"] for g in found] == [3e-3, 1e-3, 1e-2]
    for group in found:
        values = RATES[group.settings["optimizer.learning_rate"]]
        assert group.mean == pytest.approx(np.mean(values))
        assert group.stderr == pytest.approx(np.std(values, ddof=1) / np.sqrt(3))
    assert [g.settings for g in grouped(runs, "test/elbo")] == [g.settings for g in found]
    assert less_is_better("test/nll")
    assert not less_is_better("test/elbo")


def of_models(*configs):
    return [
        RunSummary(Path(f"run{place}"), "completed", "", config, {"test/nll": 90.0 + place}, [])
        for place, config in enumerate(configs)
    ]


def test_what_one_model_alone_has_is_told_where_it_differs(tmp_path):
    """Settings that follow from the model are no columns; a difference within one model is."""
    dlgm = {"model.name": "dlgm", "model.latents": [20], "model.activation": "tanh", "batch": 100}
    circuit = {"model.name": "circuit", "model.structure": "random", "batch": 100}
    assert differing(of_models(dlgm, circuit)) == ["model.name"]
    runs = of_models(dlgm, circuit, dlgm | {"model.latents": [10]}, dlgm | {"seed": 1})
    assert differing(runs) == ["model.latents", "model.name"]
    groups = grouped(runs, "test/nll")
    assert [group.settings for group in groups] == [
        {"model.name": "circuit"},
        {"model.name": "dlgm", "model.latents": [20]},
        {"model.name": "dlgm", "model.latents": [10]},
    ]
    assert [len(group.runs) for group in groups] == [1, 2, 1]
    assert label(groups[0].settings, ["model.name", "model.latents"]) == "model circuit"
    # A key that a run has as null is another setting than none.
    assert differing(of_models(dlgm | {"prior": None}, dlgm)) == ["prior"]
    # Two settings that were changed together are told, whoever else is compared.
    both = of_models(dlgm, dlgm | {"batch": 50, "model.latents": [10]}, circuit)
    assert differing(both) == [*differing(both[:2]), "model.name"] == ["batch", "model.latents", "model.name"]
    for place, config in enumerate((dlgm, circuit, dlgm | {"model.latents": [10]})):
        nested = {k[6:]: v for k, v in config.items() if k.startswith("model.")}
        folder = tmp_path / f"{place}"
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({"config": {"model": nested}, "data": {}}))
        (folder / "result.json").write_text(json.dumps({"status": "completed", "metrics": {"test/nll": 90.0 + place}}))
    shown = command("compare", tmp_path, "--plot", tmp_path / "all.png", "--html", tmp_path / "all.html", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "null" not in shown.stdout
    assert "structure" not in shown.stdout
    with Image.open(tmp_path / "all.png") as picture:
        assert picture.width > 0


def test_data_is_known_by_its_digest_and_not_by_where_it_lies():
    """Arrays given to `sbvi.train` are kept in each run's own directory."""
    runs = [
        RunSummary(
            Path(name),
            "completed",
            "",
            {"dataset.path": f"{name}/data.npz", "seed": seed, "rate": rate},
            {"test/nll": 90.0 + seed},
            [],
            data=data,
        )
        for name, seed, rate, data in (("a", 0, 1, "x" * 64), ("b", 1, 1, "x" * 64), ("c", 0, 1, "x" * 64))
    ]
    assert differing(runs) == []
    assert [len(group.runs) for group in grouped(runs, "test/nll")] == [3]
    assert [run.status for run in counted_once(runs)] == ["completed", "completed", "repeated"]
    # Without a digest the file is all that is known; and the same numbers in other units are other data.
    unknown = [replace(run, data="") for run in runs]
    assert differing(unknown) == ["dataset.path"]
    assert [run.status for run in counted_once(unknown)] == ["completed"] * 3
    others = [replace(run, units=str(run.path)) for run in runs]
    assert differing(others) == ["dataset.path"]
    assert [run.status for run in counted_once(others)] == ["completed"] * 3


def test_unfinished_failed_and_broken_runs_are_listed_with_the_reason(grid):
    make(grid / "a", 1e-3, 7, status="failed", reason="train/loss is not finite at step 3")
    make(grid / "b", 1e-3, 8, status=None)
    (grid / "b" / ".lock").write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
    make(grid / "c", 1e-3, 9, status=None)
    (grid / "c" / ".lock").write_text(f"process {2**22 + 1} on {socket.gethostname()}\n")
    make(grid / "d", 1e-3, 10)
    (grid / "d" / "run.json").write_text("{")
    make(grid / "e", 1e-3, 11, status=None)  # another process has the number of the one that was killed
    (grid / "e" / ".lock").write_text((grid / "b" / ".lock").read_text())
    os.utime(grid / "e" / ".lock", (1e9, 1e9))
    found = {p.name: read_summary(p) for p in find_runs([grid])}
    assert {n: found[n].status for n in "abcde"} == {
        "a": "failed", "b": "running", "c": "interrupted", "d": "unreadable", "e": "interrupted",
    }  # fmt: skip
    assert found["b"].note == "step 20"
    assert found["c"].curve == [(10, -99.0), (20, -98.0)]
    done = command("compare", grid, cwd=grid, fresh=True)
    assert done.returncode == 0, done.stderr
    assert "train/loss is not finite at step 3" in done.stdout
    assert "interrupted" in done.stdout
    first = done.stdout.splitlines()[2].split()
    assert first[0] == "0.003"
    assert first[-1].endswith("0.003-0")


def test_runs_that_are_not_ranked_have_a_few_settings_beside_them(grid):
    runs = [read_summary(path) for path in find_runs([grid])]
    apart = sections(grouped(runs, "test/nll"), "test/nll")
    many = {f"model.k{d}": d for d in range(20)}
    left = of_models(
        {"optimizer.learning_rate": 1e-3, **many}, {"optimizer.learning_rate": 3e-3, **many, "model.k1": 0}
    )
    base = {key: runs[0].config[key] for key in runs[0].config if key != "optimizer.learning_rate"}
    everywhere = [*(replace(run, config=dict(run.config) | many) for run in runs)]
    left = [replace(run, config=base | run.config) for run in left]
    # What sets them apart from those that are ranked, too, all of which have the same there.
    assert left_keys([*everywhere, *left], left, apart) == ["model.k1", "optimizer.learning_rate"]
    unlike = replace(left[0], config=base | dict.fromkeys(many, -1) | {"optimizer.learning_rate": 1e-3})
    # Of many those of one folder's runs come first, then those of the sections; the rest are as good as any other.
    alone = [replace(run, path=Path(f"elsewhere-{place}") / "run") for place, run in enumerate([*left, unlike])]
    few = ["model.k0", "model.k1", "model.k10", "model.k11", "optimizer.learning_rate"]
    assert left_keys([*everywhere, *alone], alone, apart) == few
    swept = [replace(alone[0], path=Path("sweep") / "a"), replace(unlike, path=Path("sweep") / "b")]
    swept = [replace(run, config=dict(left[0].config) | {"model.k7": place}) for place, run in enumerate(swept)]
    told = left_keys([*everywhere, *alone, *swept], [*alone, *swept], apart)
    assert told == ["model.k0", "model.k1", "model.k10", "model.k7", "optimizer.learning_rate"]
    assert left_keys([*everywhere, *left], left, []) == ["model.k1", "optimizer.learning_rate"]
    unlike = of_models(many | {"model.name": "a"}, dict.fromkeys(many, -1) | {"model.name": "b"})
    assert left_keys(unlike, unlike, []) == ["model.k0", "model.k1", "model.k10", "model.k11", "model.name"]
    make(grid / "a", 1e-3, 7, status="failed", reason="broken")
    make(grid / "b", 3e-3, 8, status="failed", reason="broken")
    shown = command("compare", grid, cwd=grid).stdout.splitlines()
    assert shown[-4].split() == ["optimizer.learning_rate", "status", "note", "run"]
    assert shown[-1].split() == ["0.003", "failed", "broken", str(grid / "b")]


def test_data_of_one_name_are_told_apart_by_file_binarization_and_settings():
    npz = {"dataset.name": "npz", "dataset.binarization": "none"}
    configs = [
        npz | {"dataset.path": "/a/digits.npz"},
        npz | {"dataset.path": "/a/faces.npz"},
        npz | {"dataset.path": "/b/faces.npz", "dataset.binarization": "static"},
        {"dataset.name": "mnist", "dataset.binarization": "static"},
        *({"dataset.name": "table", "dataset.columns.age": kind} for kind in (None, "ignored", ["low" * 20, "high"])),
    ]
    runs = [replace(run, data=f"{place}" * 20) for place, run in enumerate(of_models(*configs))]
    titles = [section.title for section in sections(grouped(runs, "test/nll"), "test/nll")]
    assert titles == [
        f"npz, digits.npz, binarization none ({'0' * 12})",
        f"npz, faces.npz, binarization none ({'1' * 12})",
        f"npz, faces.npz, binarization static ({'2' * 12})",
        f"mnist ({'3' * 12})",
        f"table ({'4' * 12})",
        f"table, age ignored ({'5' * 12})",
        f"table, other dataset.columns.age ({'6' * 12})",
    ]


def test_damaged_results_and_metrics_are_told_and_left_out(grid):
    """Another's edit, or a disk's: one damaged run takes nothing from the others."""
    for name, metrics in {"list": [1], "null": None, "text": {"test/nll": "27.0"}}.items():
        make(grid / name, 1e-3, 7)
        (grid / name / "result.json").write_text(json.dumps({"status": "completed", "metrics": metrics}))
        found = read_summary(grid / name)
        assert (found.status, found.metrics) == ("unreadable", {})
        assert str(grid / name / "result.json") in found.note
    make(grid / "lines", 1e-3, 8)
    with open(grid / "lines" / "metrics.jsonl", "ab") as file:
        file.write(b'\xff\xfe\n{"step": 60, "validation/elbo": null}\n{"step": 70, "validation/elbo": [1]}\n"a"\n')
    assert read_summary(grid / "lines").curve == [(10, -99.0), (20, -98.0)]
    done = command("compare", grid, cwd=grid)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("unreadable") == 3


@pytest.mark.parametrize(
    "content",
    ['{"metrics": {"test/nll": "NaN"}}', '{"metrics": {"test/nll": 1e999}}', '{"steps": "x"}', '{"status": 3}'],
)
def test_what_is_json_and_no_result_is_told(grid, content):
    """Infinity would be ranked last, and a text be met in the middle of a command."""
    make(grid / "odd", 1e-3, 7)
    (grid / "odd" / "result.json").write_text(content)
    found = read_summary(grid / "odd")
    assert found.status == "unreadable"
    assert str(grid / "odd" / "result.json") in found.note


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_early_versions_wrote_of_a_number_that_is_not_finite_is_absent(grid, word):
    """It is not ranked, and costs none of the numbers beside it."""
    make(grid / "old", 1e-3, 7)
    result = {"status": "completed", "metrics": {"test/nll": "word", "test/elbo": -99.0}, "train_seconds": "word"}
    (grid / "old" / "result.json").write_text(json.dumps(result).replace('"word"', word))
    with open(grid / "old" / "metrics.jsonl", "a") as file:
        file.write(f'\n{{"step": 60, "validation/elbo": -97.0, "train/loss": {word}}}\n')
    found = read_summary(grid / "old")
    assert (found.status, found.metrics) == ("completed", {"test/elbo": -99.0})
    assert found.curve[-1] == (60, -97.0)
    ranked = json.loads(command("compare", grid, "--format", "json", cwd=grid).stdout)
    assert [(run["status"], run["note"]) for run in ranked["others"]] == [("completed", "test/nll is not finite")]


@pytest.mark.parametrize("data", [{"preprocessing": "x"}, {"classes": None}, {"classes": [2]}])
def test_what_is_no_record_of_data_is_told(grid, data):
    make(grid / "odd", 1e-3, 7, nll=90.0)
    record = json.loads((grid / "odd" / "run.json").read_text()) | {"data": data}
    (grid / "odd" / "run.json").write_text(json.dumps(record))
    assert read_summary(grid / "odd").status == "unreadable"
    with pytest.raises(UserError, match=rf"run.json holds .* as data.{next(iter(data))}"):
        RunDirectory(grid / "odd").read_run()


def test_a_line_of_brackets_is_left_out(grid):
    """JSON that is nested deeper than Python follows is a damaged line."""
    make(grid / "lines", 1e-3, 8)
    with open(grid / "lines" / "metrics.jsonl", "a") as file:
        file.write("\n" + "[" * 100_000 + "\n")
    assert read_summary(grid / "lines").curve == [(10, -99.0), (20, -98.0)]


def test_json_says_why_a_completed_run_is_not_ranked(grid):
    make(grid / "untested", 1e-3, 7, status="completed")
    found = json.loads(command("compare", grid, "--format", "json", cwd=grid).stdout)
    assert [(run["status"], run["note"]) for run in found["others"]] == [("completed", "has no test/nll")]


def test_formats_and_the_picture(grid):
    make(grid / "a", 1e-3, 7, status="failed", reason="a | bar")
    found = json.loads(command("compare", grid, "--format", "json", cwd=grid).stdout)
    assert found["groups"][0]["settings"] == {"optimizer.learning_rate": 3e-3}
    assert len(found["groups"][0]["runs"]) == 3
    assert found["others"][0]["note"] == "a | bar"
    rows = list(csv.DictReader(io.StringIO(command("compare", grid, "--format", "csv", cwd=grid).stdout)))
    assert rows[0]["optimizer.learning_rate"] == "0.003"
    assert (rows[-1]["status"], rows[-1]["note"], rows[-1]["run"]) == ("failed", "a | bar", str(grid / "a"))
    assert "a \\| bar" in command("compare", grid, "--format", "markdown", cwd=grid).stdout
    done = command("compare", grid, "--plot", "new/plot.png", cwd=grid)
    assert done.returncode == 0, done.stderr
    with Image.open(grid / "new" / "plot.png") as picture:
        assert picture.width > 400
        assert len(np.unique(np.asarray(picture))) > 10


def test_mistakes_are_one_sentence(grid):
    with pytest.raises(UserError, match="is not a directory"):
        find_runs([grid / "absent"])
    (grid / "empty").mkdir()
    (grid / "folder.png").mkdir()
    (grid / "file").touch()
    for words, sentence in (
        (["empty"], "empty holds no run"),
        (["sweep", "--metric", "test/nl"], "is in none of the completed runs; did you mean test/nll or test/elbo?"),
        (["sweep", "--metric", "speed"], "--metric speed is in none of the completed runs; there is: test/elbo, "),
        (["sweep", "--plot", "x.svg"], "--plot x.svg must end in .png or .pdf."),
        (["sweep", "--plot", "folder.png"], "folder.png cannot be written (Is a directory); what was there"),
        (["sweep", "--html", "file/x.html"], "file cannot be used (File exists)."),
    ):
        done = command("compare", *words, cwd=grid)
        assert done.returncode == 1
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_no_replicate_is_invented(grid):
    """A run named twice, behind a link, copied, or run again with its seed counts once; other data is a group of its
    own."""
    import shutil

    first = grid / "sweep" / "0.001-0"
    shutil.copytree(first, grid / "copy")
    (grid / "link").symlink_to(grid / "sweep", target_is_directory=True)
    paths = find_runs([grid / "sweep", grid / "link", first, grid / "copy"])
    assert len(paths) == 10
    runs = counted_once([read_summary(path) for path in paths])
    (repeated,) = [run for run in runs if run.status == "repeated"]
    assert repeated.note == f"the same run as {first}: counted once"
    assert [len(group.values) for group in grouped(runs, "test/nll")] == [3, 3, 3]
    make(grid / "elsewhere", 3e-3, 0, 50.0)
    record = json.loads((grid / "elsewhere" / "run.json").read_text()) | {"data": {"digest": "f" * 64}}
    (grid / "elsewhere" / "run.json").write_text(json.dumps(record))
    groups = grouped(
        counted_once([read_summary(path) for path in find_runs([grid / "sweep", grid / "elsewhere"])]), "test/nll"
    )
    assert next((g.settings["data"], len(g.values)) for g in groups) == ("f" * 12, 1)
    assert len(groups) == 4


def test_where_a_run_is_computed_and_how_often_it_is_told_is_no_setting_of_it(grid):
    """Of its numbers; of its speed it is."""
    base = read_summary(grid / "sweep" / "0.001-0")
    places = {"runtime.platform": ("auto", "cpu", "cpu"), "trainer.checkpoint_minutes": (0.5, 0.5, 5.0)}
    places |= {"runtime.devices": (1, 1, 2), "trainer.log_every": (250, 10, 250), "logger": ("csv", "csv", "wandb")}
    runs = [
        replace(
            base,
            path=Path(str(seed)),
            config=dict(base.config) | {"seed": seed} | {key: values[seed] for key, values in places.items()},
            metrics={"test/nll": 90.0 + seed, "examples_per_second": 100.0 + seed},
        )
        for seed in range(3)
    ]
    (group,) = grouped(counted_once(runs), "test/nll")
    assert (group.settings, group.values) == ({}, [90.0, 91.0, 92.0])
    # The same seed elsewhere is no other replicate, and another measurement of speed.
    again = [*runs, replace(runs[2], config=dict(runs[2].config) | {"seed": 0}, path=Path("again"))]
    copied = counted_once([*runs, replace(runs[2], path=Path("copy"))], "examples_per_second")
    assert [run.status for run in copied] == ["completed"] * 3 + ["repeated"]
    assert [run.status for run in counted_once(again, "test/nll")] == ["completed"] * 3 + ["repeated"]
    assert [run.status for run in counted_once(again, "examples_per_second")] == ["completed"] * 4
    speeds = grouped(again, "examples_per_second")
    assert [(g.settings["runtime.devices"], len(g.values)) for g in speeds] == [(2, 2), (1, 1), (1, 1)]
    assert set(speeds[0].settings) == set(places) - {"logger"}


def test_runs_behind_links_are_found_and_a_reader_may_leave(grid):
    (grid / "only").mkdir()
    (grid / "only" / "linked").symlink_to(grid / "sweep", target_is_directory=True)
    (grid / "only" / "round").symlink_to(grid / "only", target_is_directory=True)
    assert len(find_runs([grid / "only"])) == 9
    process = start("only", cwd=grid, name="compare", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""
