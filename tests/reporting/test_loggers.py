"""Loggers: what each keeps of a run, a resumed one among them."""

import csv
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support.extras import needs_extra
from support.paths import ROOT
from support.processes import command, environment, wait_until
from support.tiny_run import TINY, tree
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from sbvi.core import UserError
from sbvi.reporting.loggers import LOGGERS
from sbvi.reporting.loggers.logger import Service, undone
from sbvi.reporting.loggers.mlflow import _told, elsewhere, place_of
from sbvi.reporting.panels import Panel
from sbvi.reporting.recorder import RunRecorder
from sbvi.runs import Experiment

SETTINGS = {"seed": 3, "model.name": "dlgm", "model.latents": "[2]"}
PICTURE = np.full((4, 4), 7, np.uint8)


def log_two_sessions(folder, logger):
    """Three log points and a picture; then the run goes on from step 20, and ends."""
    folder.mkdir(parents=True)
    first = RunRecorder(folder, 0, logger.open(folder, 0))
    first.start(SETTINGS)
    for step in (10, 20, 30):
        first.scalars(step, step / 100, {"train/elbo": -step / 10, "validation/elbo": -1.0 / step})
    first.picture(30, "samples", Panel(PICTURE))
    first.close(False)
    second = RunRecorder(folder, 20, logger.open(folder, 20))
    second.start(SETTINGS)
    second.scalars(30, 0.3, {"train/elbo": -2.5})
    second.scalars(30, 0.3, {"test/nll": 2.25})
    second.close(True)


def csv_values(folder):
    rows = list(csv.DictReader((folder / "scalars.csv").read_text().splitlines()))
    return [(int(row["step"]), row["scalar"], float(row["value"])) for row in rows]


def tensorboard_values(folder):
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.tag in ("train/elbo", "validation/elbo", "test/nll"):
                    found.append((event.step, value.tag, round(value.tensor.float_val[0], 6)))
    return found


def test_csv_keeps_every_value_once(tmp_path):
    log_two_sessions(tmp_path / "run", LOGGERS["csv"]())
    assert csv_values(tmp_path / "run") == [
        (10, "train/elbo", -1.0),
        (10, "validation/elbo", -0.1),
        (20, "train/elbo", -2.0),
        (20, "validation/elbo", -0.05),
        (30, "train/elbo", -2.5),
        (30, "test/nll", 2.25),
    ]
    assert not list((tmp_path / "run").glob("events.*"))


def test_tensorboard_has_the_same(tmp_path):
    log_two_sessions(tmp_path / "run", LOGGERS["tensorboard"]())
    assert {(30, "train/elbo", -2.5), (30, "test/nll", 2.25), (10, "validation/elbo", -0.1)} <= set(
        tensorboard_values(tmp_path / "run")
    )


def test_mlflow_by_default(tmp_path, monkeypatch, caplog):
    """In a database below the outputs, with what the extra brings; nothing is left in the working directory."""
    needs_extra("mlflow")
    import mlflow

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    logger = LOGGERS["mlflow"]()
    logger.check()
    run_folder = tmp_path / "outputs" / "today" / "run"
    log_two_sessions(run_folder, logger)
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    assert {path.name for path in (tmp_path / "outputs" / "mlflow").iterdir()} == {"mlflow.db", "artifacts"}
    uri = "sqlite:///outputs/mlflow/mlflow.db"
    assert logger.command(run_folder) == f"mlflow ui --backend-store-uri {uri}"
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("sbvi").experiment_id])
    assert run.info.run_name == "run"
    assert run.info.status == "FINISHED"
    assert run.data.params == {name: str(value) for name, value in SETTINGS.items()}
    assert run.data.metrics == {"train/elbo": -2.5, "validation/elbo": pytest.approx(-1 / 30), "test/nll": 2.25}
    steps = [point.step for point in client.get_metric_history(run.info.run_id, "train/elbo")]
    assert steps == [10, 20, 30, 30]
    with Image.open(next((tmp_path / "outputs" / "mlflow" / "artifacts").rglob("samples.png"))) as picture:
        assert (np.asarray(picture) == PICTURE).all()
    # Where the run that an earlier session began is not known, it is another.
    assert "not found" not in caplog.text
    (run_folder / "mlflow_run.txt").write_text("0123456789abcdef0123456789abcdef\n")
    logger.open(run_folder, 20).close(True)
    assert len(client.search_runs([run.info.experiment_id])) == 2
    told = "MLflow's run 0123456789abcdef0123456789abcdef, as which this run was logged before, is not found at"
    assert f"{told} {uri}: a new one begins there" in caplog.text
    # So it is where the folder of runs has another name since.
    (tmp_path / "outputs").rename(tmp_path / "archive")
    caplog.clear()
    logger.open(tmp_path / "archive" / "today" / "run", 20).close(True)
    assert "is not found at sqlite:///archive/today/run/mlflow/mlflow.db: a new one begins there" in caplog.text


