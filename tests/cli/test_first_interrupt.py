"""A signal before a run has begun: it leaves nothing, whatever it meets."""

import gc
import os
import signal
import sys
import time

import pytest
from hydra._internal.core_plugins import basic_launcher
from hydra.core.utils import configure_log

from sbvi.cli import hydra_app
from sbvi.cli.train import COMMAND
from sbvi.core.interrupts import signal_of, terminate

WORDS = ["dataset=synthetic", "hydra.run.dir=made/run", "hydra/hydra_logging=none"]


def ended(task, words, monkeypatch, folder):
    """The code with which a command of this task ends."""
    codes = []
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["sbvi-train", *words])
    monkeypatch.setattr(hydra_app, "at_once", codes.append)
    hydra_app.run(task, "train", COMMAND)
    return codes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_hydra_makes_the_folder_waits_for_the_task(number, tmp_path, monkeypatch):
    def interrupted(*words, **options):
        configure_log(*words, **options)
        if (tmp_path / "made" / "run").is_dir():  # that of the job
            os.kill(os.getpid(), number)
            met.append("it went on")

    met, began = [], []

    def task(config):
        began.append(config)

    monkeypatch.setattr("hydra.core.utils.configure_log", interrupted)
    assert ended(task, WORDS, monkeypatch, tmp_path) == [128 + number]
    assert met == ["it went on"]
    assert not began
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_task_ends_the_command_with_its_code(number, tmp_path, monkeypatch):
    def task(config):
        os.kill(os.getpid(), number)
        raise AssertionError("it went on")

    assert ended(task, WORDS, monkeypatch, tmp_path) == [128 + number]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_where_python_ignores_exceptions_is_heard(number, tmp_path, monkeypatch, capsys):
    """As in callbacks of the garbage collector, of which JAX has one."""
    met = []

    def callback(phase, about):
        if not met:
            met.append(phase)
            os.kill(os.getpid(), number)
            for _ in range(100):  # where the exception comes
                pass

    def task(config):
        gc.callbacks.append(callback)
        try:
            gc.collect()
            for _ in range(1000):
                time.sleep(0.01)
        finally:
            gc.callbacks.remove(callback)
        raise AssertionError("it went on")

    before = sys.unraisablehook
    assert ended(task, WORDS, monkeypatch, tmp_path) == [128 + number]
    assert met
    assert "ignored" not in capsys.readouterr().err
    assert sys.unraisablehook is before
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_someone_else_hears_stays_theirs(tmp_path, monkeypatch):
    heard, began = [], []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))

    def task(config):
        os.kill(os.getpid(), signal.SIGTERM)
        began.append(config)

    try:
        assert ended(task, [*WORDS, "hydra.run.dir=own"], monkeypatch, tmp_path) == []
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (heard, len(began)) == ([signal.SIGTERM], 1)


@pytest.mark.parametrize("asked", [["--multirun"], ["--config-dir", "own", "experiment=swept"]])
def test_a_sweep_hears_an_interrupt_at_once(asked, tmp_path, monkeypatch):
    """Its jobs' own processes hear it, and the sweep waits for them; also one that a config asks for."""
    heard = []
    own = tmp_path / "own" / "experiment" / "swept.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# @package _global_\nhydra: {mode: MULTIRUN}\n")

    def interrupted(*words, **options):
        configure_log(*words, **options)
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            heard.append("at once")
            raise

    # The launcher's own name of it, which it has from its import on.
    monkeypatch.setattr(basic_launcher, "configure_log", interrupted)
    words = [*asked, "dataset=synthetic", "hydra.sweep.dir=made", "hydra/hydra_logging=none"]
    assert ended(lambda config: None, words, monkeypatch, tmp_path) == [130]
    assert heard == ["at once"]


@pytest.mark.parametrize(
    ("named", "code"), [("KeyboardInterrupt: ", 130), ("sbvi.core.interrupts.Interrupted: SIGTERM", 143)]
)
def test_an_extension_s_error_of_an_interrupt_is_one(named, code, tmp_path, monkeypatch, capsys):
    """As JAX's hand it on, met while they call Python."""

    def task(config):
        raise ImportError("Traceback (most recent call last):\n  ...\n" + named)

    assert ended(task, WORDS, monkeypatch, tmp_path) == [code]
    assert list(tmp_path.iterdir()) == []
    assert "Error executing job" not in capsys.readouterr().err


def test_other_errors_are_none(tmp_path, monkeypatch):
    def task(config):
        raise ValueError("KeyboardInterrupt: is what this text begins with")

    with pytest.raises(ValueError, match="begins with"):
        ended(task, WORDS, monkeypatch, tmp_path)
    caused = ImportError("initialization failed")
    caused.__cause__ = KeyboardInterrupt()
    assert signal_of(caused) == signal.SIGINT
    assert signal_of(ImportError("initialization failed")) is None
    with pytest.raises(KeyboardInterrupt) as met:
        terminate(signal.SIGTERM, None)
    assert signal_of(met.value) == signal.SIGTERM
