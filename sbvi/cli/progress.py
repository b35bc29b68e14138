"""How far a run has come, for the terminal."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

log = logging.getLogger("sbvi")


@contextmanager
def progress_bar(runs: int = 1) -> Iterator[Any]:
    """One progress bar on a terminal; elsewhere a line for each tenth. Several runs, each in a thread of
    its own, count together."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    bar: Any = None
    tenth = -1
    steps: dict[int, int] = {}
    turn = threading.Lock()

    def show(plan: Any, progress: Any, values: Mapping[str, float], monitor: str) -> None:
        nonlocal bar, tenth
        reached, speed = values[f"train/{monitor}"], values["train/examples_per_second"]
        with turn:
            steps[threading.get_ident()] = progress.step
            done, total = sum(steps.values()), runs * plan.total_steps
            if bar is None:
                # disable=None: only on a terminal.
                bar = tqdm(total=total, initial=0, disable=None, unit="step", leave=False)
            if not bar.disable:
                bar.set_postfix_str(f"{monitor} {reached:.2f}, {speed:,.0f} examples/s", refresh=False)
                bar.update(done - bar.n)
            elif (now := 10 * done // total) > tenth:
                tenth = now
                log.info("step %d of %d: %s %.2f, %s examples/s", done, total, monitor, reached, f"{speed:,.0f}")

    with logging_redirect_tqdm():
        yield show
    if bar is not None:
        bar.close()
