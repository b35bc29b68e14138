"""The section of docs/performance.md on the time to a validation bound."""

import numpy as np
from measured import verdict

from sbvi.reporting.tables import markdown_table

TO_BOUND = 1.2  # NumPyro's seconds over ours


def _faster(cases, ours, kind, bound):
    """Median of NumPyro's seconds to a bound over those of ours; None where a round did not reach it."""
    ours, theirs = ([row["seconds"][bound] for row in cases[name][kind]] for name in (ours, "numpyro"))
    return None if None in (*ours, *theirs) else float(np.median(theirs) / np.median(ours))


def _good(cases, ours, kind, bounds, ratios):
    """The word on all bounds. One that neither met in its time says nothing, one that ours alone missed does."""
    met = [all(row["seconds"][bound] is not None for row in cases[ours][kind]) for bound in bounds]
    theirs = [all(row["seconds"][bound] is not None for row in cases["numpyro"][kind]) for bound in bounds]
    if any(r < TO_BOUND for r in ratios if r is not None) or any(t and not m for m, t in zip(met, theirs, strict=True)):
        return verdict(False)
    return verdict(True) if None not in ratios else "not known at each"


def _seconds_to_bounds(record):
    """One processor's tables: seconds to every bound, and NumPyro's over those of ours."""
    bounds = [str(bound) for bound in record["bounds"]]
    rows = []
    for program, kinds in record["cases"].items():
        for kind, rounds in kinds.items():
            cells = [f"{program}, {kind}"]
            for bound in bounds:
                seconds = [row["seconds"][bound] for row in rounds]
                known = [value for value in seconds if value is not None]
                missed = f" ({len(seconds) - len(known)} of {len(seconds)} not)" if len(known) < len(seconds) else ""
                cells.append(f"{np.median(known):.1f}{missed}" if known else "not reached")
            rows.append([*cells, f"{max(row['best'] for row in rounds):.2f}"])
    heads = ["process", *(f"to -{float(bound):g}" for bound in bounds), "best bound met"]
    over = []
    for ours, kind in [(p, kind) for p in ("sbvi", "unaveraged") for kind in ("cold", "warm")]:
        if {ours, "numpyro"} <= set(record["cases"]):
            ratios = [_faster(record["cases"], ours, kind, bound) for bound in bounds]
            good = _good(record["cases"], ours, kind, bounds, ratios)
            over.append([f"{ours}, {kind}", *("-" if r is None else f"{r:.2f}" for r in ratios), f"{TO_BOUND}", good])
    compared = ["NumPyro's seconds over those of", *(f"to -{float(bound):g}" for bound in bounds), "wanted at each", ""]
    said = f"\n\n{markdown_table(compared, over)}" if over else ""
    return markdown_table(heads, rows) + said


def section(record):
    """Seconds to validation bounds, as scripts/benchmark_time_to_nll.py measured them.

    Raises:
      ValueError: a processor's are of another network or other settings than those that the text tells.
    """
    sizes, how = "-".join(map(str, record["network"])), record["settings"]
    parts = []
    for part in (record, *record.get("elsewhere", {}).values()):
        if (part["network"], part["settings"]) != (record["network"], how):
            raise ValueError(f"{part['processor']} trained another network or with other settings; measure it anew")
        count = len(next(iter(part["cases"].values()))["cold"])
        rounds = f"{count} alternating round{'s' * (count > 1)}"
        parts.append(f"{part['processor']}, {part['cores']} cores, {rounds} (`{part['command']}`):")
        parts.append(_seconds_to_bounds(part))
    measured = "\n\n".join(parts)
    return f"""
## Time to a number

Seconds from the start of a process to a validation bound on static MNIST, start included, medians over rounds. All
programs train the network {sizes} (ReLU) in batches of {how["batch"]} by AdamW with decay
{how["weight_decay"]}, its rate a cosine from
{how["learning_rate"]} over {how["epochs"]} epochs,
with {how["dropout"]:.0%} of the inputs dropped and the KL term warmed up over
{how["warmup_epochs"]} epochs, and validate once an epoch. Cold: no compiled program is kept from before; warm: those of
the process before. A process ends with the last bound or its time. Bounds are of a moving average of the weights
with decay {how["average"]} where the library has one, `optimizer.average` of sbvi and AveragedModel of PyTorch;
`unaveraged` is sbvi without it.

{measured}
"""
