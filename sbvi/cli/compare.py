"""sbvi-compare: many runs in one table, best first, with mean and standard error over seeds."""

import csv
import io
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sbvi import __version__
from sbvi.cli.folders import unusable
from sbvi.cli.parsing import Once, Parser
from sbvi.cli.reader import printing, tell
from sbvi.core import UserError
from sbvi.core.configs import spelled
from sbvi.core.imports import uncollected
from sbvi.core.quantities import error_of

#: Pictures of a run that its row of the page shows.
PICTURES = ("samples", "reconstructions", "manifold")


def main() -> None:
    """The entry point of `sbvi-compare`."""
    parser = Parser(
        prog="sbvi-compare",
        description="Compare runs and sweeps, finished or not: best first, grouped over seeds. Runs on different data, "
        "or tested with different numbers of samples, or densities beside probabilities, stand in tables of their own.",
    )
    parser.add_argument("--version", action="version", version=f"sbvi-compare {__version__}")
    parser.add_argument("folders", nargs="+", metavar="DIR", help="run directories, or folders with runs below them")
    parser.add_argument(
        "--metric",
        action=Once,
        help="what to rank by (default: test/nll; without one test/log_loss, or what validation scored by)",
    )
    parser.add_argument("--format", action=Once, default="table", choices=["table", "markdown", "csv", "json"])
    parser.add_argument(
        "--plot",
        action=Once,
        type=Path,
        metavar="FILE",
        help=".png or .pdf: metric against each swept value, and curves",
    )
    parser.add_argument(
        "--html",
        action=Once,
        type=Path,
        metavar="FILE",
        help="a page in one file: a table that sorts, curves and samples of each run",
    )
    try:
        with printing():
            _compare(parser.parse_args())
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except OSError as error:  # of --plot's and --html's folders
        sys.stderr.write(f"{unusable(error, ())}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _compare(given: Any) -> None:
    with uncollected():
        from sbvi.runs.comparison import counted_once, differing, grouped
        from sbvi.runs.sections import check_file, left_keys, metric_of, sections
        from sbvi.runs.summaries import find_runs, read_summary

    check_file("--plot", given.plot, (".png", ".pdf"))
    check_file("--html", given.html, (".html",))
    found = [read_summary(path) for path in find_runs(given.folders)]
    metric, note = metric_of(found, given.metric)
    runs = counted_once(found, metric)
    if note:
        sys.stderr.write(f"{note}\n")
    groups = grouped(runs, metric)
    keys = [*differing(runs, metric), *(["data"] if groups and "data" in groups[0].settings else [])]
    counted = {id(run) for group in groups for run in group.runs}
    others = [run for run in runs if id(run) not in counted]
    left = [[*(_of_run(run, key) for key in keys), run.status, run.why_left(metric), str(run.path)] for run in others]
    apart = sections(groups, metric)
    shown = left_keys(runs, others, apart)
    if given.format == "json":
        tell(_as_json(metric, apart, others))
    elif given.format == "csv":
        header, rows = _rows(groups, keys, metric)
        tell(_as_csv(header, rows, left))
    else:
        tail = [
            [*(_of_run(run, key) for key in shown), *row[len(keys) :]] for run, row in zip(others, left, strict=True)
        ]
        tell(_as_tables(given.format, metric, apart, [*shown, "status", "note", "run"], tail))
    if given.plot is not None:
        _plot(_behind(given.plot), metric, apart)
    if given.html is not None:
        _page(_behind(given.html), metric, apart, others, shown, note)
    for path in (given.plot, given.html):
        if path is not None:
            sys.stderr.write(f"written: {path}\n")


def _behind(path: Path) -> Path:
    """The file that a link leads to, which would be replaced itself."""
    return Path(os.path.realpath(path))


def _of_run(run: Any, key: str) -> str:
    return run.data[:12] if key == "data" else _cell(run.config, key)


def _cell(settings: Mapping[str, Any], key: str) -> str:
    """A setting in a table; nothing where the run has no such key."""
    return spelled(settings.get(key, ""))


def _rows(groups: Sequence[Any], keys: Sequence[str], metric: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of groups."""
    from sbvi.runs.comparison import less_is_better

    best = min if less_is_better(metric) else max
    rows = [
        [
            *(_cell(group.settings, key) for key in keys),
            f"{group.mean:.4f}",
            "" if math.isnan(group.stderr) else f"{group.stderr:.4f}",
            str(len(group.values)),
            str(best(group.runs, key=lambda run: run.metrics[metric]).path),
        ]
        for group in groups
    ]
    return [*keys, metric, "stderr", "n", "best run"], rows


def _as_json(metric: str, apart: Sequence[Any], others: Sequence[Any]) -> str:
    content = {
        "metric": metric,
        "groups": [
            {
                "section": section.title,
                "settings": dict(group.settings),
                "mean": group.mean,
                "stderr": None if math.isnan(group.stderr) else group.stderr,
                "runs": {str(r.path): v for r, v in zip(group.runs, group.values, strict=True)},
            }
            for section in apart
            for group in section.groups
        ],
        "others": [{"run": str(r.path), "status": r.status, "note": r.why_left(metric)} for r in others],
    }
    return json.dumps(content, indent=2)


def _as_csv(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*header[:-1], "status", "note", "run"])
    writer.writerows([*row[:-1], "completed", "", row[-1]] for row in rows)
    writer.writerows([*row[: len(header) - 4], "", "", "", *row[len(header) - 4 :]] for row in left)
    return buffer.getvalue().rstrip("\n")


def _as_tables(
    how: str, metric: str, apart: Sequence[Any], left_header: Sequence[str], left: Sequence[Sequence[str]]
) -> str:
    from sbvi.reporting.tables import markdown_table, text_table

    table = markdown_table if how == "markdown" else text_table
    parts: list[str] = []
    for section in apart:
        title = [f"**{section.title}**" if how == "markdown" else f"{section.title}:", ""] if section.title else []
        parts += [*title, table(*_rows(section.groups, section.keys, metric)), ""]
    if not apart:
        parts = [f"No completed run has {metric} yet.", ""]
    if left:
        parts += [table(left_header, left), ""]
    return "\n".join(parts[:-1])


def _plot(path: Path, metric: str, apart: Sequence[Any]) -> None:
    from sbvi.reporting.comparison import Part, Series, save_comparison
    from sbvi.runs.sections import label

    parts = [
        Part(
            section.title,
            section.keys,
            [
                Series(label(group.settings, section.keys), group.settings, group.values, [r.curve for r in group.runs])
                for group in section.groups
            ],
            sorted({run.monitor for group in section.groups for run in group.runs if run.curve}),
        )
        for section in apart
    ]
    save_comparison(path, metric, parts or [Part("", [], [])])


def _page(
    path: Path, metric: str, apart: Sequence[Any], others: Sequence[Any], shown: Sequence[str], note: str
) -> None:
    """The page; shown: the settings beside runs that are not ranked."""
    from sbvi.core.atomic import write_atomically
    from sbvi.reporting.comparison_page import Row, comparison_page

    tables = [(section.title, list(_page_rows(section, metric))) for section in apart]
    if others:
        unfinished = [
            Row(
                {key: run.config.get(key, "") for key in shown}
                | {"run": str(run.path), "status": run.status, "note": run.why_left(metric)},
                run.curve,
                _pictures(run.path),
                run.config,
                run.monitor,
            )
            for run in others
        ]
        tables.append(("Not ranked", unfinished))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, comparison_page(f"Runs by {metric}", tables, note).encode())


def _page_rows(section: Any, metric: str) -> Iterator[Any]:
    """A row for each run of a section, those of the best setting first."""
    from sbvi.reporting.comparison_page import Row

    for group in section.groups:
        for run, value in zip(group.runs, group.values, strict=True):
            cells = {key: group.settings.get(key, "") for key in section.keys}
            cells |= {
                "seed": run.config.get("seed"),
                metric: value,
                error_of(metric): run.metrics.get(error_of(metric)),
            }
            cells |= {"mean over seeds": group.mean, "run": str(run.path)}
            yield Row(cells, run.curve, _pictures(run.path), run.config, run.monitor)


def _pictures(folder: Path) -> dict[str, Path]:
    """The pictures of a run that are there."""
    places = {name: folder / "figures" / f"{name}.png" for name in PICTURES}
    return {name: place for name, place in places.items() if place.is_file()}


if __name__ == "__main__":
    main()
