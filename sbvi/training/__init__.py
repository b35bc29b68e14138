"""The scanned training loop, checkpoints and resume."""

from sbvi.training.batches import ResidentBatches
from sbvi.training.loop import NotFinite, Outcome, Progress, Training, Trial
from sbvi.training.plan import Plan, Trainer
from sbvi.training.store import Store
from sbvi.training.streamed import StreamedBatches

__all__ = [
    "NotFinite",
    "Outcome",
    "Plan",
    "Progress",
    "ResidentBatches",
    "Store",
    "StreamedBatches",
    "Trainer",
    "Training",
    "Trial",
]
