"""Puts the config folders of installed plug-ins on Hydra's search path."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from sbvi.core.config_names import packages


class SbviSearchPath(SearchPathPlugin):
    """Appends them, so that sbvi's own files come first; a file whose name is taken already is refused."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for name, folder in packages():
            search_path.append(provider=f"sbvi.configs: {name}", path=f"file://{folder}")
