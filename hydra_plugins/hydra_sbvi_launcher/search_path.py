"""Puts the config folders of installed plug-ins on Hydra's search path."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from sbvi.core.plugins import config_folders


class SbviSearchPath(SearchPathPlugin):
    """Appends them, so that sbvi's own files come first."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for name, folder in config_folders():
            search_path.append(provider=f"sbvi.configs: {name}", path=f"file://{folder}")
