"""A comparison as one HTML file that needs nothing else: a table that sorts, and each run's curve and pictures."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sbvi.core.configs import spelled
from sbvi.core.quantities import with_unit
from sbvi.reporting.figures import COLOURS

WIDTH, HEIGHT, EDGE = 460, 220, 44


@dataclass(frozen=True)
class Row:
    """One run. cells: the table's columns. curve: (step, value) of `monitor`, what validation scores it by.
    pictures: name -> PNG file. settings: all of them, flat."""

    cells: Mapping[str, Any]
    curve: Sequence[tuple[int, float]] = ()
    pictures: Mapping[str, Path] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    monitor: str = ""


_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; box-sizing: border-box; }
body { width: fit-content; min-width: min(78rem, 100%); max-width: 100%; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid #8884; vertical-align: top; }
th button { font: inherit; font-weight: 600; background: none; border: 0; padding: 0; color: inherit; cursor: pointer; }
th button { white-space: nowrap; } th button:hover { text-decoration: underline; }
th button::after { content: " \\21C5"; opacity: .45; }
th[aria-sort=ascending] button::after { content: " \\25B2"; opacity: 1; }
th[aria-sort=descending] button::after { content: " \\25BC"; opacity: 1; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.run { cursor: pointer; } tr.run:hover, tr.run:focus-within { background: #8882; }
button.open { float: left;
  font: inherit; background: none; border: 0; padding: 0 .4em 0 0; color: inherit; cursor: pointer; }
button.open::before { content: "\\25B8"; } button.open[aria-expanded=true]::before { content: "\\25BE"; }
tr.more > td { padding: 1rem; } .side { display: flex; gap: 1.5rem; flex-wrap: wrap; }
.side { position: sticky; left: 1rem; width: fit-content; max-width: min(74rem, calc(100vw - 5rem)); }
img, svg { max-width: 100%; } img { max-height: 420px; } svg { height: auto; }
figure { margin: 0; max-width: 100%; } figcaption { opacity: .7; } details { max-width: 100%; }
pre { font-size: 12px; overflow: auto; max-height: 16rem; }
svg text { fill: currentColor; font-size: 11px; }
"""

_SCRIPT = """
const value = cell => cell.dataset.value === "" ? null : JSON.parse(cell.dataset.value);
const sort = (table, column, descending) => {
  const body = table.tBodies[0], pairs = [];
  for (const row of body.querySelectorAll("tr.run")) pairs.push([row, row.nextElementSibling]);
  pairs.sort(([a], [b]) => {
    const x = value(a.cells[column]), y = value(b.cells[column]);
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
    return descending ? -order : order;
  });
  for (const pair of pairs) body.append(...pair);
  [...table.tHead.rows[0].cells].forEach((head, i) =>
    head.setAttribute("aria-sort", i === column ? (descending ? "descending" : "ascending") : "none"));
};
for (const table of document.querySelectorAll("table.runs")) {
  [...table.tHead.rows[0].cells].forEach((head, i) => head.querySelector("button").addEventListener("click", () =>
    sort(table, i, head.getAttribute("aria-sort") === "ascending")));
  for (const row of table.querySelectorAll("tr.run")) {
    // The mark is a button, so that keys reach it; its clicks come here too.
    row.addEventListener("click", () => {
      const more = row.nextElementSibling;
      more.hidden = !more.hidden;
      row.querySelector("button.open").setAttribute("aria-expanded", String(!more.hidden));
    });
  }
}
const asked = new URLSearchParams(location.hash.slice(1));
if (asked.has("sort")) for (const table of document.querySelectorAll("table.runs")) {
  const heads = [...table.tHead.rows[0].cells].map(head => head.innerText);
  if (heads.includes(asked.get("sort"))) sort(table, heads.indexOf(asked.get("sort")), asked.has("descending"));
}
"""


