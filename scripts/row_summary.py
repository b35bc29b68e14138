"""A table of rows: the published value, what was aimed at, what was reached, whether that meets it, and what it cost.

Every page that shows rows judges them here, and so alike: by the mean over seeds, and by the aim of the hardware.
"""

import re

import numpy as np
from recipes import ROWS

from sbvi.reporting.tables import markdown_table


def over_seeds(records, name, metric=None):
    """Test negative log-likelihoods of a row, seed -> nats; metric: another than the row's."""
    row = ROWS[name]
    own = [r for r in records if r["row"] == (row.of or name)]
    held = {
        r["seed"]: r.get("evaluations", {}).get(row.work, {}).get("metrics", {}) if row.work else r["metrics"]
        for r in own
    }
    metric = metric or row.metric
    return {seed: metrics[metric] for seed, metrics in held.items() if metrics.get(metric) is not None}


def spread(values):
    """The standard error of a mean over seeds; None for one."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def mean(values, digits=2):
    error = spread(values)
    return f"{np.mean(values):.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "")


def accelerator(record):
    """The name of the accelerator that a run was made on; None of a CPU."""
    device = record.get("device") or {}
    return None if device.get("platform", "cpu") == "cpu" else device["kind"]


def cores(record):
    """How many a run had, in words; empty where its record does not tell."""
    count = record.get("cores")
    return f"{count} CPU core{'s' if count > 1 else ''}" if count else ""


def hardware(record):
    """The CPU's cores, or an accelerator's name without the size of its memory."""
    return re.sub(r" \d+GB.*", "", accelerator(record) or cores(record) or "CPU")


def minutes(seconds):
    """Whole minutes, and tenths below one."""
    if seconds < 3:
        return "under 0.1"
    return f"{seconds / 60:.0f}" if seconds >= 57 else f"{seconds / 60:.1f}"


def made_by(records, name):
    """The records behind a row's numbers."""
    seeds = over_seeds(records, name)
    return [r for r in records if r["row"] == (ROWS[name].of or name) and r["seed"] in seeds]


def cost(records, name):
    """Minutes of training, the least and the most of the seeds, and on what; empty where nothing was run."""
    found, said = made_by(records, name), []
    for kind in dict.fromkeys(map(hardware, found)):
        seconds = [r["train_seconds"] for r in found if hardware(r) == kind]
        ends = dict.fromkeys(map(minutes, (min(seconds), max(seconds))))
        said.append(f"{' to '.join(ends)}, {kind}")
    return "; ".join(said)


def wanted(aim, found):
    """The greatest mean wanted of runs: with an accelerator's aim where one of them was made on one; and the limit of
    their minutes, None where there is none."""
    if not any(map(accelerator, found)):
        return aim.nll, aim.minutes
    return (aim.nll if aim.accelerator is None else aim.accelerator), None


def aimed(records, name):
    """The aim of the hardware that a row was made on, all aims before it was run; empty where there is none."""
    aim, found = ROWS[name].aim, made_by(records, name)
    if aim is None:
        return ""
    nll, limit = wanted(aim, found)
    said = f"{nll:.2f}" + (f" in {limit} minutes" if limit else "")
    return said if found or aim.accelerator is None else f"{said}, accelerator {aim.accelerator:.2f}"


def verdict(records, name):
    """Whether a row met the aim of its hardware, and else by how much it missed; empty where nothing is aimed at."""
    aim, found = ROWS[name].aim, made_by(records, name)
    if aim is None or not found:
        return "" if aim is None else "not run"
    nll, limit = wanted(aim, found)
    over = np.mean(list(over_seeds(records, name).values())) - nll
    late = max(r["train_seconds"] for r in found) / 60 - limit if limit else 0.0
    missed = [f"{over:.2f}" if over >= 0.005 else "less than 0.01"] if over > 0 else []
    missed += [f"{late:.0f} minutes" if late >= 1.5 else "a minute"] if late > 0 else []
    return f"missed by {' and '.join(missed)}" if missed else "met"


def summary(records, table):
    """Markdown: the rows of a table, means over seeds; a column that would be blank in all of them is left out."""
    header = ["model", "row", "paper", "aim", "here", "verdict", "minutes", "seeds"]
    rows = []
    for name, row in ROWS.items():
        if row.table != table:
            continue
        values = list(over_seeds(records, name).values())
        digits = 3 if row.metric.endswith("bits_per_dimension") else 2
        paper = f"{row.paper:.2f}" if row.paper else ""
        absent = f"not run: needs {row.files}" if row.files else "not run"
        here = mean(values, digits) if values else absent
        judged = aimed(records, name), here, verdict(records, name), cost(records, name)
        rows.append([row.title, f"`{name}`", paper, *judged, str(len(values))])
    kept = [column for column in range(len(header)) if any(row[column] for row in rows)]
    return markdown_table([header[c] for c in kept], [[row[c] for c in kept] for row in rows])
