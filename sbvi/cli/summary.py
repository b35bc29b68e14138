"""The end of a run: its numbers, where its files are, and what to do next."""

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sbvi.cli.progress import clock
from sbvi.core.quantities import quantity

#: The share of examples that importance sampling does badly by.
WEIGHTS = "test/khat_above_0.7"
#: Scalars of the final test with what they are called here.
NAMES = {
    "test/nll": "test/nll",
    "test/elbo": "test/elbo",
    "test/nll_geometric": "test/nll of p*",
    "test/exact_nll": "test/exact_nll",
    "test/nll_independent": "test/nll of independent dimensions",
    "test/bits_per_dimension": "bits per dimension",
    WEIGHTS: "share of examples with k-hat above 0.7",
}


def summary(result: Mapping[str, Any], several: bool = False) -> str:
    """Lines `name: value`.

    Args:
      result: result.json, and the run's `directory`, `twice`, the word for a run of twice its length, and `logged`, the
        command that shows what its logger has, where there is one.
      several: whether the run is one of a sweep, after which nothing need be said of what to do next.
    """
    how = " (pruned)" if result.get("pruned") else ""
    lines = [f"status: {result['status']}{how}", *_numbers(result["metrics"], result.get("not_finite", ()))]
    took = f"time: {clock(result['wall_seconds'])}, of which training {clock(result['train_seconds'])}"
    if (speed := result.get("examples_per_second")) is not None:
        took += f" ({speed:,.0f} examples/s once compiled)"
    folder = shown(result["directory"])
    lines += [took, f"directory: {folder}"]
    if result["status"] == "completed" and not several:
        lines += ["next:", *(f"  {line}" for line in _next(result, folder))]
    return "\n".join(lines)


def twice(trainer: Any, result: Mapping[str, Any]) -> str:
    """The word for twice a run's length, in what the length was given in."""
    if trainer.steps is not None:
        return f"trainer.steps={max(1, 2 * result['steps'])}"
    if trainer.examples is not None:
        return f"trainer.examples={max(1, 2 * result['steps']) * trainer.batch_size}"
    return f"trainer.epochs={max(1, round(2 * result['epochs']))}"


def _exact(metrics: Mapping[str, Any]) -> bool:
    """Whether test/nll is by quadrature, which the importance weights say nothing of."""
    return "test/quadrature_error" in metrics


def _numbers(metrics: Mapping[str, Any], odd: Any) -> Iterator[str]:
    for name, called in NAMES.items():
        if name == WEIGHTS and _exact(metrics):
            continue
        value, error = metrics.get(name), metrics.get(f"{name}_stderr")
        if name in odd or (name in metrics and value is None):
            yield f"{called}: not finite"
        elif value is not None:
            known = quantity(name)
            unit = known.unit if known is not None and known.unit not in ("bits", "") else ""
            yield " ".join(part for part in (f"{called}: {value:.2f}{_error(error)}", unit) if part)
    if (accuracy := metrics.get("test/accuracy")) is not None:
        yield f"test accuracy: {100 * accuracy:.2f} %"
    prefix = "test/active_units/"
    if units := {n.removeprefix(prefix): v for n, v in metrics.items() if n.startswith(prefix) and v is not None}:
        yield "active units: " + ", ".join(f"{value:.0f} in {node}" for node, value in units.items())
    if "test/nll" not in metrics:
        bounds = [n for n in ("validation/elbo", "validation/bound", "validation/log_likelihood") if metrics.get(n)]
        yield from (f"{name}: {metrics[name]:.2f} nats" for name in bounds[:1])


def _error(error: Any) -> str:
    return f" +- {error:.2f}" if error is not None else ""


def _next(result: Mapping[str, Any], folder: str) -> Iterator[str]:
    run = shlex.quote(f"run={folder}")
    metrics = result["metrics"]
    if "test/accuracy" in metrics and "test/nll" not in metrics:  # it knows labels alone
        yield f"sbvi-evaluate {run} task=classification"
    else:
        yield f"sbvi-evaluate {run} task=samples"
        heavy = (metrics.get(WEIGHTS) or 0.0) > 0.1 and not _exact(metrics)
        yield f"sbvi-evaluate {run} task={'annealed' if heavy else 'likelihood'}"
    yield f"sbvi-train {shlex.quote(f'resume={folder}')} {result['twice']}"
    above = shlex.quote(str(Path(folder).parent))
    yield f"sbvi-compare {above}"
    if result["logged"] is not None:
        yield result["logged"]


def shown(folder: str) -> str:
    """A directory as one types it from here."""
    relative = os.path.relpath(folder)
    return folder if relative.startswith("..") else relative
