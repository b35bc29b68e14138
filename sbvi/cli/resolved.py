"""What Hydra composed, or a word of the command line, as plain data."""

from typing import Any

from sbvi.core import UserError
from sbvi.core.unknown import unresolved


def plain(config: Any) -> dict[str, Any]:
    """A composed config as plain data.

    Raises:
      UserError: a mandatory value is missing, or an interpolation cannot be resolved.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        values = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise unresolved(str(error)) or UserError(f"The config cannot be resolved: {said}.") from None
    assert isinstance(values, dict)
    for key, value in _leaves(values):
        if value == "???":
            raise UserError(f"{key} must be given, as {key}=VALUE.")
    return {str(key): value for key, value in values.items()}


def literal(key: str, value: str) -> Any:
    """A value as YAML reads it, which is how Hydra's overrides read theirs.

    Raises:
      UserError: it cannot be read, or is a list or a dict, which no key that may change is.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        read = OmegaConf.from_dotlist([f"value={value}"])["value"]
    except (OmegaConfBaseException, YAMLError):
        raise UserError(f"{key}={value} cannot be read as a value.") from None
    if OmegaConf.is_config(read):
        raise UserError(f"{key}={value} must be a single value.")
    return read


def _leaves(values: dict[Any, Any], prefix: str = "") -> list[tuple[str, Any]]:
    leaves = []
    for key, value in values.items():
        if isinstance(value, dict):
            leaves += _leaves(value, f"{prefix}{key}.")
        else:
            leaves.append((f"{prefix}{key}", value))
    return leaves
