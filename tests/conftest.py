"""Strict numerics for every test, and what the tests share."""

import logging
import os
import signal
import sys
from pathlib import Path

from support import compiled, garbage

# What a shell starts in the background ignores SIGINT, and hands that on to the commands whose interrupts are tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Before NumPy starts: tests run side by side, where more threads of its BLAS wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Before JAX starts: two host devices, and programs that earlier test runs compiled.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # One for all workers of this test run.
    _cache = compiled.opened()
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache.name
else:
    _cache = None
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Else JAX puts the folder's path, which is new in every test run, into the key of every program (a GPU's tuning lies
# there), and nothing that was kept is ever found.
os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")

import absl.logging
import jax
import pytest
from hypothesis import settings
from support import config_files, cpu, lowering, mappings, nightly, processes, promises

# absl's handler, where its logging is set up anew, closes the stream that it was made with unless that is the process's
# own or today's: while a test's own capture stood it closed pytest's, and every later test of that worker failed.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
# Most of a test's time is compilation, so that of this process is kept short. What tests start in processes of
# their own is compiled as a user's run is.
jax.config.update("jax_disable_most_optimizations", True)
lowering.share_contexts()
config_files.read_once()

# How many inputs property-based tests try: HYPOTHESIS_PROFILE=nightly for many.
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

pytest_plugins = ["support.runs"]


@pytest.fixture
def x64():
    """Float64 for one test."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture
def optimised():
    """Programs as a user's run compiles them, for a test that has them run for longer than that takes."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(autouse=True)
def _settings_restored():
    """Runs set JAX's options, and commands the level of logging and a file of their own, whose folder may be gone by
    the time that another test logs; the next test starts from the same ones."""
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    logging.getLogger("sbvi").setLevel(logging.NOTSET)
    names = ("jax_platforms", "jax_debug_nans", "jax_compilation_cache_dir")
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    for handler in [each for each in root.handlers if type(each) is logging.FileHandler]:
        root.removeHandler(handler)
        handler.close()


@pytest.fixture(autouse=True, scope="module")
def _programs_of_earlier_modules_do_not_pile_up():
    yield
    mappings.release()


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test():
    yield
    processes.end_all()


@pytest.fixture
def tally(record_property):
    """How many times a promise was put to the test: kills survived, bits flipped, inputs tried."""

    def add(count):
        record_property("count", count)

    return add


def pytest_addoption(parser):
    parser.addoption("--promises", metavar="FILE", help="write docs/reliability.md from the tests that ran")
    parser.addoption("--cpu", action="store_true", help="end with the CPU seconds of the tests, by file and by test")
    parser.addoption("--slow", action="store_true", help="run the slow tests too, as the nightly profile does")


def pytest_configure(config):
    config.addinivalue_line("markers", "promise(sentence, unit): what this test tries to break, and what it counts")
    config.addinivalue_line("markers", "slow: repeats a promise that a cheaper test holds too; runs with --slow")
    config.addinivalue_line("markers", "quick: runs in a second or two; scripts/test --quick runs these")
    if config.getoption("--cpu"):
        config.pluginmanager.register(cpu.Meter())


def pytest_collection_modifyitems(config, items):
    """Slow tests run before a release: by --slow, in the nightly profile, or when one is named."""
    if config.getoption("--slow") or nightly.NIGHTLY or any("::" in str(word) for word in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


def pytest_collection_finish():
    garbage.begin()


def pytest_unconfigure():
    processes.end_server()
    if _cache is not None:
        compiled.keep(_cache.name)


def pytest_runtest_setup(item):
    """What a promise's page needs travels with the report, since tests run in other processes."""
    for mark in item.iter_markers("promise"):
        item.user_properties.append(("promise", mark.args))


def pytest_terminal_summary(terminalreporter, config):
    """Say what was left out and why, as the last thing before the count."""
    if path := config.getoption("--promises"):
        promises.write(Path(path), terminalreporter.stats)
    if config.getoption("--cpu"):
        cpu.write(terminalreporter)
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = {}
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons.setdefault(reason.removeprefix("Skipped: "), []).append(report.nodeid)
    terminalreporter.section("left out")
    if not (config.getoption("--slow") or nightly.NIGHTLY):
        terminalreporter.line("slow tests: --slow runs them, and HYPOTHESIS_PROFILE=nightly")
    for reason, tests in sorted(reasons.items()):
        terminalreporter.line(f"{len(tests)} tests: {reason}")
    if jax.default_backend() == "cpu":
        terminalreporter.line("accelerator tests: no GPU or TPU on this machine")
    if not reasons:
        terminalreporter.line("nothing else")
