"""Which draws are gone that a run has kept: files that were taken away by hand would be left out without a word."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from sbvi.training.draws import DrawStack, Entry, file_name
from sbvi.training.store import Store

#: Files that a sentence names, at most.
FEW = 3


class Lacking(NamedTuple):
    """draws: (step, chain) of each.  others: how many more, of which the number alone is known.  where: the folder."""

    draws: list[tuple[int, int]]
    others: int
    where: str

    def __str__(self) -> str:
        """What is gone, as the beginning of a sentence."""
        names = [file_name(step, chain) for step, chain in self.draws]
        count = len(names) + self.others
        some = ", ".join(names[:FEW]) + (", ..." if len(names) > FEW else "")
        draws = "a draw" if count == 1 else f"{count} draws"
        return f"{self.where} lacks {draws} that the run kept{': ' * bool(some)}{some}"

    @property
    def any(self) -> bool:
        return bool(self.draws or self.others)


def lacking(store: Store, stack: DrawStack, until: int | None = None) -> Lacking:
    """By what the newest state says of the steps at which draws were kept, by the other chains, and by the number of
    draws that `best` is the mean of.

    until: the step that the run stands at, where that is before its newest state.

    Raises:
      UserError: see `DrawStack.stopped`.
    """
    last, best = store.notes("last"), store.notes("best")  # first: a run that goes on meanwhile adds draws
    limit = last.get("step", math.inf) if until is None else until
    entries, ended = stack.entries(), {one.chain: one.step for one in stack.stopped()}
    there = {(entry.step, entry.chain) for entry in entries}
    chains = sorted({chain for _, chain in there} | ended.keys() or {0})
    gone = [
        (step, chain)
        for step in _due(entries, last)
        for chain in chains
        if step <= limit and step < ended.get(chain, math.inf) and (step, chain) not in there
    ]
    counted = best["step"] if best.get("draws") and best["step"] <= limit else -1
    known = sum(step <= counted for step, _ in (*there, *gone))
    return Lacking(gone, max(best["draws"] - known, 0) if counted >= 0 else 0, str(stack.folder))


def _due(entries: list[Entry], last: Mapping[str, Any]) -> range:
    """The steps at which draws were kept; of states of before, which do not say so, from the first that is there to the
    newest."""
    said = last.get("draws") or {}
    if said.get("after") is not None:
        return range(said["after"] + said["every"], last["step"] + 1, said["every"])
    steps = sorted({entry.step for entry in entries})
    if len(steps) < 2:
        return range(0)
    return range(steps[0], steps[-1] + 1, math.gcd(*(b - a for a, b in pairwise(steps))))
