"""docs/results.md and its figures, from the files in docs/results/ alone."""

import json
from pathlib import Path

import numpy as np
from recipes import HEADLINE, NOTES, ROWS, TABLES
from row_summary import accelerator, aimed, cores, hardware, mean, minutes, over_seeds, spread, summary, verdict

from sbvi.core.atomic import write_atomically
from sbvi.reporting.figures import new_figure, pixels
from sbvi.reporting.images import save_png
from sbvi.reporting.tables import markdown_table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
FIGURES = RESULTS / "figures"
CIRCUITS = ROOT / "docs" / "circuits"


def stored():
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]


def value(metrics, name):
    """A number with its standard error; empty where there is none, as of an exact model's bound."""
    if name not in metrics:
        return ""
    return f"{metrics[name]:.2f} ± {metrics[name + '_stderr']:.2f}"


def samples(metrics, split, record):
    """How many samples estimated the likelihood, or quadrature did; a model without a bound knows it exactly."""
    if f"{split}/quadrature_error" in metrics:
        return "quadrature"
    if f"{split}/nll" not in metrics:  # it knows labels alone
        return ""
    return str(record["samples"]) if f"{split}/elbo" in metrics else "exact"


def tails(metrics, split):
    """The share of examples whose weights' tail is too heavy, in percent; a dash where a run did not tell it yet."""
    share = metrics.get(f"{split}/khat_above_0.7")
    if share is not None:
        return f"{100 * share:.0f} %"
    return "-" if f"{split}/elbo" in metrics else ""


def versus(records, table, stage=""):
    """A sentence: rank-one less diagonal, runs of one seed against each other; None where there are none.

    stage: "_fine" for the runs that go on from those with more samples.
    """
    names = [f"{table}_{family}{stage}" for family in ("rank_one", "diagonal")]
    if not all(name in ROWS for name in names):
        return None
    one, other = (over_seeds(records, name) for name in names)
    pairs = {seed: one[seed] - other[seed] for seed in sorted(one) if seed in other}
    if not pairs:
        return None
    each = ", ".join(f"{difference:+.2f} (seed {seed})" for seed, difference in pairs.items())
    end = f"; mean {mean(list(pairs.values()))}" if len(pairs) > 1 else ""
    return f"Rank-one less diagonal{', with more samples' if stage else ''}, nats: {each}{end}."


def bars(records):
    """The bar chart of figure 2(c), means over seeds; None without values."""
    rows = []
    for name, row in ROWS.items():
        runs = [r["metrics"] for r in records if r["row"] == name]
        if row.table == "figure2c" and runs:
            values = [metrics["test/nll"] for metrics in runs]
            rows.append((row.title, float(np.mean(values)), spread(values) or runs[0]["test/nll_stderr"]))
    if not rows:
        return None
    rows.sort(key=lambda row: row[1])
    titles, heights, errors = zip(*rows, strict=True)
    figure = new_figure(5, 3.2)
    axes = figure.add_subplot()
    axes.bar(titles, heights, yerr=errors, color="tab:blue", width=0.6, capsize=4)
    axes.set_ylim(min(heights) - 5, max(heights) + 3)
    axes.set_ylabel("test -log p(v), nats")
    save_png(FIGURES / "figure2c.png", pixels(figure))
    return (
        "![figure 2(c)](results/figures/figure2c.png)\n\n*Error bars: the standard error over seeds, or with one seed "
        "that over test examples.*"
    )


def figures(records):
    parts = []
    for name, row in ROWS.items():
        if row.table != "figures":
            continue
        parts.append(f"### {row.title}")
        if row.beside and (CIRCUITS / row.beside).exists():
            parts.append(json.loads((CIRCUITS / row.beside).read_text())["says"])
        runs = [r for r in records if r["row"] == name]
        if not runs:
            parts.append(f"Not run here: it needs {row.files}." if row.files else "Not run yet.")
        for r in runs:
            for work in row.works:
                made = r.get("evaluations", {}).get(work.label)
                if made is None:
                    continue
                numbers = ", ".join(f"{key} {number:.4g}" for key, number in made["metrics"].items())
                parts.append(f"{work.caption}.\n`{made['command']}`; {numbers}.")
                if "picture" in made:
                    parts.append(f"![{work.caption}](results/figures/{made['picture']})")
    return parts


