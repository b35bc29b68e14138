"""Lists and settings of one key, as Hydra is to merge them: where a key takes both, either replaces the other.

OmegaConf refuses to merge the two; settings onto settings are merged as everywhere.
"""

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

from sbvi.core.catalogue import takes_both


@contextlib.contextmanager
def replacing() -> Iterator[None]:
    """Within, configs are merged so; of an OmegaConf that merges in another way nothing is changed."""
    from omegaconf.basecontainer import BaseContainer  # there is no public way to do this

    before = getattr(BaseContainer, "_merge_with", None)
    replace_from_now_on()
    try:
        yield
    finally:
        if before is not None:
            BaseContainer._merge_with = before  # type: ignore[method-assign]


def replace_from_now_on() -> "InJobs":
    """The same until the process ends."""
    from omegaconf import DictConfig, ListConfig, OmegaConf, flag_override
    from omegaconf.basecontainer import BaseContainer

    merge: Any = getattr(BaseContainer, "_merge_with", None)
    if merge is None or [*inspect.signature(merge).parameters] != ["self", "others"]:
        return InJobs()

    def merge_with(self: Any, *others: Any) -> None:
        (other,) = others if len(others) == 1 else (None,)
        to_list, of_list = isinstance(self, ListConfig), isinstance(other, list | ListConfig)
        to_settings, of_settings = isinstance(self, DictConfig), isinstance(other, dict | DictConfig)
        replaces = (to_list and of_settings) or (to_settings and of_list)
        added = to_settings and of_settings and bool(self._get_flag("struct"))  # by a word
        parent = self._get_parent()
        if parent is None or not (replaces or added) or not takes_both(self._get_full_key(None)):
            merge(self, *others)
        elif replaces:
            parent[self._key()] = OmegaConf.create(other) if isinstance(other, dict | list) else other
        else:  # a name that is none of theirs is told where they are read
            with flag_override(self, "struct", False):
                merge(self, *others)

    BaseContainer._merge_with = merge_with  # type: ignore[method-assign]
    return InJobs()


class InJobs:
    """What is handed to jobs of a sweep that are composed in processes of their own, and merges so in these."""

    def __reduce__(self) -> Any:
        return replace_from_now_on, ()
