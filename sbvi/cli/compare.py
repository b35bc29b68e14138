"""sbvi-compare: many runs in one table, best first, with mean and standard error over seeds."""

import argparse
import csv
import io
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sbvi.core import UserError


def main() -> None:
    """The entry point of `sbvi-compare`."""
    parser = argparse.ArgumentParser(
        prog="sbvi-compare",
        description="Compare runs and sweeps, finished or not: best first, grouped over seeds.",
    )
    parser.add_argument("folders", nargs="+", metavar="DIR", help="run directories, or folders with runs below them")
    parser.add_argument("--metric", default="test/nll", help="what to rank by (default: %(default)s)")
    parser.add_argument("--format", default="table", choices=["table", "markdown", "csv", "json"])
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="metric against each swept value, and curves")
    given = parser.parse_args()
    try:
        _compare(given)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


def _compare(given: Any) -> None:
    from sbvi.runs.comparison import counted_once, differing, find_runs, grouped, less_is_better, read_summary

    if given.plot is not None and given.plot.suffix != ".png":
        raise UserError(f"--plot {given.plot} must end in .png.")
    runs = counted_once([read_summary(path) for path in find_runs(given.folders)])
    groups = grouped(runs, given.metric)
    keys = [*differing(runs), *(["data"] if groups and "data" in groups[0].settings else [])]
    counted = {id(run) for group in groups for run in group.runs}
    others = [run for run in runs if id(run) not in counted]
    header = [*keys, given.metric, "stderr", "n", "best run"]
    best = min if less_is_better(given.metric) else max
    rows = [
        [
            *(_cell(group.settings[key]) for key in keys),
            f"{group.mean:.4f}",
            "" if math.isnan(group.stderr) else f"{group.stderr:.4f}",
            str(len(group.values)),
            str(best(group.runs, key=lambda run: run.metrics[given.metric]).path),
        ]
        for group in groups
    ]
    left = [
        [*(_cell(_setting(run, key)) for key in keys), run.status, run.note or f"has no {given.metric}", str(run.path)]
        for run in others
    ]
    print(_written(given.format, given.metric, header, rows, [*keys, "status", "note", "run"], left, groups, others))
    if given.plot is not None:
        from sbvi.reporting.comparison import draw_comparison
        from sbvi.reporting.images import save_png

        points = [(group.settings, group.values) for group in groups]
        curves = [(str(run.path.name), run.curve) for run in runs if run.curve]
        save_png(given.plot, draw_comparison(given.metric, keys, points, curves))


def _setting(run: Any, key: str) -> Any:
    return run.data[:12] if key == "data" else run.config.get(key)


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _written(
    how: str,
    metric: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    left_header: Sequence[str],
    left: Sequence[Sequence[str]],
    groups: Sequence[Any],
    others: Sequence[Any],
) -> str:
    from sbvi.reporting.tables import markdown_table, text_table

    if how == "json":
        content = {
            "metric": metric,
            "groups": [
                {
                    "settings": dict(group.settings),
                    "mean": group.mean,
                    "stderr": None if math.isnan(group.stderr) else group.stderr,
                    "runs": {str(r.path): v for r, v in zip(group.runs, group.values, strict=True)},
                }
                for group in groups
            ],
            "others": [{"run": str(r.path), "status": r.status, "note": r.note} for r in others],
        }
        return json.dumps(content, indent=2)
    if how == "csv":
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow([*header[:-1], "status", "note", "run"])
        writer.writerows([*row[:-1], "completed", "", row[-1]] for row in rows)
        writer.writerows([*row[: len(header) - 4], "", "", "", *row[len(header) - 4 :]] for row in left)
        return buffer.getvalue().rstrip("\n")
    table = markdown_table if how == "markdown" else text_table
    parts = [table(header, rows)] if rows else [f"No completed run has {metric} yet."]
    if left:
        parts += ["", table(left_header, left)]
    return "\n".join(parts)


if __name__ == "__main__":
    main()
