"""How a config becomes objects: checked dataclasses, and errors that are one sentence."""

from sbvi.core.errors import UserError, choices, unknown_key
from sbvi.core.spec import (
    Fraction,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
    Probability,
    Share,
    build,
    fields,
    make,
    plain,
    spec,
)

__all__ = [
    "Fraction",
    "NonNegative",
    "NonNegativeInt",
    "Positive",
    "PositiveInt",
    "Probability",
    "Share",
    "UserError",
    "build",
    "choices",
    "fields",
    "make",
    "plain",
    "spec",
    "unknown_key",
]
