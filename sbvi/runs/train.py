"""One run in its directory: started, gone on with or complete already; how it failed is recorded."""

import contextlib
import json
import logging
import time
from pathlib import Path
from typing import Any

import jax

from sbvi.core import UserError, processes
from sbvi.core.errors import reason
from sbvi.core.interrupts import signal_of
from sbvi.core.plugins import telling
from sbvi.core.precision import in_float32
from sbvi.runs import runtime
from sbvi.runs.assembly import Assembly, data_record
from sbvi.runs.changes import MAY_CHANGE, difference, identity
from sbvi.runs.context import RunContext, Show, recall
from sbvi.runs.directory import RunDirectory
from sbvi.runs.experiment import Experiment
from sbvi.runs.provenance import provenance
from sbvi.runs.records import check_ended
from sbvi.runs.stages import run_stages
from sbvi.runs.unchanged import check_unchanged
from sbvi.runs.whereabouts import PLACE, check_same, check_there, same_place
from sbvi.runs.words import flat, words

log = logging.getLogger(__name__)

#: What each process of a run may be told by itself.
OF_A_PROCESS = ("runtime.process", "runtime.coordinator")
#: Settings by which a directory's run is another that are told, at most.
TOLD = 3


@in_float32
@telling()
def train(
    experiment: Experiment, folder: Path | str, show: Show | None = None, session: RunContext | None = None
) -> dict[str, Any]:
    """Train and test one experiment in a directory; go on where an earlier session of it stopped.

    Args:
      experiment: what to run.
      folder: the run's directory; made when absent.
      show: called with (plan, progress, scalars, name of the monitored scalar) after every log point.
      session: what the run shares with others.

    Returns:
      The content of result.json.

    Raises:
      UserError: the directory holds another run, is in use, or the run failed; in the last case
        result.json says so too.
    """
    session = session or RunContext()
    experiment.logger.check()
    runtime.apply(experiment.runtime)
    directory = RunDirectory(folder, writes=processes.first())
    if not directory.writes:  # one process speaks
        show = None
        logging.getLogger("sbvi").setLevel(logging.ERROR)
    processes.check_same(str(Path(folder).absolute()), "directory; set hydra.run.dir")
    _check_config(experiment.to_config())
    if not directory.has_run():
        experiment.check()
    with directory.locked(session.patience, session.stop):
        processes.wait("locked")
        config = experiment.to_config()
        begun, what = directory.has_run(), {}
        if not begun and (others := directory.others()):
            some = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
            log.warning("%s is no run and holds %s; the run's files are put beside them.", directory.path, some)
        if begun:
            what = _differences(directory, config, session.longer)
            result = directory.read_result()
            # A pruned run goes on to its length where nothing prunes it.
            pruned = result is not None and result.get("pruned", False)
            left = set(what) - {PLACE} or (pruned and session.trial is None)
            if result is not None and result.get("status") == "completed" and not left:
                check_ended(result, directory.path / "result.json")
                check_unchanged(directory, experiment, what, result["steps"], session.shared)
                if session.found is not None:
                    session.found(experiment, str(directory.read_run()["data"].get("digest")))
                recall(session.trial, directory.path, result.get("monitor", ""), result["steps"], pruned)
                log.info("%s is completed already; nothing is left to do.", directory.path)
                return result
        began = time.monotonic()
        known = directory.read_run() if begun else {}
        if begun and PLACE not in what:
            check_there(experiment, directory.path)
        assembly = Assembly.build(experiment, session.shared, known.get("structure"), known.get("data"))
        data = data_record(assembly.dataset)
        processes.check_same(str(data["digest"]), "data")
        record = None
        if not begun:  # of several processes all have read what stands there
            learned = {} if assembly.structure is None else {"structure": assembly.structure}
            known_by = {"identity": identity(config, str(data["digest"]))}
            read = {} if assembly.stamp is None else {"data_file": dict(assembly.stamp)}
            record = {"config": config, "data": data, **read, **known_by, **learned, **provenance(session.command)}
        else:
            check_same(experiment, directory.path, known["data"], data)
        if session.found is not None:
            session.found(experiment, str(data["digest"]))
        try:
            with telling():
                result = run_stages(assembly, directory, show, began, session, what, record)
        except (UserError, FloatingPointError) as error:
            _fail(directory, str(error).splitlines()[0])
            if isinstance(error, UserError):
                raise
            raise UserError(f"A NaN appeared: {str(error).splitlines()[0]}") from error
        except jax.errors.JaxRuntimeError as error:
            if not processes.several():
                if signal_of(error) is None:
                    _fail(directory, reason(error))
                raise
            sentence = (
                f"Another process of this run is gone ({str(error).splitlines()[0][:160]}); the same commands go on "
                f"from the last checkpoint, with as many processes or fewer."
            )
            _fail(directory, sentence)
            raise ProcessLost(sentence) from None
        except OSError as error:
            sentence = (
                f"{error.filename or directory.path} cannot be written ({error.strerror}); what was saved before is "
                f"untouched, and resume=DIR goes on from it, here or in a copy elsewhere."
            )
            _fail(directory, sentence)
            raise UserError(sentence) from None
        except Exception as error:
            _fail(directory, reason(error))
            raise
        return result


class ProcessLost(UserError):
    """Another process of the run is gone, and JAX would wait for it at the end of this one."""

    abrupt = True


def _fail(directory: RunDirectory, reason: str) -> None:
    """Record how a session failed; a run that was refused before it went on keeps its result, and one that never began
    has none."""
    # Where nothing can be written any more, the first failure is the one to tell.
    with contextlib.suppress(UserError):
        if directory.goes_on and (directory.read_result() or {}).get("status") != "completed":
            directory.write_result({"status": "failed", "reason": reason, "metrics": {}})


def _check_config(config: dict[str, Any]) -> None:
    """Refuse processes of one run that were started with different settings, though they find each other.

    Raises:
      UserError: a key that differs, with two of its values.
    """
    own = {key: value for key, value in flat(words(config)).items() if key not in OF_A_PROCESS}
    first, *others = map(json.loads, processes.gathered(json.dumps(own)))
    for other in others:
        if what := sorted(key for key in {*first, *other} if first.get(key) != other.get(key)):
            key = what[0]
            raise UserError(
                f"The processes of this run must have the same config; {key} is {first.get(key)} in one and "
                f"{other.get(key)} in another."
            )


def _differences(directory: RunDirectory, config: dict[str, Any], longer: bool) -> dict[str, list[Any]]:
    """What of a run's config is changed as it goes on; anything else is refused: results would be of neither.

    The same data may lie elsewhere now; that it is the same is seen once it is loaded.
    Keys that came with a later version have their defaults in an older run's config. Where it runs may differ.
    longer: whether the settings of `sbvi.runs.changes` may change.
    """
    recorded = Experiment.from_config(directory.read_run()["config"], recorded=True).to_config()
    what = difference(recorded, config)
    if PLACE in what and same_place(*what[PLACE]):  # by another way, as through a link
        del what[PLACE]
    if other := [key for key in what if key != PLACE and not (longer and key in MAY_CHANGE)]:
        told = ", ".join(f"{key} is {what[key][0]} there and {what[key][1]} here" for key in other[:TOLD])
        more = f", and {len(other) - TOLD} more differ" if len(other) > TOLD else ""
        raise UserError(
            f"{directory.path} holds another run: {told}{more}; "
            f"use another directory, or resume={directory.path} without overrides."
        )
    return what
