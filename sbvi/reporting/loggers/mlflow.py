"""MLflow: a run of an experiment, at a tracking server or in a database."""

import logging
import os
import re
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sbvi.core import spec
from sbvi.core.errors import UserError
from sbvi.core.sqlite_urls import SQLITE, file_of
from sbvi.reporting.loggers.logger import LoggerSpec, Service, needs_extra, undone
from sbvi.reporting.loggers.mlflow_names import Names

log = logging.getLogger(__name__)

#: Parameters that MLflow takes at once.
MOST = 100
#: Schemes of places that MLflow reaches by SQLAlchemy, which its small package does not bring.
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
#: What to do where a run cannot be opened.
REMEDY = "logger.uri must be a server that answers, sqlite:///FILE, or null for a database among the outputs"


def place_of(folder: Path) -> Path:
    """Where runs are logged of which nothing else is said: within the outputs folder that a run stands in, so that its
    runs are seen beside each other; of a run elsewhere in its own directory."""
    whole = folder.absolute()
    return next((above for above in whole.parents if above.name == "outputs"), whole) / "mlflow"


def address(place: Path) -> str:
    """The database in such a folder, as it is typed from here."""
    near = os.path.relpath(place)
    return f"{SQLITE}{_possible(place.absolute() if near.startswith('..') else Path(near))}/mlflow.db"


def _possible(place: Path) -> Path:
    """A folder whose path MLflow can take.

    Raises:
      UserError: a question mark ends the path for it.
    """
    if "?" in str(place):
        raise UserError(
            f"logger=mlflow keeps its database in {place}, and MLflow takes no ? in a path; give "
            f"logger.uri=sqlite:///FILE."
        )
    return place


def elsewhere(uri: str | None) -> str | None:
    """The place that was chosen for MLflow, by a setting or by its own variable."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or None


def _beside(uri: str) -> Path | None:
    """The folder of a database that is a file; None of other places, whose server keeps pictures where it chooses."""
    file = file_of(uri)
    return None if file is None else file.absolute().parent


def _told(uri: str) -> str:
    """A place without the name and password that may stand in it."""
    return re.sub("^([^/]*//)[^/]*@", r"\1", uri)


def _in_database(uri: str) -> bool:
    return uri.partition(":")[0].partition("+")[0] in DATABASES


class _MlflowRun:
    def __init__(self, folder: Path, uri: str | None, experiment: str):
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self._metric, self._param = Metric, Param
        self._names, self._keys, self._ended = Names(), Names(), "FINISHED"
        known, own = folder / "mlflow_run.txt", place_of(folder)
        # What runs share stays: another may be writing to it.
        with undone(known, *([own] if uri is None and own.is_relative_to(folder.absolute()) else [])):
            if uri is None:
                own.mkdir(parents=True, exist_ok=True)  # SQLite makes none
            self.client = MlflowClient(uri or f"{SQLITE}{_possible(own)}/mlflow.db")
            found = self._going_on(known, _told(uri or address(own)))
            self.run_id = found or self._begun(experiment, folder.name, own if uri is None else _beside(uri))
            try:
                known.write_text(f"{self.run_id}\n", encoding="utf-8")
            except OSError:
                self.close(False)  # nobody else would
                raise

    def _going_on(self, known: Path, place: str) -> str | None:
        """The run that an earlier session began, where this place has it: another may have been chosen since, or the
        folder moved, which is told."""
        from mlflow.exceptions import MlflowException

        if not known.exists():
            return None
        run = known.read_text(encoding="utf-8").strip()
        try:
            self.client.update_run(run, status="RUNNING")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            log.warning(
                "MLflow's run %s, as which this run was logged before, is not found at %s: a new one begins there; "
                "logger.uri or $MLFLOW_TRACKING_URI names another place.",
                run,
                place,
            )
            return None
        return run

    def _begun(self, experiment: str, name: str, own: Path | None) -> str:
        return str(self.client.create_run(self._place(experiment, own), run_name=name).info.run_id)

    def _place(self, experiment: str, own: Path | None) -> str:
        """The experiment's identifier; made where it is not there. own: the folder whose artifacts/ has the pictures;
        None for where MLflow puts them."""
        from mlflow.exceptions import MlflowException

        there = self.client.get_experiment_by_name(experiment)
        if there is not None:
            return str(there.experiment_id)
        pictures = None if own is None else (own / "artifacts").as_uri()
        try:
            return str(self.client.create_experiment(experiment, pictures))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return self._place(experiment, own)  # another job of a sweep made it meanwhile

    def start(self, settings: Mapping[str, Any]) -> None:
        params = [self._param(self._keys(name), str(value)[:500]) for name, value in settings.items()]
        known = self.client.get_run(self.run_id).data.params
        for param in params:
            if known.get(param.key, param.value) != param.value:  # what MLflow was told of once it keeps
                self.client.set_tag(self.run_id, param.key, param.value)
        params = [param for param in params if param.key not in known]
        for start in range(0, len(params), MOST):
            self.client.log_batch(self.run_id, params=params[start : start + MOST])

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        metrics = [self._metric(self._names(name), float(value), now, step) for name, value in values.items()]
        self.client.log_batch(self.run_id, metrics)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        self.client.log_image(self.run_id, picture, artifact_file=f"figures/{name}.png")

    def stopped(self) -> None:
        self._ended = "KILLED"

    def close(self, success: bool) -> None:
        self.client.set_terminated(self.run_id, self._ended if success else "FAILED")


@spec
class Mlflow(LoggerSpec):
    """A run of MLflow's, by default in a database below the outputs folder; needs the extra `mlflow`.

    A setting that is given anew when the run goes on, such as trainer.steps, is a tag of that name: MLflow's parameters
    stay as the run began."""

    uri: str | None = None
    """Tracking server or database, such as http://host:5000 or sqlite:////data/mlflow.db, beside which pictures lie in
    artifacts/; null for what
    $MLFLOW_TRACKING_URI says, else mlflow/mlflow.db in the outputs folder that the run stands in, or in the run's own
    directory where there is none."""
    experiment: str = "sbvi"
    """Name of MLflow's experiment that the run stands in."""

    def check(self) -> None:
        needs_extra("mlflow")
        uri = elsewhere(self.uri)
        if uri is None or _in_database(uri):
            needs_extra("mlflow", "sqlalchemy", "alembic")

    def command(self, folder: Path) -> str | None:
        uri = elsewhere(self.uri) or address(place_of(folder))
        if not _in_database(uri) or "@" in uri:  # a server shows its runs itself; a password is not told
            return None
        return f"mlflow ui --backend-store-uri {shlex.quote(uri)}"

    def open(self, folder: Path, resume_step: int) -> Service:
        return Service("mlflow", lambda: _MlflowRun(folder, elsewhere(self.uri), self.experiment), REMEDY)
