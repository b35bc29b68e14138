"""The end of a run: its numbers, where its files are, and what to do next."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sbvi.cli.progress import clock
from sbvi.cli.quoting import word
from sbvi.core.quantities import error_of, monitor_of, quantity

#: The share of examples that importance sampling does badly by.
WEIGHTS = "test/khat_above_0.7"
#: Scalars of the final test, called as in result.json, each with what is said beside its unit.
SCALARS = {
    "test/nll": "",
    "test/elbo": "",
    "test/nll_geometric": "of p*",
    "test/exact_nll": "of the law that drew the data",
    "test/nll_independent": "of independent dimensions",
    "test/bits_per_dimension": "",
    WEIGHTS: "of the examples",
}

#: The part of a run after which its best validation has to come for a longer run to be proposed.
BEST_IN_LAST = 0.75


class Row(NamedTuple):
    """A line of the table: a name, and a number with its error and what follows, or a text alone."""

    name: str
    number: str = ""
    error: str = ""
    text: str = ""


def summary(result: Mapping[str, Any], several: bool = False, job: int | None = None) -> str:
    """A table `name:  value`, of which the numbers stand one below the other, and then what to do next.

    Args:
      result: result.json, and the run's `directory`, `twice`, the word for a run of twice its length, `logged`, the
        command that shows what its logger has, where there is one, `gaps`, the user's file with gaps, where it has been
        trained on one, and `anneals`, whether task=annealed serves it.
      several: whether the run is one of a sweep, after which nothing need be said of what to do next.
      job: its number in the sweep, by which the log's lines and the summaries of several jobs are told apart.
    """
    how = " (pruned)" if result.get("pruned") else ""
    earlier = result.get("earlier_train_seconds") or 0.0
    took = f"{clock(result['wall_seconds'])}, of which training {clock(result['train_seconds'] - earlier)}"
    if earlier:
        took += f" of {clock(result['train_seconds'])} in all"
    if (speed := result.get("examples_per_second")) is not None:
        took += f" ({speed:,.0f} examples/s once compiled)"
    folder = shown(result["directory"])
    rows = [
        *([] if job is None else [Row("job", text=f"#{job}")]),
        Row("status", text=f"{result['status']}{how}"),
        *_numbers(_with_best(result), result.get("not_finite", ())),
        Row("time", text=took),
        Row("directory", text=folder),
    ]
    lines = _aligned(rows)
    if result["status"] == "completed" and not several:
        lines += ["next:", *(f"  {line}" for line in _next(result, folder))]
    return "\n".join(lines)


def _aligned(rows: Sequence[Row]) -> list[str]:
    name, number, error = (max(len(row[i]) for row in rows) for i in range(3))
    lines = []
    for row in rows:
        told = f"{row.error:<{error}} " if error else ""
        cells = f"{row.number:>{number}} {told}{row.text}" if row.number else row.text
        lines.append(f"{row.name + ':':<{name + 1}} {cells}".rstrip())
    return lines


def twice(trainer: Any, result: Mapping[str, Any]) -> str:
    """The word for twice a run's length, as that was given; or of one that ended before it, twice what ended it."""
    done = {"steps": result["steps"], "examples": result["steps"] * trainer.batch_size, "epochs": result["epochs"]}
    if any(getattr(trainer, name) is not None and done[name] < getattr(trainer, name) for name in done):
        minutes = trainer.max_minutes
        if minutes is not None and result["train_seconds"] >= 60 * minutes:
            return f"trainer.max_minutes={2 * minutes:g}"
        if trainer.patience is not None:
            return f"trainer.patience={2 * trainer.patience}"
    if trainer.steps is not None:
        return f"trainer.steps={max(1, 2 * result['steps'])}"
    if trainer.examples is not None:
        return f"trainer.examples={max(1, 2 * result['steps']) * trainer.batch_size}"
    return f"trainer.epochs={max(1, round(2 * result['epochs']))}"


def _with_best(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metrics, of validation's score the one of the parameters that were chosen."""
    monitor, best = result.get("monitor"), result.get("best_validation")
    return result["metrics"] | ({monitor: best} if monitor and best is not None else {})


def _exact(metrics: Mapping[str, Any]) -> bool:
    """Whether test/nll is by quadrature, which the importance weights say nothing of."""
    return "test/quadrature_error" in metrics


def _numbers(metrics: Mapping[str, Any], odd: Any) -> Iterator[Row]:
    scalars = dict(SCALARS)
    if _exact(metrics):
        del scalars[WEIGHTS]
    if "test/nll" not in metrics:
        monitor = monitor_of({name for name, value in metrics.items() if value is not None})
        scalars |= {monitor: ""} if monitor is not None else {}
    for name, about in scalars.items():
        value, error = metrics.get(name), metrics.get(error_of(name))
        if name in odd or (name in metrics and value is None):
            yield Row(name, text="not finite")
        elif value is not None:
            known = quantity(name)
            unit = known.unit if known is not None else ""
            said = f"{unit}, {about}" if unit and about else unit or about
            yield Row(name, f"{value:.2f}", f"+- {error:.2f}" if error is not None else "", said)
    if (accuracy := metrics.get("test/accuracy")) is not None:
        yield Row("test/accuracy", f"{100 * accuracy:.2f}", text="%")
    prefix = "test/active_units/"
    if units := {n.removeprefix(prefix): v for n, v in metrics.items() if n.startswith(prefix) and v is not None}:
        yield Row("active units", text=", ".join(f"{value:.0f} in {node}" for node, value in units.items()))


def _next(result: Mapping[str, Any], folder: str) -> Iterator[str]:
    run = word("run", folder)
    metrics = result["metrics"]
    if "test/accuracy" in metrics and "test/nll" not in metrics:  # it knows labels alone
        yield f"sbvi-evaluate {run} task=classification"
    else:
        if (gaps := result.get("gaps")) is not None:
            filled = _unused("filled") + (".parquet" if gaps.endswith(".parquet") else ".csv")
            yield f"sbvi-evaluate {run} task=imputation {word('task.input', shown(gaps))} task.output={filled}"
        yield f"sbvi-evaluate {run} task=samples"
        heavy = (metrics.get(WEIGHTS) or 0.0) > 0.1 and not _exact(metrics) and result["anneals"]
        yield f"sbvi-evaluate {run} task={'annealed' if heavy else 'likelihood'}"
    if not _over(result):
        yield f"sbvi-train {shlex.quote(f'resume={folder}')} {result['twice']}"
    above = shlex.quote(str(Path(folder).parent))
    yield f"sbvi-compare {above}"
    if result["logged"] is not None:
        yield result["logged"]


def _unused(stem: str) -> str:
    """A name that no file in the working directory begins with, as those of an earlier filling do."""
    name, number = stem, 1
    while any(Path().glob(f"{name}.*")):
        number += 1
        name = f"{stem}_{number}"
    return name


def after_sweep(folder: str) -> str:
    """What to do next when a sweep has ended."""
    return f"next:\n  sbvi-compare {shlex.quote(shown(folder))}"


def _over(result: Mapping[str, Any]) -> bool:
    """Whether validation was best so long before the end that more of the same is not what a run lacks."""
    best = result.get("best_step")
    return best is not None and 0 <= best < BEST_IN_LAST * result.get("steps", 0)


def shown(folder: str) -> str:
    """A directory as one types it from here."""
    relative = os.path.relpath(folder)
    return folder if relative.startswith("..") else relative
