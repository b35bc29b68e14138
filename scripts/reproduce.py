#!/usr/bin/env python3
"""Runs the paper's experiments, keeps each finished run's numbers, and renders docs/results.md from them.

    scripts/reproduce.py --list                 every row and figure, and which seeds are done
    scripts/reproduce.py ROW [ROW ...]          train what is missing; goes on with what was begun
    scripts/reproduce.py ROW --seeds 0,1,2
    scripts/reproduce.py --train ROW            train alone, such as some members of an ensemble beside others
    scripts/reproduce.py --render               the page alone
    scripts/reproduce.py --keep-trial DIR ...   keep the validation likelihood of runs that compared settings
    scripts/reproduce.py --keep-search DIR ...  keep the trials of searches by Optuna

A trial's number is what `sbvi-evaluate run=DIR task=likelihood task.split=validation` wrote beside it.

A row is an `experiment=` config, perhaps with words beside it, and the evaluations of its run (scripts/recipes/).
Runs live in outputs/reproduce/EXPERIMENT-SEED, or ROW-SEED where a row has words of its own; what is kept of a
completed one is docs/results/ROW-SEED.json, and the pictures of seed 0 are in docs/results/figures/.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# Called by its name, whatever Python comes first runs it; the environment that scripts/train makes need not be active.
if importlib.util.find_spec("sbvi") is None:
    made = Path(__file__).resolve().parents[1] / ".venv"
    if not (made / "bin" / "python").exists() or Path(sys.prefix) == made:
        sys.exit(f"{sys.executable} has no sbvi; scripts/train makes an environment that has, or activate your own.")
    os.execv(made / "bin" / "python", [made / "bin" / "python", *sys.argv])

import measured_pages
import results_page
import search_page
from recipes import ROWS
from results_page import FIGURES, RESULTS, ROOT, stored
from row_summary import aimed

from sbvi.core import UserError
from sbvi.core.atomic import write_atomically
from sbvi.runs.directory import RunDirectory
from sbvi.runs.provenance import processor

RUNS = ROOT / "outputs" / "reproduce"
#: The seed whose pictures are kept; of the others numbers alone.
PICTURED = 0


def folder(row, seed):
    own = ROWS[row]
    return RUNS / f"{row if own.words else own.experiment or row}-{seed}"


def completed(row, seed):
    directory = RunDirectory(folder(row, seed))
    result = directory.read_result() if directory.has_run() else None
    return directory if result is not None and result["status"] == "completed" else None


def words(row, seed):
    """What a run of the row is told, from the root of the repository."""
    start = ROWS[row].start
    begin = [f"init_from={folder(start, seed).relative_to(ROOT)}"] if start else []
    return [f"experiment={ROWS[row].experiment or row}", *ROWS[row].words, f"seed={seed}", *begin]


def members(row, seed):
    """The seeds of a row's runs: of an ensemble several."""
    return range(seed, seed + ROWS[row].members)


def train(row, seed):
    """Train to the end, or go on with what was begun; False if a run, or what it starts from, did not complete."""
    start = ROWS[row].start
    if start and not train(start, seed):
        return False
    for own in members(row, seed):
        if completed(row, own) is None:
            command = [sys.executable, "-m", "sbvi.cli.train", *words(row, own), f"hydra.run.dir={folder(row, own)}"]
            subprocess.run(command, cwd=ROOT)
    return all(completed(row, own) is not None for own in members(row, seed))


def training(row, seed):
    """Seconds of training, those of all members and of the run that it starts from among them."""
    before = training(ROWS[row].start, seed) if ROWS[row].start else 0.0
    return before + sum(completed(row, own).read_result()["train_seconds"] for own in members(row, seed))


def evaluate(row, seed):
    """Every work of the row, its numbers kept and its picture of one seed; None if one failed."""
    evaluations = {}
    others = [str(folder(row, own).relative_to(ROOT)) for own in members(row, seed)][1:]
    for work in ROWS[row].works:
        run = folder(row, seed).relative_to(ROOT)
        told = [*work.words, *([f"task.ensemble=[{','.join(others)}]"] if others else [])]
        command = [sys.executable, "-m", "sbvi.cli.evaluate", f"run={run}", *told]
        if subprocess.run(command, cwd=ROOT).returncode:
            return None
        made = ROOT / run / "evaluations"
        pattern = "*.json" if work.picture is None else f"{work.picture}-*.{work.suffix}"
        newly = newest(made, pattern)
        settings = newly.stem.rpartition("-")[2]  # their digest; another row may evaluate the same run meanwhile
        metrics = json.loads(newest(made, f"*-{settings}.json").read_text())["metrics"]
        evaluations[work.label] = {"command": " ".join(["sbvi-evaluate", *command[3:]]), "metrics": metrics}
        if work.picture is not None and seed == PICTURED:
            evaluations[work.label] |= _kept_picture(newly, f"{row}-{work.label}-{seed}.{work.suffix}")
    return evaluations


