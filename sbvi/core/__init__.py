"""How a config becomes objects: checked dataclasses, and errors that are one sentence."""

from sbvi.core.errors import UserError, at_least_one, choices, unknown_key
from sbvi.core.spec import (
    Choice,
    Fraction,
    NamesOf,
    NonNegative,
    NonNegativeInt,
    Part,
    Positive,
    PositiveInt,
    Probability,
    Share,
    build,
    fields,
    make,
    name_of,
    plain,
    spec,
)

__all__ = [
    "Choice",
    "Fraction",
    "NamesOf",
    "NonNegative",
    "NonNegativeInt",
    "Part",
    "Positive",
    "PositiveInt",
    "Probability",
    "Share",
    "UserError",
    "at_least_one",
    "build",
    "choices",
    "fields",
    "make",
    "name_of",
    "plain",
    "spec",
    "unknown_key",
]
