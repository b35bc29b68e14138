"""What the launcher does around the jobs of a sweep."""

import logging
import signal
from types import SimpleNamespace

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from sbvi.core import UserError
from sbvi.core.interrupts import Interrupted
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


def test_what_is_stopped_or_refused_as_jobs_are_set_up_leaves_no_folder(tmp_path, monkeypatch):
    """To set them up takes seconds of imports, before the first trains."""
    sweep = tmp_path / "sweep"

    def run_one(number, words, task):
        """As Hydra does: a folder with a log, then the task, of which mistakes are kept and interrupts go on."""
        (sweep / str(number)).mkdir(parents=True)
        (sweep / str(number) / "sbvi-train.log").touch()
        monkeypatch.setattr(HydraConfig, "get", lambda: SimpleNamespace(runtime=SimpleNamespace(output_dir=folder)))
        folder, done = str(sweep / str(number)), JobReturn(status=JobStatus.COMPLETED)
        try:
            done.return_value = task(SimpleNamespace(words=words, folder=sweep / str(number)))
        except UserError as error:
            done.status, done.return_value = JobStatus.FAILED, error
        return done

    def prepare(config):
        if config.words == ["stop"]:
            raise KeyboardInterrupt
        if config.words == ["wrong"]:
            raise UserError("wrong is no word.")
        return config

    launcher = launchers.SbviLauncher(mode="vmap")
    launcher.config = SimpleNamespace(hydra=SimpleNamespace(hydra_logging=None, verbose=False))
    together = lambda jobs, handlers, points: [(job.folder / "run.json").touch() for job in jobs]  # noqa: E731
    launcher.task_function = SimpleNamespace(prepare=prepare, together=together, stood=Before.of([tmp_path]))
    monkeypatch.setattr(launcher, "run_one", run_one)
    monkeypatch.setattr(launchers, "configure_log", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        launcher._side_by_side([["seed=0"], ["stop"], ["seed=1"]], 0)
    assert not sweep.exists()
    returns = launcher._side_by_side([["wrong"], ["seed=1"]], 3)
    assert [path.name for path in sweep.iterdir()] == ["4"]
    assert [done.status for done in returns] == [JobStatus.FAILED, JobStatus.COMPLETED]


def test_a_run_s_log_has_no_line_of_the_job_after_it(tmp_path, monkeypatch):
    """A worker goes from job to job, and Hydra sets up a job's log after its words are told."""
    before = logging.FileHandler(tmp_path / "sbvi-train.log")
    monkeypatch.setattr(logging.getLogger(), "handlers", [before])
    monkeypatch.setattr(logging.getLogger(), "level", logging.INFO)
    monkeypatch.setattr(launchers, "run_job", lambda **_: JobReturn(status=JobStatus.COMPLETED))
    plain = {"version": 1, "root": {"handlers": []}, "disable_existing_loggers": False}
    launcher = launchers.SbviLauncher()
    launcher.config = OmegaConf.create({"hydra": {"hydra_logging": plain, "verbose": False}})
    composed = OmegaConf.create({"hydra": {"job": {}}})
    launcher.hydra_context = SimpleNamespace(
        config_loader=SimpleNamespace(load_sweep_config=lambda config, words: composed)
    )
    launcher.run_one(1, ["seed=1"])
    before.close()
    assert (tmp_path / "sbvi-train.log").read_text() == ""
