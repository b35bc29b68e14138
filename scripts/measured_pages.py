"""What the pages on Helmholtz machines and on draws of parameters say of stored runs, between marks in their text.

`scripts/reproduce.py --render` writes them with docs/results.md, whose figures by depth and pictures of evaluations are
made here too.
"""

import re

import numpy as np
from recipes import ROWS, TABLES
from recipes.helmholtz import DEPTHS
from results_page import FIGURES, ROOT, stored, value
from row_summary import mean, over_seeds, spread, summary

from sbvi.core.atomic import write_atomically  # several rows may end at once
from sbvi.inference.convergence import LIMIT as LAW_REACHED
from sbvi.reporting.figures import new_figure, pixels
from sbvi.reporting.images import save_png
from sbvi.reporting.tables import markdown_table

#: Page -> the tables of docs/results.md that it repeats.
PAGES = {"helmholtz.md": ("bihm", "depth"), "sgmcmc.md": ("sgmcmc", "three_layers", "small")}
BEGIN, END = "<!-- rows: rendered by scripts/reproduce.py -->\n", "<!-- end of rows -->"

#: Tables of runs that are told by p*.
GEOMETRIC = ("bihm", "depth")
#: What ± is in a table of rows of one seed and of several.
ERRORS = "±: the standard error over seeds, of one seed over test images."
#: Tables whose rows' pictures stand below them.
PICTURED = ("bihm", "depth", "three_layers", "sgmcmc", "small")

DEPTH_LINES = (
    ("bihm", "test/nll_geometric", "bidirectional Helmholtz machine, -log p*", "o-"),
    ("bihm", "test/nll", "the same, -log p", "o:"),
    ("reweighted_wake_sleep", "test/nll", "reweighted wake-sleep, -log p", "s-"),
)

#: What is told as a difference: a row, and the row that it is seen beside.
COMPARED = (
    ("caltech_sgmcmc", "caltech_reweighted_wake_sleep"),
    ("caltech_sgmcmc_average", "caltech_reweighted_wake_sleep"),
    ("caltech_sgmcmc_cold_average", "caltech_reweighted_wake_sleep"),
    ("caltech_sgmcmc_two", "caltech_reweighted_wake_sleep_two"),
    ("caltech_sgmcmc_two_average", "caltech_reweighted_wake_sleep_two"),
    ("caltech_sgmcmc_two_cold_average", "caltech_reweighted_wake_sleep_two"),
    ("caltech_sgmcmc_two_long", "caltech_reweighted_wake_sleep_two"),
    ("caltech_sgmcmc_two_long_average", "caltech_reweighted_wake_sleep_two"),
    ("sgmcmc_mnist_200x3", "rws_mnist_200x3"),
    ("sgmcmc_mnist_200x3_average", "sgmcmc_mnist_200x3"),
    ("sgmcmc_mnist_200x3_core", "rws_mnist_200x3_core"),
    ("sgmcmc_mnist_200x3_core_average", "rws_mnist_200x3_core"),
    ("sgmcmc_mnist_200x3_core_average", "sgmcmc_mnist_200x3_core"),
    ("small_mnist_sgmcmc", "small_mnist_gradient_ascent"),
    ("small_mnist_sgmcmc_average", "small_mnist_gradient_ascent"),
    ("small_mnist_sgmcmc_cold_average", "small_mnist_gradient_ascent"),
    ("small_mnist_ensemble", "small_mnist_gradient_ascent"),
    ("small_mnist_sgmcmc", "small_mnist_ensemble"),
)


