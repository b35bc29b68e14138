"""What the launcher does around the jobs of a sweep."""

import signal
from types import SimpleNamespace

import pytest
from hydra.core.utils import JobReturn, JobStatus

from sbvi.core.errors import Interrupted
from sbvi.core.leftovers import Before
from sbvi.sweeps import launcher as launchers


def test_a_stopped_sweep_side_by_side_leaves_no_folder_of_a_run_that_never_began(tmp_path, monkeypatch):
    def run_one(number, words, task):
        folder = tmp_path / "sweep" / str(number)
        folder.mkdir(parents=True)
        (folder / "sbvi-train.log").touch()
        done = JobReturn(status=JobStatus.COMPLETED)
        done.return_value = SimpleNamespace(folder=folder)
        return done

    def together(jobs, handlers, points):
        (jobs[0].folder / "run.json").touch()
        raise Interrupted(signal.SIGTERM)

    launcher = launchers.SbviLauncher(mode="vmap")
    launcher.config = SimpleNamespace(hydra=SimpleNamespace(hydra_logging=None, verbose=False))
    launcher.task_function = SimpleNamespace(prepare=None, together=together, stood=Before.of([tmp_path]))
    monkeypatch.setattr(launcher, "run_one", run_one)
    monkeypatch.setattr(launchers, "configure_log", lambda *_: None)
    with pytest.raises(Interrupted):
        launcher._side_by_side([["seed=0"], ["seed=1"]], 0)
    assert [path.name for path in (tmp_path / "sweep").iterdir()] == ["0"]
    assert (tmp_path / "sweep" / "0" / "sbvi-train.log").exists()
