"""Workers of a sweep that die: each is told, and another goes on with the jobs that are left."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest
from hydra.core.utils import JobReturn, JobStatus
from support.paths import ROOT
from support.processes import environment

from sbvi.sweeps.pool import STOPPED, Pool, _done

pytestmark = pytest.mark.quick


def run_one(number, overrides):
    """The first job's process is killed, as for memory; the others end well."""
    if number == 0:
        time.sleep(0.5)  # the message that it began is on its way
        os.kill(os.getpid(), signal.SIGKILL)
    done = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
    done.return_value = number
    return done


def sweep_with_a_late_death():
    """The one worker is dead by the time that its message is taken in: the sweep is no further than before."""
    noted = Pool._note

    def late(self, what, number, value, failure):
        if what == "began" and number == 0:
            deadline = time.monotonic() + 20
            while self.workers[0].is_alive() and time.monotonic() < deadline:
                time.sleep(0.01)
        return noted(self, what, number, value, failure)

    Pool._note = late
    returns = Pool(run_one, [["seed=0"], ["seed=1"], ["seed=2"]], 0, 1, False).run()
    print(json.dumps([[done.status.name, str(done._return_value)] for done in returns]))


def test_a_death_that_is_found_after_the_last_message_is_told():
    """In a process of its own: one that has used JAX is not to be forked."""
    own = environment(PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}")
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, env=own, timeout=60)
    first, *others = json.loads(done.stdout)
    assert first[0] == "FAILED", done.stderr
    assert "its worker died (exit code -9)" in first[1]
    assert others == [["COMPLETED", "1"], ["COMPLETED", "2"]]


def slow(number, overrides):
    time.sleep(0.5)
    return JobReturn(overrides=overrides, status=JobStatus.COMPLETED)


def noting(then):
    """A pool of this process calls `then` too, each time that it hears of a job."""
    noted = Pool._note

    def both(self, what, number, value, failure):
        noted(self, what, number, value, failure)
        then(self, what, number)

    Pool._note = both


def told(run, count, workers):
    """Prints how the jobs of a sweep of so many ended."""
    returns = Pool(run, [[f"seed={seed}"] for seed in range(count)], 0, workers, False).run()
    print(json.dumps([[done.status.name, str(done._return_value)] for done in returns]))


def ends_of(sweep):
    """What a sweep of this file told in a process of its own, and what it wrote beside."""
    own = environment(PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}")
    done = subprocess.run([sys.executable, __file__, sweep], capture_output=True, text=True, env=own, timeout=60)
    return json.loads(done.stdout), done.stderr


def sweep_that_is_interrupted_in_a_callback():
    """Python ignores exceptions there, a KeyboardInterrupt too."""

    def interrupted(pool, what, number):
        if what == "began" and number == 0:
            thing = threading.Event()
            watched = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))
            del thing
            assert watched() is None

    noting(interrupted)
    told(slow, 3, 1)


def test_an_interrupt_is_heard_wherever_it_comes():
    (first, *others), beside = ends_of("interrupted")
    assert first == ["FAILED", STOPPED], beside  # its worker is told, which no terminal has told
    assert others == [["FAILED", "was not run: the sweep was stopped"]] * 2


def never_begins(number, overrides):
    """As a run that imports what trains: it does not listen to signals yet. In short waits, since a signal just before
    a long one would be heard after it."""
    for _ in range(600):
        time.sleep(0.1)


def sweep_that_is_stopped_before_training():
    def stopped(pool, what, number):
        if len(pool.holding) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    noting(stopped)
    told(never_begins, 3, 2)


def test_a_job_that_is_stopped_before_its_training_is_said_to_be():
    """No worker died of its own."""
    (*begun, last), beside = ends_of("stopped")
    assert begun == [["FAILED", "was stopped; the same command goes on with it"]] * 2, beside
    assert last == ["FAILED", "was not run: the sweep was stopped"]


SWEEPS = {"interrupted": sweep_that_is_interrupted_in_a_callback, "stopped": sweep_that_is_stopped_before_training}

if __name__ == "__main__":
    (SWEEPS[sys.argv[1]] if sys.argv[1:] else sweep_with_a_late_death)()


@pytest.mark.parametrize(
    ("error", "goes_on", "said"),
    [
        (SystemExit(0), True, "SystemExit: 0"),
        (ValueError("no"), True, "ValueError: no"),
        (KeyboardInterrupt(), False, STOPPED),
    ],
)
def test_a_job_that_leaves_costs_the_sweep_no_other_and_is_not_said_to_be_stopped(error, goes_on, said):
    def leaves(number, overrides):
        raise error

    results = queue.Queue()
    assert _done(leaves, 7, [], results) == goes_on
    assert [results.get_nowait() for _ in range(2)] == [("began", 7, os.getpid(), None), ("ended", 7, None, said)]