def depth_figure(records):
    """Negative log-likelihood by the number of layers, and which depth was best; None without values."""
    lines = {}
    for algorithm, metric, title, style in DEPTH_LINES:
        by_depth = {n: list(over_seeds(records, f"depth_{algorithm}_{n}", metric).values()) for n in DEPTHS}
        lines[title] = {n: values for n, values in by_depth.items() if values}, style
    if not any(by_depth for by_depth, _ in lines.values()):
        return None
    figure = new_figure(5, 3.2)
    axes = figure.add_subplot()
    said = []
    for title, (by_depth, style) in lines.items():
        if not by_depth:
            continue
        heights = [float(np.mean(values)) for values in by_depth.values()]
        errors = [spread(values) or 0.0 for values in by_depth.values()]
        axes.errorbar(list(by_depth), heights, errors, fmt=style, capsize=3, label=title)
        best = min(by_depth, key=lambda n: np.mean(by_depth[n]))
        said.append(f"{title}: best with {best} layer{'s' if best > 1 else ''}, {mean(by_depth[best])}")
    axes.set_xticks(DEPTHS)
    axes.set_xlabel("layers")
    axes.set_ylabel("test set, nats")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    save_png(FIGURES / "depth.png", pixels(figure))
    return f"![by depth](results/figures/depth.png)\n\n{'; '.join(said)}."


def counted(records, name):
    """With how many importance samples a row's number was estimated: ` (S = 5,000)`; empty where none is told."""
    row = ROWS[name]
    for r in records:
        if r["row"] == (row.of or name):
            if row.work is None:
                return f" (S = {r['samples']:,})" if "test/elbo" in r["metrics"] else ""
            said = re.search(r"task\.num_samples=(\d+)", r["evaluations"][row.work]["command"])
            return f" (S = {int(said[1]):,} each)" if said else ""
    return ""


def differences(records, table):
    """A sentence: rows less those that they are seen beside, of one seed each; None where there are none."""
    said = []
    for name, other in COMPARED:
        if ROWS[name].table != table:
            continue
        one, two = over_seeds(records, name), over_seeds(records, other)
        if pairs := [one[seed] - two[seed] for seed in sorted(one) if seed in two]:
            names = " less ".join(f"`{row}`{counted(records, row)}" for row in (name, other))
            said.append(f"{names} {'+' if np.mean(pairs) > 0 else ''}{mean(pairs)}")
    return f"Nats: {'; '.join(said)}." if said else None


def evaluations(records, table):
    """(record of a run, evaluation's label, its metrics) of every stored evaluation of a table's rows."""
    for r in records:
        row = ROWS.get(r["row"])
        for work in row.works if row is not None and row.table == table else ():
            if work.label in r.get("evaluations", {}):
                yield r, work.label, r["evaluations"][work.label]["metrics"]


def by_row(records, table):
    """(row's name, evaluation's label) -> its metrics over the seeds, in the order of the first seed's."""
    found = {}
    for r, label, metrics in evaluations(records, table):
        found.setdefault((r["row"], label), []).append(metrics)
    return found


def curves(records, table):
    """Markdown: the likelihood by the number of draws or runs, of every row that has it; None where there is none."""
    rows = []
    for (name, label), over in by_row(records, table).items():
        for key in dict.fromkeys(key for metrics in over for key in metrics):
            if found := re.fullmatch(r"test/draws_(\d+)/nll", key):
                values = [metrics[key] for metrics in over if key in metrics]
                errors = [metrics[f"{key}_stderr"] for metrics in over if key in metrics]
                told = mean(values) if len(values) > 1 else f"{values[0]:.2f} ± {errors[0]:.2f}"
                rows.append([f"`{name}`", label, found.group(1), told, str(len(values))])
    shown = markdown_table(["row", "of", "draws or runs", "-log p, nats", "seeds"], rows)
    return f"{shown}\n\n{ERRORS}" if rows else None


def filled(records, table):
    """Markdown: what chains that fill lower halves reached; None where there are none."""
    rows = []
    for (name, label), over in by_row(records, table).items():
        if label == "lower_half":
            errors = [metrics["imputation/rmse"] ** 2 for metrics in over]
            coverage, apart = (_percent(over, f"imputation/{key}") for key in ("coverage", "rhat_above_1.1"))
            rows.append([f"`{name}`", mean(errors, 4), coverage, apart, str(len(over))])
    header = ["row", "mean squared error", "coverage of 90 % intervals", "images whose chains did not meet", "seeds"]
    return markdown_table(header, rows) if rows else None


