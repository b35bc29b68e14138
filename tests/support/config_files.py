"""Config files are read once, while they stay what they are.

Hydra reads and parses some twenty files for every config that it composes, which is near half of the time of that; a
test run composes a thousand.
"""

import functools
import os
import pickle
from importlib import resources

from hydra._internal.config_repository import ConfigRepository  # there is no public way to do this
from hydra.core.object_type import ObjectType


def read_once():
    """In this process, and in those that it forks."""
    read, kept = ConfigRepository.load_config, {}

    def load_config(repository, config_path):
        source = repository._find_object_source(config_path, ObjectType.CONFIG)
        folder = None if source is None else _folder(source.scheme(), source.path)
        if folder is None:  # of no file, such as a plug-in's own
            return read(repository, config_path)
        now = os.stat(os.path.join(folder, source._normalize_file_name(config_path)))
        key = source.scheme(), source.provider, source.path, config_path
        stamp = now.st_mtime_ns, now.st_size, now.st_ino
        if kept.get(key, (None,))[0] != stamp:
            kept[key] = stamp, pickle.dumps(read(repository, config_path), pickle.HIGHEST_PROTOCOL)
        return pickle.loads(kept[key][1])  # a copy, since Hydra writes into what it reads: half the time of deepcopy

    ConfigRepository.load_config = load_config


def _folder(scheme, path):
    if scheme == "file":
        return path
    return _package(path) if scheme == "pkg" and path.startswith("hydra") else None


@functools.cache
def _package(path):
    return str(resources.files(path))
