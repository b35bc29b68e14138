"""The chains of a run that draws parameters: traces, effective sample sizes, R-hat, temperature."""

import logging
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from sbvi.core import NonNegativeInt, PositiveInt, UserError, choices, spec
from sbvi.evaluation import Evaluator
from sbvi.evaluation.chains import Summary, summarise
from sbvi.models.values import LatentParams, generative_part
from sbvi.reporting.tables import text_table
from sbvi.reporting.traces import check_arviz, draw_traces, write_arviz
from sbvi.runs.loaded import LoadedRun
from sbvi.runs.memory import abstract_params
from sbvi.tasks.data import run_dataset
from sbvi.tasks.task import TaskResult
from sbvi.training.draws import DrawStack
from sbvi.training.tensor_names import named_leaves

log = logging.getLogger(__name__)

TARGETS = {"temperature": 1.0}


@spec
class ChainTask:
    """Diagnostics of the draws of parameters."""

    split: Literal["train", "validation", "test"] = "train"
    """Examples whose mean log-likelihood is traced."""
    examples: PositiveInt = 100
    """How many of them, evenly spaced over the split."""
    num_samples: PositiveInt = 50
    """Importance samples S for each of them."""
    elements: NonNegativeInt = 4
    """Elements of the generative parameters to trace, evenly spaced over all."""
    named: tuple[str, ...] = ()
    """Elements to trace beside those, by the arrays of the draws' files, as ["generative.0.kernel[3,17]"]."""
    arviz: str | None = None
    """Where to write the chains as an ArviZ dataset (.nc); needs the extra `arviz`."""

    @property
    def title(self) -> str:
        return "chain"

    def run(self, run: LoadedRun) -> TaskResult:
        """Scalars named `chain/<quantity>/...`; arrays (chains, draws), and the draws' steps."""
        if self.arviz is not None:
            check_arviz(self.arviz)
        stack = run.draws
        steps, whole = _aligned(run, stack)
        by_quantity = self._traced(run)
        traces = {n: np.array([[v[p] for p in places] for places in whole.values()]) for n, v in by_quantity.items()}
        summary = summarise(traces)
        scalars = {f"chain/{name}/{part}": value for name, s in summary.items() for part, value in s._asdict().items()}
        about = {"chains": sorted(whole), "stopped": [chain._asdict() for chain in stack.stopped()]}
        if self.arviz is not None:
            own = {n: v for n, v in traces.items() if n.startswith("element_") or n in self.named}
            # Of examples' means: what ArviZ calls log_likelihood has an axis of them.
            rest = {n.replace("log_likelihood", "mean_log_likelihood"): v for n, v in traces.items() if n not in own}
            write_arviz(self.arviz, own, rest)
        pictures = {"chain": draw_traces(traces, TARGETS)}
        beside = [Path(self.arviz)] if self.arviz is not None else []
        arrays = {**traces, "step": np.array(steps)}
        return TaskResult(scalars, arrays, pictures, _table(summary), about, beside=beside)

    def _traced(self, run: LoadedRun) -> dict[str, list[float]]:
        """Quantity -> its value at every draw of the stack."""
        stack, like = run.draws, abstract_params(run.model)
        dataset = run_dataset(run)
        dataset = dataset.with_split(self.split, dataset.evaluated(self.split, self.examples))
        evaluator = Evaluator(run.model, dataset, run.experiment.evaluation, anneals=run.experiment.model.moves_latents)
        by_quantity: dict[str, list[float]] = {}
        for entry in stack.entries():
            params, monitors = stack.load(entry, like)
            nll = evaluator.likelihood(jax.device_put(params), self.split, self.num_samples)["nll"]
            values = {"log_likelihood": -float(np.mean(nll, dtype=np.float64)), **monitors} | self._elements(params)
            for name, value in values.items():
                by_quantity.setdefault(name, []).append(value)
        return by_quantity

    def _elements(self, params: LatentParams) -> dict[str, float]:
        """`element_<place>` among all generative parameters, flattened, and names that were asked for -> its value."""
        flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(generative_part(params))])
        if self.elements > len(flat):
            raise UserError(f"task.elements={self.elements} must be at most {len(flat)}, the parameters there are.")
        places = np.linspace(0, len(flat) - 1, self.elements).round().astype(int)
        return {f"element_{place}": float(flat[place]) for place in places} | {
            name: _named(params, name) for name in self.named
        }


def _aligned(run: LoadedRun, stack: DrawStack) -> tuple[list[int], dict[int, list[int]]]:
    """The steps of the draws that are compared, and of each chain that has them all the places of its draws in the
    stack: of the chains that lack none, or, where each lacks some, of the draws that all have.

    Raises:
      UserError: there are none.
    """
    by_chain: dict[int, dict[int, int]] = {}
    for place, entry in enumerate(stack.entries()):
        by_chain.setdefault(entry.chain, {})[entry.step] = place
    gone = run.lacking()
    cut = by_chain.keys() & {chain for _, chain in gone.draws}
    if cut == by_chain.keys():
        cut = set()
        log.warning("%s; the draws that all chains have are compared.", gone)
    elif cut:
        log.warning("%s; chains that lack some are left out: %s.", gone, ", ".join(map(str, sorted(cut))))
    ended = {one.chain for one in stack.stopped()}
    places = {chain: held for chain, held in by_chain.items() if chain not in cut}
    going = [held.keys() for chain, held in places.items() if chain not in ended]
    # Of a run that was killed some chains may have a newest draw more.
    steps = sorted(set.intersection(*map(set, going)) if going else max(places.values(), key=len))
    if not steps:
        raise UserError(f"{gone}; task=chain needs draws that all chains have.")
    whole = {chain: [held[s] for s in steps] for chain, held in places.items() if held.keys() >= set(steps)}
    if short := places.keys() - whole:
        log.warning("Chains that stopped early are left out: %s.", ", ".join(map(str, sorted(short))))
    return steps, whole


def _named(params: object, name: str) -> float:
    """The element of a name as `generative.0.kernel[3,17]`.

    Raises:
      UserError: no array, or no place in it, has it.
    """
    arrays = named_leaves(params)
    array, _, place = name.removesuffix("]").partition("[")
    if array not in arrays:
        raise choices("task.named", name, [f"{each}[...]" for each in arrays])
    values = np.asarray(arrays[array])
    index = tuple(int(part) if part.strip().isdecimal() else -1 for part in place.split(","))
    if len(index) != values.ndim or any(not 0 <= i < size for i, size in zip(index, values.shape, strict=True)):
        last = ",".join(str(size - 1) for size in values.shape)
        raise UserError(f"task.named={name} must end in a place from [{','.join('0' * values.ndim)}] to [{last}].")
    return float(values[index])


def _table(summary: dict[str, Summary]) -> str:
    rows = [
        [name, f"{s.mean:.4g}", f"{s.deviation:.3g}", f"{s.effective:.1f}", f"{s.rhat:.3f}"]
        for name, s in summary.items()
    ]
    return text_table(["quantity", "mean", "deviation", "effective draws", "R-hat"], rows)