def _percent(over, key):
    """A share as the mean over seeds; a dash where not each of them tells it."""
    shares = [metrics[key] for metrics in over if key in metrics]
    return f"{100 * np.mean(shares):.0f} %" if len(shares) == len(over) else "-"


def chains(records, table):
    """Markdown: how each chain of draws did; None where there are none."""
    rows = []
    for r, label, m in evaluations(records, table):
        if label == "chain":
            told = ("log_likelihood/rhat", "log_likelihood/effective", "temperature/mean", "thermostat/mean")
            rows.append([f"`{r['row']}`", str(r["seed"]), *(f"{m[f'chain/{key}']:.3g}" for key in told)])
    header = [
        "row",
        "seed",
        "R-hat of the log-likelihood",
        "its effective draws",
        "kinetic temperature",
        "friction of a step",
    ]
    return markdown_table(header, rows) if rows else None


def geometric(records, table):
    """Markdown: -log p* and what it is made of, with standard errors over test images and over draws, of every run of a
    table on p*; None where there are none."""
    rows = []
    if table not in GEOMETRIC:
        return None
    for r in records:
        row, m = ROWS.get(r["row"]), r["metrics"]
        if row is not None and row.table == table and "test/log_z2" in m:
            names = ("test/nll_geometric", "test/nll_geometric_bound", "test/log_z2", "test/nll")
            rows.append([f"`{r['row']}`", str(r["seed"]), *(value(m, name) for name in names), f"{r['samples']:,}"])
    header = ["row", "seed", "-log p*", "-log p~", "2 log Z", "-log p", "S"]
    return markdown_table(header, rows) if rows else None


def reached(metrics):
    """A sentence: how far draws of p* can be trusted; empty of other pictures."""
    if (rhat := metrics.get("samples/rhat")) is not None:
        met = (
            "the chains had met" if rhat <= LAW_REACHED else "the chains had not met, and these are no draws of p* yet"
        )
        return f"R-hat of the chains' means: {rhat:.2f} ({met})."
    if (pool := metrics.get("samples/effective_pool")) is not None:
        return f"Of the 100 draws that each is chosen from, {pool:.1f} count."
    return ""


def pictured(records, table):
    """The pictures of a table's rows, of one seed each, after the command that made it, and what is to be known of
    it."""
    parts, first = [], {}
    for r in records:
        first.setdefault(r["row"], r)
    for r in first.values():
        row = ROWS.get(r["row"])
        for work in row.works if row is not None and row.table == table else ():
            made = r.get("evaluations", {}).get(work.label)
            if made is not None:
                parts.append(f"`{made['command']}`")
                if "picture" in made:
                    parts.append(f"![{row.title}: {work.caption}](results/figures/{made['picture']})")
                parts += [said] if (said := reached(made["metrics"])) else []
    return parts


def sections(records, table):
    """What stands below a table of results beside its notes."""
    parts = [told(records, table) for told in (geometric, differences, curves, filled, chains)]
    if table == "depth":
        parts.append(depth_figure(records))
    return [part for part in parts if part] + (pictured(records, table) if table in PICTURED else [])


def render():
    """Write the blocks of every page of `PAGES`."""
    records = stored()
    for page, tables in PAGES.items():
        path = ROOT / "docs" / page
        before, _, rest = path.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        if not end:
            raise SystemExit(f"{path} lacks the marks {BEGIN.strip()} and {END}")
        parts = []
        for table in tables:
            parts += [f"### {TABLES[table]}", summary(records, table), *sections(records, table)]
        block = "\n\n".join(parts)
        write_atomically(path, f"{before}{BEGIN}\n{block}\n\n{END}{after}".encode())