def comparison_page(title: str, tables: Sequence[tuple[str, Sequence[Row]]], note: str = "") -> str:
    """The page's text.

    Args:
      tables: title and rows of each table; rows of one table have the same columns.
      note: a sentence above them.
    """
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if note:
        parts.append(f"<p>{html.escape(note)}</p>")
    parts.append(
        "<p>A click on a heading (\u21c5) sorts by it; one on a run (\u25b8) shows its curve, pictures and "
        "settings.</p>"
    )
    for name, rows in tables:
        parts += [f"<h2>{html.escape(name)}</h2>"] if name else []
        parts.append(_table(rows))
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body>{body}\n<script>{_SCRIPT}</script></body></html>\n"
    )


def _table(rows: Sequence[Row]) -> str:
    columns = list(rows[0].cells) if rows else []
    heads = "".join(f'<th aria-sort="none"><button>{html.escape(column)}</button></th>' for column in columns)
    body = "\n".join(_row(row, columns) for row in rows)
    table = f'<table class="runs"><thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody></table>'
    return f'<div class="wide">{table}</div>'  # which scrolls by itself where the window is narrow


def _row(row: Row, columns: Sequence[str]) -> str:
    cells = "".join(
        _cell(row.cells[column], _MARK if column == columns[0] else "", column in row.settings) for column in columns
    )
    more = [_curve(row.curve, row.monitor)] if row.curve else []
    more += [_picture(name, path) for name, path in row.pictures.items()]
    settings = "\n".join(f"{key}: {json.dumps(value)}" for key, value in row.settings.items())
    more.append(f"<details><summary>settings</summary><pre>{html.escape(settings)}</pre></details>")
    return (
        f'<tr class="run">{cells}</tr>\n<tr class="more" hidden><td colspan="{len(columns)}">'
        f'<div class="side">{"".join(more)}</div></td></tr>'
    )


#: What opens a run, in its first cell.
_MARK = '<button class="open" aria-expanded="false" aria-label="curve, pictures and settings"></button>'


def _cell(value: Any, mark: str, setting: bool) -> str:
    data = "" if value is None else html.escape(json.dumps(value), quote=True)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    shown = html.escape(_shown(value, setting))
    return f'<td data-value="{data}"{" class=number" if number else ""}>{mark}{shown}</td>'


def _shown(value: Any, setting: bool) -> str:
    """A setting as the command line has it, and what was measured to four digits."""
    if setting or isinstance(value, str):
        return spelled(value)
    if isinstance(value, float):
        return f"{value:g}" if 0 < abs(value) < 0.01 else f"{value:.4f}"
    return "" if value is None else str(value)


def _picture(name: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img alt="{html.escape(name)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{html.escape(name)}</figcaption></figure>"


def _curve(points: Sequence[tuple[int, float]], monitor: str) -> str:
    """A curve as SVG, with the values at its ends."""
    steps, values = [p[0] for p in points], [p[1] for p in points]
    low, high = min(values), max(values)
    span, length = (high - low) or 1.0, (max(steps) - min(steps)) or 1
    places = [
        (
            EDGE + (step - min(steps)) / length * (WIDTH - EDGE - 8),
            8 + (high - value) / span * (HEIGHT - EDGE),
        )
        for step, value in points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{COLOURS[0]}"/>' for x, y in places[-40:])
    floor = HEIGHT - EDGE + 24
    return (
        f'<figure><svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(monitor)}">'
        f'<polyline points="{path}" fill="none" stroke="{COLOURS[0]}" stroke-width="1.5"/>{dots}'
        f'<text x="0" y="14">{high:.2f}</text><text x="0" y="{HEIGHT - EDGE + 10}">{low:.2f}</text>'
        f'<text x="{EDGE}" y="{floor}">step {min(steps)}</text>'
        f'<text x="{WIDTH - 8}" y="{floor}" text-anchor="end">{max(steps)}</text></svg>'
        f"<figcaption>{html.escape(with_unit(monitor))}</figcaption></figure>"
    )
