"""MLflow: a run of an experiment, at a tracking server or in files."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sbvi.core import spec
from sbvi.reporting.loggers.logger import LoggerSpec, Service, needs_extra

#: Parameters that MLflow takes at once.
MOST = 100


class _MlflowRun:
    def __init__(self, folder: Path, uri: str | None, experiment: str):
        import mlflow
        from mlflow.entities import Metric, Param

        self._metric, self._param = Metric, Param
        self.client = mlflow.MlflowClient(uri)
        known = folder / "mlflow_run.txt"
        if known.exists():  # the run goes on
            self.run_id = known.read_text(encoding="utf-8").strip()
            self.client.update_run(self.run_id, status="RUNNING")
            return
        there = self.client.get_experiment_by_name(experiment)
        place = there.experiment_id if there is not None else self.client.create_experiment(experiment)
        self.run_id = self.client.create_run(place, run_name=folder.name).info.run_id
        known.write_text(f"{self.run_id}\n", encoding="utf-8")

    def start(self, settings: Mapping[str, Any]) -> None:
        params = [self._param(name, str(value)[:500]) for name, value in settings.items()]
        known = self.client.get_run(self.run_id).data.params
        params = [param for param in params if param.key not in known]
        for start in range(0, len(params), MOST):
            self.client.log_batch(self.run_id, params=params[start : start + MOST])

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        self.client.log_batch(self.run_id, [self._metric(name, float(v), now, step) for name, v in values.items()])

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        self.client.log_image(self.run_id, picture, artifact_file=f"figures/{name}.png")

    def close(self, success: bool) -> None:
        self.client.set_terminated(self.run_id, "FINISHED" if success else "FAILED")


@spec
class Mlflow(LoggerSpec):
    """A run of MLflow's; needs the extra `mlflow`."""

    uri: str | None = None
    """Tracking server or folder, such as http://host:5000 or sqlite:///mlflow.db; null for MLflow's own choice
    ($MLFLOW_TRACKING_URI)."""
    experiment: str = "sbvi"
    """Name of MLflow's experiment that the run stands in."""

    def check(self) -> None:
        needs_extra("mlflow")

    def open(self, folder: Path, resume_step: int) -> Service:
        return Service("mlflow", lambda: _MlflowRun(folder, self.uri, self.experiment))
