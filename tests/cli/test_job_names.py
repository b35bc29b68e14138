"""Names of a sweep's folders: they say what differs, and a job keeps its own."""

import sys

import pytest

from sbvi.cli.hydra_app import register_resolvers
from sbvi.cli.job_names import differing, digest, job_name, told

pytestmark = pytest.mark.quick


def test_what_differs_between_a_sweeps_jobs():
    arguments = ["--multirun", "model.latents=[2, 3]", "optimizer.learning_rate=1e-3,3e-4", "seed=range(2)", "x"]
    job = ["model.latents=[2,3]", "optimizer.learning_rate=0.001", "seed=1"]
    assert differing(job, arguments) == job[1:]
    assert told(job[1:]) == "learning_rate_0.001-seed_1"
    assert told(["a.size=1", "b.size=-2", "c=[1,2]", "d='x y'"]) == "a.size_1-b.size_-2-c_1_2-d_x_y"
    assert told([]) == "job"


def test_a_job_keeps_the_name_of_its_digest(tmp_path, monkeypatch):
    job = ["optimizer.learning_rate=0.001", "seed=1"]
    monkeypatch.setattr(sys, "argv", ["sbvi-train", "optimizer.learning_rate=1e-3,1e-4", "seed=1"])
    name = job_name(str(tmp_path), job)
    assert name == f"learning_rate_0.001-{digest(job)[:8]}"
    (tmp_path / name).mkdir()
    monkeypatch.setattr(sys, "argv", ["sbvi-train", "optimizer.learning_rate=1e-3", "seed=1,2"])  # swept otherwise
    assert job_name(str(tmp_path), job[::-1]) == name
    assert job_name(str(tmp_path), [*job, "model.kernel=5"]).startswith("seed_1-kernel_5-")
    (tmp_path / digest(["seed=4"])).mkdir()
    assert job_name(str(tmp_path), ["seed=4"]) == digest(["seed=4"])  # as earlier versions named it
    monkeypatch.setattr(sys, "argv", ["submitit/core/_submit.py", "jobs"])  # a launcher's job, told the sweep's words
    words = ["optimizer.learning_rate=1e-3", "seed=1,2"]
    assert job_name(str(tmp_path), ["optimizer.learning_rate=0.001", "seed=2"], words).startswith("seed_2-")
    monkeypatch.setattr(sys, "argv", ["sbvi-train"])
    assert len(job_name(str(tmp_path), [f"model.key_{n}={n}" for n in range(50)])) == 80 + 9


def test_a_launcher_hands_the_sweeps_words_to_its_jobs(monkeypatch):
    """With Hydra's state, which a job of submitit's takes before its folder is named."""
    import cloudpickle
    from hydra.core.singleton import Singleton
    from omegaconf import OmegaConf

    register_resolvers(["seed=1,2", "trainer.steps=3"])
    state = cloudpickle.dumps(Singleton.get_state())
    register_resolvers([])
    monkeypatch.setattr(sys, "argv", ["submitit/core/_submit.py", "jobs"])
    Singleton.set_state(cloudpickle.loads(state))
    config = OmegaConf.create({"name": "${sbvi.job:nowhere,${words}}", "words": ["seed=2", "trainer.steps=3"]})
    assert config.name == f"seed_2-{digest(config.words)[:8]}"
