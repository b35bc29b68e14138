"""Lines of a sweep's workers on one console."""

import io
import logging

import pytest

from sbvi.sweeps.labels import labelled

pytestmark = pytest.mark.quick


def test_the_console_tells_jobs_apart_and_files_stay_as_they_are(tmp_path, monkeypatch):
    root, console = logging.getLogger(), io.StringIO()
    stream, file = logging.StreamHandler(console), logging.FileHandler(tmp_path / "sbvi-train.log")
    for handler in (stream, file):
        handler.setFormatter(logging.Formatter("[now] %(message)s"))
    monkeypatch.setattr(root, "handlers", [stream, file])

    def task(config):
        logging.getLogger("sbvi.test").warning("step %d of %d", config, 9)
        return config + 1

    assert labelled(task, 3)(4) == 5
    file.close()
    assert console.getvalue() == "[now] #3 step 4 of 9\n"
    assert (tmp_path / "sbvi-train.log").read_text() == "[now] step 4 of 9\n"
