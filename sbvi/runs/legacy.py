"""Reading what earlier versions wrote into run.json."""

from collections.abc import Mapping
from typing import Any

#: Of run.json: 2 since the choices are a tree; records without a format are older.
FORMAT = 2


def upgraded(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run's record as this version writes it; its choices may still be words by themselves."""
    if record.get("format") == FORMAT:
        return dict(record)
    config = dict(record["config"])
    algorithm = dict(config.get("algorithm") or {"name": "gradient_ascent"})
    if algorithm.get("name") != "gradient_ascent" and "objective" in config:
        # Wake-sleep and its kin took an objective for its number of samples alone.
        algorithm["num_samples"] = config.pop("objective").get("num_samples", 1)
    return {**record, "config": {**config, "algorithm": algorithm}}
