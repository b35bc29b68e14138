"""A signal while what trains is imported."""

import os
import signal

import pytest

from sbvi.core.imports import uncollected
from sbvi.core.interrupts import hearing, signal_of

pytestmark = pytest.mark.quick


def interrupted(number, done):
    with hearing(), uncollected():
        os.kill(os.getpid(), number)
        done.append("imported")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_imports(number):
    """JAX's extensions abort the process where one reaches them."""
    done = []
    with pytest.raises(KeyboardInterrupt) as met:
        interrupted(number, done)
    assert signal_of(met.value) == number
    assert done == ["imported"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_someone_elses_stays():
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with uncollected():
            os.kill(os.getpid(), signal.SIGINT)
            assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
