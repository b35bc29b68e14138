"""What every way of filling in is asked, by chains or of a table by column."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Filling:
    """Settings that both ways have; `ImputationTask` says what each is."""

    fraction: float
    split: Literal["train", "validation", "test"]
    examples: int
    input: str | None
    output: str | None
    imputations: int
    seed: int
