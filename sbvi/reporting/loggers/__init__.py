"""Where a run's scalars and pictures go beside metrics.jsonl and figures/: one logger a module.

To add one: a module with a `spec` whose `open(folder, resume_step)` gives a `Logger`; a line in LOGGERS; a file in
`configs/logger/`; a row in the contract test.
"""

from sbvi.core.plugins import extend
from sbvi.reporting.loggers.csv_file import Csv
from sbvi.reporting.loggers.logger import Logger, LoggerSpec
from sbvi.reporting.loggers.mlflow import Mlflow
from sbvi.reporting.loggers.tensorboard import TensorBoardEvents
from sbvi.reporting.loggers.wandb import Wandb

LOGGERS: dict[str, type] = {"tensorboard": TensorBoardEvents, "csv": Csv, "mlflow": Mlflow, "wandb": Wandb}
extend(LOGGERS, "sbvi.loggers", ("check", "command", "open"))

__all__ = ["LOGGERS", "Logger", "LoggerSpec", "TensorBoardEvents"]
