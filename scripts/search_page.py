"""Searches for recipes: what is kept of a study, and its part of docs/trials.md, drawn."""

import json
from pathlib import Path

import numpy as np
from results_page import FIGURES, RESULTS

from sbvi.core import UserError
from sbvi.core.atomic import write_atomically
from sbvi.reporting.curves import shown_range
from sbvi.reporting.figures import COLOURS, new_figure, pixels
from sbvi.reporting.images import save_png
from sbvi.reporting.tables import markdown_table
from sbvi.runs.provenance import processor

SEARCHES = RESULTS / "searches"
#: A parameter whose largest value is as many times its smallest is drawn on a logarithmic scale.
LOGARITHMIC = 8


def keep(place):
    """Store the trials of the search in a sweep's directory, by the name of its study.

    Raises:
      UserError: there is no study, or none of its trials completed.
    """
    import optuna

    database = Path(place) / "optuna-study.db"
    if not database.exists():
        raise UserError(f"{place} has no {database.name}: it is not the directory of a search.")
    storage = f"sqlite:///{database.absolute()}"
    names = [summary.study_name for summary in optuna.get_all_study_summaries(storage)]
    if len(names) != 1:
        raise UserError(f"{database} holds {len(names)} studies, and a search has one.")
    study = optuna.load_study(study_name=names[0], storage=storage)
    done = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    if not done:
        raise UserError(f"{place}: no trial of the search completed.")
    records = sorted(Path(place).glob("*/run.json"))
    if not records:
        raise UserError(f"{place} has none of the search's runs any more.")
    run = json.loads(records[0].read_text())
    shown = [word for word in run["command"] if not word.startswith("hydra.sweep.dir=")]
    record = {
        "search": names[0],
        "command": " ".join([Path(shown[0]).name, *shown[1:]]),
        "monitor": monitor(place),
        "trials": [trial(t) for t in done],
        "processor": (run.get("machine") or {}).get("processor") or processor(),
        "device": run.get("device"),
        "versions": run.get("versions"),
        "commit": run.get("commit"),
    }
    SEARCHES.mkdir(parents=True, exist_ok=True)
    write_atomically(SEARCHES / f"{names[0]}.json", (json.dumps(record, indent=1) + "\n").encode())


def monitor(place):
    """The scalar that was searched for the best of."""
    results = (json.loads(path.read_text()) for path in Path(place).glob("*/result.json"))
    return next((result["monitor"] for result in results if "monitor" in result), "validation")


def trial(found):
    return {
        "number": found.number,
        "params": found.params,
        "value": found.value,
        "pruned": bool(found.user_attrs.get("pruned", False)),
        "validations": [[step, value] for step, value in sorted(found.intermediate_values.items())],
        "seconds": found.duration.total_seconds(),
    }


def section():
    """Markdown of every search that is kept: its command, its picture and its trials, best first."""
    parts = []
    for path in sorted(SEARCHES.glob("*.json")):
        record = json.loads(path.read_text())
        name, trials = record["search"], sorted(record["trials"], key=lambda t: -t["value"])
        keys = sorted({key for t in trials for key in t["params"]})
        varied = [key for key in keys if len({str(t["params"].get(key)) for t in trials}) > 1]
        picture = f"search-{name}.png"
        save_png(FIGURES / picture, drawn(record, varied))
        pruned, minutes = sum(t["pruned"] for t in trials), sum(t["seconds"] for t in trials) / 60
        rows = [
            [
                *(shown(t["params"].get(key, "")) for key in varied),
                f"{t['value']:.2f}",
                str(t["validations"][-1][0]) if t["validations"] else "",
                "pruned" if t["pruned"] else "",
                f"{t['seconds'] / 60:.1f}",
            ]
            for t in trials
        ]
        parts += [
            f"## Search `{name}`",
            f"`{record['command']}`: {len(trials)} trials, {pruned} of them pruned; {minutes:.0f} minutes in all, on "
            f"{record['processor']} cores that were shared at times.",
            f"![{name}: the best validation by each setting, and by step; hollow and dashed what was pruned]"
            f"(results/figures/{picture})",
            markdown_table(
                [*(f"`{key}`" for key in varied), f"best `{record['monitor']}`", "steps", "", "minutes"], rows
            ),
        ]
    return parts


def shown(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def drawn(record, varied):
    """Pixels: a panel for each setting, and one of all validations by step."""
    trials = record["trials"]
    values = np.array([t["value"] for t in trials])
    low = float(np.quantile(values, 0.1))  # the worst trials may leave the picture
    limits = (low - 0.1 * (values.max() - low + 1e-9), values.max() + 0.1 * (values.max() - low + 1e-9))
    figure = new_figure(2.6 * (len(varied) + 1), 2.8)
    panels = figure.subplots(1, len(varied) + 1, squeeze=False)[0]
    for axes, key in zip(panels, varied, strict=False):
        for t in (t for t in trials if key in t["params"]):
            face = "none" if t["pruned"] else COLOURS[0]
            axes.scatter([t["params"][key]], [t["value"]], s=22, facecolor=face, edgecolor=COLOURS[0])
        numbers = [t["params"][key] for t in trials if key in t["params"]]
        if all(isinstance(n, float) and n > 0 for n in numbers) and max(numbers) > LOGARITHMIC * min(numbers):
            axes.set_xscale("log")
        axes.set_ylim(*limits)
        axes.set_xlabel(key, fontsize=8)
    panels[0].set_ylabel(f"best {record['monitor']}, nats", fontsize=8)
    curves = [np.array(t["validations"]) for t in trials if t["validations"]]
    for t, curve in zip((t for t in trials if t["validations"]), curves, strict=True):
        panels[-1].plot(*curve.T, color=COLOURS[0], linewidth=1, linestyle="--" if t["pruned"] else "-", alpha=0.7)
    if (around := shown_range(curves)) is not None:
        panels[-1].set_ylim(*around)
    panels[-1].set_xlabel("step", fontsize=8)
    for axes in panels:
        axes.tick_params(labelsize=7)
    return pixels(figure)