def runs(records):
    rows, shown = [], set()
    for r in records:
        m = r["metrics"]
        if not m or r["command"] in shown:  # one run may serve several rows
            continue
        shown.add(r["command"])
        bits = f"{m['test/bits_per_dimension']:.3f}" if "test/bits_per_dimension" in m else ""
        units = sorted((len(key), key) for key in m if key.startswith("test/active_units/"))  # layer_2 before layer_10
        active = "+".join(str(m[key]) for _, key in units)
        numbers = [value(m, "test/nll"), value(m, "test/elbo"), bits, active, samples(m, "test", r), tails(m, "test")]
        made_on = accelerator(r) or ", ".join(filter(None, (r["processor"], cores(r))))
        rows.append([f"`{r['command']}`", str(r["seed"]), *numbers, minutes(r["train_seconds"]), made_on])
    header = ["command", "seed", "test NLL", "test ELBO", "bits/dim", "active units", "S", "k-hat > 0.7"]
    header += ["minutes", "hardware"]
    return markdown_table(header, rows) if rows else "None yet."


def headline():
    """Markdown: the rows that the README leads with, of those that were run; the first seed of each."""
    records, rows = stored(), []
    for name, published in HEADLINE.items():
        record = next((r for r in records if r["row"] == name), None)
        if record is not None:
            here = value(record["metrics"], ROWS[name].metric)
            aim = f"{aimed([record], name)}: {verdict([record], name)}" if ROWS[name].aim else ""
            cost = f"{minutes(record['train_seconds'])}, {hardware(record)}"
            rows.append([ROWS[name].title, f"`{record['command']}`", here, published, aim, cost])
    header = ["model", "command", "test NLL here, nats", "published beside it", "aim", "minutes"]
    return markdown_table(header, rows)


def trials():
    """Markdown: the settings that were compared on validation data."""
    records = [json.loads(path.read_text()) for path in (RESULTS / "trials").glob("*.json")]
    records.sort(key=lambda r: r["metrics"]["validation/nll"])
    rows = []
    for r in records:
        settings = " ".join(f"`{word}`" for word in r["settings"])
        m = r["metrics"]
        bound = f"{m['validation/elbo']:.2f}" if "validation/elbo" in m else ""
        images = f"{r['examples']:,}" if "examples" in r else ""
        numbers = [value(m, "validation/nll"), bound, images, samples(m, "validation", r)]
        rows.append([settings, *numbers, minutes(r["train_seconds"])])
    header = ["settings, beside `dataset=mnist dataset.binarization=static`", "NLL", "ELBO", "images", "S", "minutes"]
    return markdown_table(header, rows) if rows else "None yet."


def render(sections, searches):
    """Ours beside the paper's, the figures, and every run with its command; and the page of trials.

    sections: what (records, table) has below a table, paragraphs. searches: paragraphs of the page of trials.
    """
    records = stored()
    parts = [
        "# Results",
        "*Rendered by `scripts/reproduce.py --render` from `docs/results/`; no measured number here is typed by hand. "
        "A row is made again by `scripts/reproduce.py ROW`.*",
        "`paper` is a published value, `here` the mean over seeds. `aim` is the greatest number wanted here on the "
        "hardware that a row was made on, two CPU cores or an accelerator (the recipe's head tells both), and the "
        "verdict compares the mean with it. `minutes` are of training, from the fastest seed to the slowest, with "
        "those of the start that the run had; CPU is one or two of its cores, where the record does not say how many.",
    ]
    for table, title in TABLES.items():
        parts.append(f"## {title}")
        if table == "figures":
            parts += figures(records)
            continue
        parts.append(summary(records, table))
        parts += [NOTES[table]] if table in NOTES else []
        parts += [sentence for stage in ("", "_fine") if (sentence := versus(records, table, stage))]
        if table == "figure2c" and (chart := bars(records)):
            parts.append(chart)
        parts += sections(records, table)
    parts += [
        "A mean over seeds has, with more than one, its standard error over them.",
        "## Every run",
        runs(records),
        "The standard error beside a number is that over test examples. k-hat > 0.7: the share of test examples whose "
        "importance weights have so heavy a tail that the estimate may be too high by more than that error; a dash "
        "where a run was made before this was told. Minutes are of training, with those of "
        "the run that it starts from, on cores or one accelerator that other runs shared at times.",
    ]
    write_atomically(ROOT / "docs" / "results.md", ("\n\n".join(parts) + "\n").encode())
    tried = [
        "# Trials",
        "*Rendered by `scripts/reproduce.py --render` from `docs/results/searches/` and `docs/results/trials/`.*",
        *searches,
        "## One by one",
        "Settings are chosen on the validation set with short runs: these, best first. They rank settings and are "
        "no results. Minutes are of one core that was shared at times. Errors of 0.4 and more are of a part of the "
        "10,000 images, in rows that do not say of how many. Those with "
        "`objective.estimator=doubly_reparameterised` and a warm-up among their settings were made before that "
        "gradient was right at KL weights other than 1 (the factor on a path was v in place of v + (1 - c) (1 - "
        "v)), so that their warm-up followed a biased one.",
        trials(),
    ]
    write_atomically(ROOT / "docs" / "trials.md", ("\n\n".join(tried) + "\n").encode())
