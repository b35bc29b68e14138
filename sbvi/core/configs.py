"""Where the config files are."""

from pathlib import Path


def config_folder() -> Path:
    """The configs: inside the installed package, or beside it in a source tree."""
    package = Path(__file__).resolve().parents[1]
    return next((f for f in (package / "configs", package.parent / "configs") if f.is_dir()), package / "configs")