def _kept_picture(path, name):
    """Copy a picture beside the others: its name there, and its hash."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, FIGURES / name)
    return {"picture": name, "picture_sha256": hashlib.sha256((FIGURES / name).read_bytes()).hexdigest()}


def newest(folder, pattern):
    """The file written last."""
    return max(folder.glob(pattern), key=lambda p: p.stat().st_mtime_ns)


def keep(row, seed):
    """Store a completed run's numbers; False if an evaluation failed."""
    directory = completed(row, seed)
    evaluations = evaluate(row, seed)
    if directory is None or evaluations is None:
        return False
    result, run = directory.read_result(), directory.read_run()
    record = {
        "row": row,
        "seed": seed,
        "command": " ".join(["sbvi-train", *words(row, seed)]),
        "samples": run["config"]["evaluation"]["num_samples"],
        "metrics": {name: value for name, value in result["metrics"].items() if name.startswith("test/")},
        "evaluations": evaluations,
        "train_seconds": training(row, seed),
        "wall_seconds": result["wall_seconds"],
        "steps": result["steps"],
        "best_step": result["best_step"],
        "versions": run.get("versions"),
        "device": run.get("device"),
        "processor": (run.get("machine") or {}).get("processor") or processor(),
        "cores": (run.get("machine") or {}).get("cores"),
        "commit": run.get("commit"),
    }
    RESULTS.mkdir(exist_ok=True)
    write_atomically(RESULTS / f"{row}-{seed}.json", (json.dumps(record, indent=1) + "\n").encode())
    return True


def keep_trial(place):
    """Store what a trial's validation said, named by its folder."""
    directory = RunDirectory(place)
    run, result = directory.read_run(), directory.read_result()
    evaluations = directory.path / "evaluations"
    if result is None or not list(evaluations.glob("likelihood-validation*.json")):
        raise UserError(f"{place} is not a finished run with a likelihood of its validation split.")
    path = newest(evaluations, "likelihood-validation*.json")
    evaluation = json.loads(path.read_text())
    ignored = ("hydra.", "trainer.log_every", "trainer.validate_every", "evaluation.", "dataset")
    ignored += ("trainer.steps=null", "trainer.examples=null")
    record = {
        "settings": [word for word in run["command"][1:] if not word.startswith(ignored)],
        "samples": evaluation["task"]["num_samples"],
        "examples": evaluation["task"]["examples"] or run["data"]["sizes"]["validation"],
        "metrics": evaluation["metrics"],
        "seed": run["config"]["seed"],
        "epochs": result["epochs"],
        "train_seconds": result["train_seconds"],
        "processor": processor(),
    }
    (RESULTS / "trials").mkdir(parents=True, exist_ok=True)
    write_atomically(RESULTS / "trials" / f"{directory.path.name}.json", (json.dumps(record, indent=1) + "\n").encode())


def render():
    """docs/results.md, and the pages that repeat parts of it."""
    results_page.render(measured_pages.sections, search_page.section())
    measured_pages.render()


def listing():
    done = stored()
    for name, row in ROWS.items():
        seeds = ", ".join(str(r["seed"]) for r in done if r["row"] == (row.of or name)) or "none"
        paper = f", paper {row.paper:.2f}" if row.paper else ""
        aim = f", aim {aimed([], name)}" if row.aim else ""
        needs = f"; needs {row.files}" if row.files else ""
        print(f"{name}: {row.title} ({row.table}){paper}{aim}; seeds done: {seeds}{needs}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--seeds", default="0", help="comma separated (default: %(default)s)")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--train", action="store_true", help="train alone: nothing is evaluated or stored")
    parser.add_argument("--render", action="store_true")
    parser.add_argument("--keep-trial", nargs="+", default=[], metavar="DIR")
    parser.add_argument("--keep-search", nargs="+", default=[], metavar="DIR")
    given = parser.parse_args()
    if not re.fullmatch(r"\d+(,\d+)*", given.seeds):
        parser.error(f"--seeds {given.seeds} must be whole numbers with commas between them")
    for row in given.rows:
        if row not in ROWS:
            parser.error(f"{row} is not a row; there is: {', '.join(ROWS)}")
    if given.list:
        listing()
        return
    for kept, places in ((keep_trial, given.keep_trial), (search_page.keep, given.keep_search)):
        for place in places:
            try:
                kept(place)
            except UserError as error:
                parser.error(str(error))
    failed, lacking = [], []
    for row in dict.fromkeys(ROWS[row].of or row for row in given.rows):
        for seed in map(int, given.seeds.split(",")):
            stored_already = (RESULTS / f"{row}-{seed}.json").exists()
            if not stored_already and not (train(row, seed) and (given.train or keep(row, seed))):
                if ROWS[row].files and not RunDirectory(folder(row, seed)).has_run():
                    needs = f"it needs {ROWS[row].files} in the folder that SBVI_DATA_DIR names"
                    lacking.append(f"{row} (seed {seed}) was not begun: {needs}")
                else:
                    failed.append(f"{row} (seed {seed})")
    if not given.train:
        render()
    if failed:
        lacking.append(f"did not complete: {', '.join(failed)}; the same command goes on with them")
    if lacking:
        sys.exit("\n".join(lacking))


if __name__ == "__main__":
    main()
