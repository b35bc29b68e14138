"""Ctrl-C while what trains is imported."""

import os
import signal

import pytest

from sbvi.core.imports import uncollected

pytestmark = pytest.mark.quick


def interrupted(done):
    with uncollected():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("imported")


def test_an_interrupt_waits_for_the_imports():
    """JAX's extensions abort the process where one reaches them."""
    done = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(done)
    assert done == ["imported"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_someone_elses_stays():
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with uncollected():
            os.kill(os.getpid(), signal.SIGINT)
            assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
