"""Reading what earlier versions wrote into run.json."""

from collections.abc import Mapping
from typing import Any

#: Of run.json: 2 since the choices are a tree; records without a format are older.
FORMAT = 2


def upgraded(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run's record as this version writes it; its choices may still be words by themselves."""
    config = _with_drawn_seed(_without_idle_free_bits(_without_idle_dropout(dict(record["config"]))))
    if record.get("format") == FORMAT:
        return {**record, "config": config}
    algorithm = dict(config.get("algorithm") or {"name": "gradient_ascent"})
    if algorithm.get("name") != "gradient_ascent" and "objective" in config:
        # Wake-sleep and its kin took an objective for its number of samples alone.
        algorithm["num_samples"] = config.pop("objective").get("num_samples", 1)
    return {**record, "config": {**config, "algorithm": algorithm}}


def _without_idle_dropout(config: dict[str, Any]) -> dict[str, Any]:
    """Dropout of circuits that are not trained by labels did nothing, and is refused now."""
    model = config.get("model")
    if not isinstance(model, Mapping) or model.get("name") != "circuit" or model.get("labels"):
        return config
    idle = {key: 0.0 for key in ("leaf_dropout", "sum_dropout") if key in model}
    return {**config, "model": {**model, **idle}}


def _without_idle_free_bits(config: dict[str, Any]) -> dict[str, Any]:
    """Bounds over several samples had the key while 0 was all that it could be, since they have no KL of a layer."""
    if isinstance(algorithm := config.get("algorithm"), Mapping) and "objective" in algorithm:
        return {**config, "algorithm": {**algorithm, "objective": _without_free_bits(algorithm["objective"])}}
    return {**config, "objective": _without_free_bits(config["objective"])} if "objective" in config else config


def _with_drawn_seed(config: dict[str, Any]) -> dict[str, Any]:
    """Of the evaluation's seed JAX took the low 32 bits, and more are refused now: the same draws by what was taken."""
    evaluation = config.get("evaluation")
    if not isinstance(evaluation, Mapping) or not isinstance(seed := evaluation.get("seed"), int):
        return config
    return {**config, "evaluation": {**evaluation, "seed": seed % 2**32}}


def _without_free_bits(objective: Any) -> Any:
    if not isinstance(objective, Mapping) or objective.get("name") not in ("importance_weighted", "renyi"):
        return objective
    return {key: value for key, value in objective.items() if key != "free_bits"}
