"""Which signals stop a run, and which are left as they are."""

import os
import signal

import pytest

from sbvi.core.interrupts import hearing, interrupt_once, uninterrupted
from sbvi.runs.signals import StopSignals

pytestmark = pytest.mark.quick


@pytest.fixture
def handler():
    """Sets SIGINT's, until the test ends."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda given: signal.signal(signal.SIGINT, given)
    signal.signal(signal.SIGINT, before)


def test_a_signal_that_is_ignored_stays_so(handler):
    handler(signal.SIG_IGN)
    with hearing(), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
    with hearing(), StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.reason() is None
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGTERM)  # which is not ignored
        assert stop.reason() == "SIGTERM"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_the_first_interrupt_is_a_reason_and_the_second_is_the_system_s(handler):
    handler(signal.default_int_handler)
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.reason() == "SIGINT"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def twice(done):
    with uninterrupted():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        done.append("went on")


def test_a_worker_hears_the_first_interrupt_alone(handler):
    """By the terminal and by the sweep's process it is told twice, be it in training, at its end, or elsewhere."""
    handler(interrupt_once)
    with StopSignals() as stop:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.reason() == "SIGINT"
    os.kill(os.getpid(), signal.SIGINT)
    handler(interrupt_once)
    with StopSignals() as stop:
        assert stop.reason() is None
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    handler(interrupt_once)
    within = []
    with pytest.raises(KeyboardInterrupt):
        twice(within)
    os.kill(os.getpid(), signal.SIGINT)
    assert within == ["went on"]
