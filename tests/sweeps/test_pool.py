"""Workers of a sweep that die: each is told, and another goes on with the jobs that are left."""

import os
import signal
import time

import pytest
from hydra.core.utils import JobReturn, JobStatus

from sbvi.sweeps.pool import Pool

pytestmark = pytest.mark.quick


def run_one(number, overrides):
    """The first job's process is killed, as for memory; the others end well."""
    if number == 0:
        time.sleep(0.5)  # the message that it began is on its way
        os.kill(os.getpid(), signal.SIGKILL)
    done = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
    done.return_value = number
    return done


def test_a_death_that_is_found_after_the_last_message_is_told(monkeypatch):
    """The one worker is dead by the time that its message is taken in: the sweep is no further than before."""

    def late(self, what, number, value, failure):
        if what == "began" and number == 0:
            deadline = time.monotonic() + 20
            while self.workers[0].is_alive() and time.monotonic() < deadline:
                time.sleep(0.01)
        return noted(self, what, number, value, failure)

    noted = Pool._note
    monkeypatch.setattr(Pool, "_note", late)
    returns = Pool(run_one, [["seed=0"], ["seed=1"], ["seed=2"]], 0, 1, False).run()
    assert [done.status for done in returns] == [JobStatus.FAILED, JobStatus.COMPLETED, JobStatus.COMPLETED]
    assert "its worker died (exit code -9)" in str(returns[0]._return_value)
    assert [done.return_value for done in returns[1:]] == [1, 2]
