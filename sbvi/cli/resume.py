"""resume=DIR of `sbvi-train`: what a run's own run.json and the words beside it ask for."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sbvi.cli import hydra_app, resolved
from sbvi.cli.quoting import text
from sbvi.cli.tilde import expanded, home
from sbvi.core import UserError
from sbvi.core.imports import uncollected


def resumed(named: Sequence[str], rest: Sequence[str]) -> tuple[Any, Path, bool]:
    """The experiment of a run that is gone on with, on other devices and for longer where asked; its directory; and
    whether anything of its own, such as its length, was given anew.

    Hydra has no part in it, so that what the command logs goes to the run's own file from here.

    named: the words resume=DIR. rest: all others.

    Raises:
      UserError: there is no run, or something is given of which it cannot go on with another.
    """
    odd = [word for word in rest if "=" not in word] + list(named[1:])
    if odd:
        raise UserError(f"resume=DIR takes KEY=VALUE beside it, and {odd[0]} was given; name one run.")
    if named[0] == "resume=":  # as of a shell's variable that is not set
        raise UserError("resume= names no run: give resume=DIR, the directory of one.")
    # What trains takes seconds to import: words that cannot be meant are answered before.
    with uncollected():
        from sbvi.runs import Experiment
        from sbvi.runs.changes import changed, check_may_change, is_elsewhere
        from sbvi.runs.directory import RunDirectory
        from sbvi.runs.whereabouts import PLACE, located

    folder = Path(home(text(named[0].partition("=")[2])))
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s] %(message)s", datefmt="%H:%M:%S")
    for name in ("absl", "jax", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)
    pairs = {key: value for key, _, value in (word.partition("=") for word in expanded(rest))}
    for key, value in pairs.items():
        check_may_change(key, value)
    config = RunDirectory(folder).read_run()["config"]
    hydra_app.log_to(folder)
    values = {key: text(value) if key == PLACE else resolved.literal(key, value) for key, value in pairs.items()}
    experiment = located(Experiment.from_config(changed(config, values), recorded=True), folder)
    return experiment, folder, not all(map(is_elsewhere, values))