def test_pictures_of_a_named_database_lie_beside_it(tmp_path, monkeypatch):
    """And not in a folder mlruns/ wherever the command was given."""
    needs_extra("mlflow")
    (tmp_path / "here").mkdir()
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    logger = LOGGERS["mlflow"](uri=f"sqlite:///{tmp_path / 'runs.db'}").open(tmp_path / "run", 0)
    logger.image(5, "samples", np.zeros((4, 4), np.uint8))
    logger.close(True)
    assert [path.name for path in (tmp_path / "artifacts").rglob("*.png")] == ["samples.png"]
    assert not list((tmp_path / "here").iterdir())


def test_mlflow_logs_below_the_outputs_whatever_stands_above_them(tmp_path, monkeypatch):
    needs_extra("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    logger, outputs = LOGGERS["mlflow"](), tmp_path / "{x} é" / "outputs"
    log_two_sessions(outputs / "run", logger)
    assert [path.name for path in tmp_path.iterdir()] == ["{x} é"]
    assert {path.name for path in (outputs / "mlflow").iterdir()} == {"mlflow.db", "artifacts"}
    assert logger.command(outputs / "run") == "mlflow ui --backend-store-uri 'sqlite:///{x} é/outputs/mlflow/mlflow.db'"
    with pytest.raises(UserError, match=r"what\?1/outputs/mlflow, and MLflow takes no \? in a path"):
        log_two_sessions(tmp_path / "what?1" / "outputs" / "run", logger)
    assert [path.name for path in tmp_path.rglob("*.db")] == ["mlflow.db"]


def test_mlflow_takes_the_names_of_any_columns(tmp_path):
    """Of a table's columns there are scalars and settings; those whose names MLflow refuses must not end the run, nor
    two of them be one."""
    needs_extra("mlflow")
    columns = ["weight (kg)", "age", "x<1", "x>1", "km/", "a//b", "..", "größe: mm", "z" * 300, "z" * 299]
    values = {f"test/nll/{column}": float(place) for place, column in enumerate(columns)}
    (tmp_path / "run").mkdir()
    logger = LOGGERS["mlflow"](uri=f"sqlite:///{tmp_path / 'runs.db'}").open(tmp_path / "run", 0)
    logger.start({f"dataset.columns.{column}": "count" for column in columns})
    logger.start({f"dataset.columns.{column}": "count" for column in columns})  # as of a run that goes on
    logger.scalars(1, values)
    data = logger._logger.client.get_run(logger._logger.run_id).data
    logger.close(True)
    assert sorted(data.metrics.values()) == sorted(values.values())
    assert len(data.params) == len(columns)
    kept = {"test/nll/age": 1.0, "test/nll/größe: mm": 7.0, "test/nll/weight _kg_": 0.0, "test/nll/x_1_2": 3.0}
    assert {name: data.metrics.get(name) for name in kept} == kept


def test_a_setting_given_anew_is_a_tag(tmp_path):
    """MLflow refuses another value of a parameter."""
    needs_extra("mlflow")
    (tmp_path / "run").mkdir()
    spec = LOGGERS["mlflow"](uri=f"sqlite:///{tmp_path / 'runs.db'}")
    for steps in (60, 100):
        logger = spec.open(tmp_path / "run", 0)
        client, run = logger._logger.client, logger._logger.run_id
        logger.start({"trainer.steps": steps, "seed": 3, "words": "x" * 600})
        data = client.get_run(run).data
        if steps == 60:  # a signal stops it, and it goes on
            logger.stopped()
        logger.close(True)
        assert client.get_run(run).info.status == ("KILLED" if steps == 60 else "FINISHED")
        assert data.tags.get("trainer.steps") == (None if steps == 60 else "100")
    assert data.params == {"trainer.steps": "60", "seed": "3", "words": "x" * 500}
    assert not {"seed", "words"} & set(data.tags)


@pytest.mark.quick
def test_no_password_of_a_place_is_told():
    assert _told("mysql+pymysql://me:secret@host/runs") == "mysql+pymysql://host/runs"
    for place in ("http://host:5000/a@b", "sqlite:///me@home.db", "sqlite:////data/me@home/mlflow.db"):
        assert _told(place) == place


@pytest.mark.quick
def test_where_mlflow_logs(tmp_path, monkeypatch):
    assert place_of(tmp_path / "outputs" / "a" / "outputs" / "b" / "run") == tmp_path / "outputs/a/outputs/mlflow"
    assert place_of(tmp_path / "run") == tmp_path / "run" / "mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert elsewhere(None) == "http://host:5000"
    assert elsewhere("sqlite:///a.db") == "sqlite:///a.db"
    assert LOGGERS["mlflow"]().command(tmp_path) is None


@pytest.mark.quick
@pytest.mark.parametrize(("stopped", "success", "code"), [(False, True, 0), (True, True, 255), (False, False, 1)])
def test_wandb_is_told_how_a_run_ended(stopped, success, code, tmp_path, monkeypatch):
    codes = []
    run = SimpleNamespace(finish=lambda exit_code: codes.append(exit_code))
    wandb = SimpleNamespace(init=lambda **_: run, Settings=lambda **_: None)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    recorder = RunRecorder(tmp_path, 0, LOGGERS["wandb"]().open(tmp_path, 0))
    if stopped:
        recorder.stopped()
    recorder.close(success)
    assert codes == [code]


def test_wandb_offline(tmp_path):
    needs_extra("wandb")
    import wandb

    log_two_sessions(tmp_path / "run", LOGGERS["wandb"](mode="offline"))
    wandb.teardown()  # its service writes what is left
    sessions = sorted((tmp_path / "run" / "wandb").glob("offline-run-*"))
    assert len(sessions) == 2
    name = (tmp_path / "run" / "wandb_run.txt").read_text().strip()

    def kept():
        return b"".join(path.read_bytes() for folder in sessions for path in folder.glob(f"run-{name}.wandb"))

    words = (b"train/elbo", b"test/nll", b"model.latents")
    wait_until(lambda: all(word in kept() for word in words), timeout=60, pause=0.2)


@pytest.mark.quick
def test_a_logger_whose_package_is_absent_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name in ("mlflow", "wandb"):
        with pytest.raises(UserError, match=f"logger={name} needs the extra `{name}`, which is not installed"):
            LOGGERS[name]().check()
    for name in ("tensorboard", "csv"):
        LOGGERS[name]().check()


@pytest.mark.quick
@pytest.mark.parametrize("lacking", ["sqlalchemy", "alembic"])
def test_what_mlflow_s_database_needs_is_of_its_extra(lacking, monkeypatch):
    """MLflow's small package brings neither; a server needs none of them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert lacking in [re.split("[<>=]", need)[0] for need in project["optional-dependencies"]["mlflow"]]
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == lacking else name)
    for uri in (None, "sqlite:///a.db", "mysql+pymysql://host/runs"):
        with pytest.raises(UserError, match=rf"logger=mlflow needs {lacking} of the extra `mlflow`, which is not inst"):
            LOGGERS["mlflow"](uri=uri).check()
    LOGGERS["mlflow"](uri="http://host:5000").check()


@pytest.mark.quick
def test_what_fails_in_a_service_is_a_sentence():
    """Such as a server that does not answer, at the start or in mid-run."""

    class Down:
        def __getattr__(self, name):
            return fails

    def fails(*words):
        raise RuntimeError("no answer\nfrom there")

    sentence = r"^logger=mlflow failed \(no answer\); what was saved before is untouched\.$"
    opening = r"^logger=mlflow cannot be opened \(no answer\); log in\.$"
    with pytest.raises(UserError, match=opening):
        Service("mlflow", fails, "log in")
    service = Service("mlflow", Down, "log in")
    for call, words in (("start", ({},)), ("scalars", (1, {})), ("image", (1, "x", PICTURE)), ("close", (True,))):
        with pytest.raises(UserError, match=sentence):
            getattr(service, call)(*words)


@pytest.mark.quick
def test_a_long_message_ends_in_a_whole_word():
    def fails():
        raise RuntimeError("seven words of a message " * 40)

    with pytest.raises(UserError, match=r"\((seven words of a message ){11}seven words of a \.\.\.\); log in\.$"):
        Service("mlflow", fails, "log in")


@pytest.mark.quick
def test_what_fails_takes_away_what_it_made(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    old.mkdir()

    def makes_and_fails():
        (new / "below").mkdir(parents=True)
        (tmp_path / "file").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), undone(old, new, tmp_path / "file", tmp_path / "never"):
        makes_and_fails()
    assert list(tmp_path.iterdir()) == [old]


SERVICES = {
    "wandb": ("logger=wandb",),
    "mlflow": ("logger=mlflow", "logger.uri=http://127.0.0.1:9"),  # where nothing answers
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_logger_that_cannot_be_opened_leaves_no_folder(name, tmp_path):
    needs_extra(name)
    (tmp_path / "home").mkdir()  # where nobody is logged in
    alone = {"HOME": str(tmp_path / "home"), "NETRC": str(tmp_path / "none"), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    env = environment(**alone)
    env.pop("WANDB_API_KEY", None)
    words = [*TINY, "trainer.steps=20", "evaluation.test=false", *SERVICES[name]]
    done = command("train", *words, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert f"logger={name} cannot be opened (" in done.stderr
    assert {"wandb": "log in, or give logger.mode=offline", "mlflow": "logger.uri must be a server"}[
        name
    ] in done.stderr
    assert "untouched" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.quick
def test_an_older_run_has_the_default_logger():
    config = Experiment.from_overrides(["dataset=synthetic"]).to_config()
    assert config.pop("logger") == {"name": "tensorboard"}
    assert Experiment.from_config(config).to_config()["logger"] == {"name": "tensorboard"}


def test_a_run_goes_on_under_another_logger(tmp_path):
    words = [*TINY, "trainer.log_every=10", "evaluation.test=false", "hydra.run.dir=run"]
    done = command("train", *words, "trainer.steps=20", "logger=csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "run"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    kept = {(line["step"], name): value for line in lines for name, value in line.items() if "/" in name}
    assert {(step, name): value for step, name, value in csv_values(folder)} == kept
    assert not list(folder.glob("events.*"))
    again = command(
        "train", *words, "trainer.steps=20", cwd=tmp_path
    )  # the same run: where it is logged is no part of it
    assert again.returncode == 0, again.stderr
    assert "is completed already" in again.stdout + again.stderr
    if importlib.util.find_spec("mlflow") is None:
        return
    # One that cannot be opened leaves a completed run as it was.
    kept = tree(folder)
    env = environment(MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    longer = ("resume=run", "trainer.steps=40", *SERVICES["mlflow"])
    refused = command("train", *longer, cwd=tmp_path, env=env)
    assert refused.returncode == 1
    assert "logger=mlflow cannot be opened (" in refused.stderr
    assert tree(folder) == kept
